"""Entropy production of each rule at rest, extrapolated to dt → 0, against its prediction."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import numpy as np
from pydantic import Field, model_validator

from ...config import Positive, Strict, check_different
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...perceptron import AbstractRule, LearningProblem, SteadyState, steady_state
from ...perceptron.theory import force_jump
from ...plots import MARKERS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from .._table import column, error_text, measured, per_trajectory, sample_text
from ._at_rest import AtRest, RestStudy, check_width
from ._learning import Level, Rule

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class Setting(Strict):
    """A size, a batch and inputs for which entropy production is measured."""

    n_inputs: int = Field(ge=1)
    batch: int = Field(ge=1)
    inputs: Literal["binary", "gaussian"] = "gaussian"
    level: Level | None = None

    @model_validator(mode="after")
    def _check_level(self):
        check_width(self.exact_level, self.n_inputs)
        return self

    @property
    def exact_level(self) -> Level:
        """The level; by default the one that is exact for the inputs."""
        return self.level or ("reduced" if self.inputs == "gaussian" else "microscopic")

    @property
    def label(self) -> str:
        """The setting in figures and tables."""
        return f"{self.inputs}, N = {self.n_inputs}, B = {self.batch}" + (
            "" if self.level is None else f", {self.level}"
        )


class EntropyProduction(AtRest):
    """Rules, settings and several step sizes."""

    rules: list[Rule] = Field(min_length=1)
    learning_rate: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    settings: list[Setting] = Field(min_length=1)
    dt: Positive = Field(min_length=2)

    @model_validator(mode="after")
    def _check_parts(self):
        for dt in self.dt:
            self.check_steps(dt)
        check_different("rules", [rule.label for rule in self.rules])
        check_different("settings", [setting.label for setting in self.settings])
        return self


class Case(eqx.Module):
    """A rule in a setting, and the steady state where its runs begin."""

    rule: AbstractRule
    setting: Setting = eqx.field(static=True)
    start: SteadyState


class EntropyProductionStudy(RestStudy):
    """Rules in settings of N, B and inputs along one axis, step sizes along the other."""

    config: EntropyProduction
    static = ("dt",)

    @property
    def grid(self):
        return Grid(case=self._cases, dt=self.config.dt)

    @functools.cached_property
    def _cases(self) -> dict[str, Case]:
        # Computed here once: in the points it would be compiled for every case and step.
        cases = {}
        for rule in self.config.rules:
            for setting in self.config.settings:
                start = jax.device_get(steady_state(self._problem(rule.build(), setting)))
                label = f"{rule.label}; {setting.label}"
                cases[label] = Case(jax.device_get(rule.build()), setting, start)
        return cases

    def _problem(self, rule: AbstractRule, setting: Setting) -> LearningProblem:
        sizes = {name: getattr(setting, name) for name in ("n_inputs", "batch", "inputs")}
        return self.problem(rule, self.config.learning_rate, **sizes)

    def point(self, ensemble, *, case, dt):
        setting = case.setting
        problem = self._problem(case.rule, setting)
        measurement = self.measure(
            problem, ensemble, dt=dt, level=setting.exact_level, state=case.start
        )
        per_weight = setting.n_inputs / setting.batch / self.config.temperature
        rate = per_trajectory(
            measurement.pop("dissipation").values * per_weight,
            "nat/weight/time",
            "entropy production per weight and time at rest",
        )
        return measurement | {"entropy_rate": rate}

    def _rows(self, results: "xarray.Dataset") -> list[dict[str, Any]]:
        """For each rule and setting: prediction, measurements at each dt, and their limit dt → 0.

        The limit is that of a least-squares fit: linear in √dt and dt where the rule jumps (in √dt
        alone with two step sizes), linear in dt where it does not.
        """
        rows = []
        for rule in self.config.rules:
            jumps = float(force_jump(rule.build(), float)) != 0
            for setting in self.config.settings:
                problem = self._problem(rule.build(), setting)
                state = steady_state(problem, exact=True)
                assert state.excess_rate is not None
                entry = results.sel(case=f"{rule.label}; {setting.label}")
                rates = [measured(entry.sel(dt=dt), "entropy_rate") for dt in entry.dt.values]
                steps = np.asarray(entry.dt.values, float)
                powers = ([0.5, 1.0] if len(steps) > 2 else [0.5]) if jumps else [1.0]
                rows.append(
                    {
                        "rule": rule.label,
                        "setting": setting.label,
                        "jumps": jumps,
                        "predicted": float(state.excess_rate) / setting.n_inputs,
                        "housekeeping": float(state.housekeeping),
                        "dt": steps.tolist(),
                        "measured": rates,
                        "limit": extrapolated(steps, powers, column(rates)).as_dict(),
                    }
                )
        return rows

    def summary(self, results):
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": self._rows(results),
        }

    def table(self, summary):
        steps = summary["points"][0]["dt"]
        rows = [["rule", "setting", *(f"dt = {dt:g}" for dt in steps), "dt → 0", "predicted"]]
        for entry in summary["points"]:
            rates = map(error_text, entry["measured"])
            limit, predicted = error_text(entry["limit"]), f"{entry['predicted']:.5g}"
            rows.append([entry["rule"], entry["setting"], *rates, limit, predicted])
        note = "Entropy production per weight and time, in nats; housekeeping is exactly zero."
        return f"{table_text(rows)}\n{note}\nAt rest, {sample_text(summary['n_trajectories'])}."

    def figures(self, results):
        return {"entropy_production": _figure(self._rows(results), self.config.title)}


def extrapolated(steps: np.ndarray, powers: Sequence[float], rates: Estimate) -> Estimate:
    """The constant of a weighted least-squares fit of powers of dt.

    Args:
        steps: dt, `(step,)`.
        powers: exponents of dt in addition to the constant.
        rates: measurements, `(step,)`; without errors all weigh the same, and the result has none.
    """
    error = rates.standard_error
    weighted = np.isfinite(error).all() and (error > 0).all()
    weights = 1 / error if weighted else np.ones_like(error)
    design = np.stack([steps**power for power in (0.0, *powers)], axis=1) * weights[:, None]
    inverse = np.linalg.pinv(design)[0]
    value = float(inverse @ (rates.mean * weights))
    return Estimate(value, float(np.linalg.norm(inverse)) if weighted else float("nan"))


def _figure(rows: Sequence[dict[str, Any]], title: str) -> "Figure":
    """Measured over predicted entropy production at each step size, and extrapolated to none."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    width = max(6.4, 3.4 * len(settings))
    figure, axes = new_figure(width, 4.6, columns=len(settings), sharey=True)
    for ax, setting in zip(axes, settings, strict=True):
        for index, row in enumerate(row for row in rows if row["setting"] == setting):
            x, scale = np.sqrt(row["dt"]), row["predicted"]
            rates, limit = column(row["measured"]), column([row["limit"]])
            marker = MARKERS[index % len(MARKERS)]
            ratio = Estimate(rates.mean / scale, rates.standard_error / scale)
            error_bars(ax, x, ratio, index, fmt=f"{marker}-", linewidth=1)
            error_bars(
                ax,
                [-0.06 * x.max() * (1 + 0.5 * index)],
                Estimate(limit.mean / scale, limit.standard_error / scale),
                index,
                markerfacecolor="white",
                label=row["rule"],
            )
        ax.axhline(1, color="0.3", linewidth=1)
        ax.axvline(0, color="0.8", linewidth=0.8)
        ax.set_xlabel(r"$\sqrt{dt}$")
        ax.text(0.5, 0.98, setting, transform=ax.transAxes, ha="center", va="top", fontsize=8.5)
    axes[0].set_ylabel("entropy production, measured / predicted")
    words = r"bars: 2 standard errors; open, left of 0: extrapolated to $dt\to 0$"
    caption(axes[0], title, words)
    legend_beside(axes[-1])
    return figure
