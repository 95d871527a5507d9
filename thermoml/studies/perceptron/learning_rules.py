"""Learning curves of the perceptron's rules side by side, with error bands."""

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from ...config import check_different
from ...numerics.tables import table_text
from ...perceptron import QUANTITIES
from ...plots import band, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from .._table import error_text, measured, sample_text, stored
from ._at_rest import ERROR
from ._learning import Learning, LearningStudy, Rule, Run, shared

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FINALS = ("error", "heat", "work", "energy", "training_error", "test_error")
_RATES = ("dissipation_rate", "late_drift")
_COLUMNS = {
    "error": "error ε",
    "training_error": "training error",
    "test_error": "test error",
    "heat": "heat/N",
    "work": "work/N",
    "dissipation_rate": "dissipation rate/N",
}


class LearningRules(Learning):
    """Rules that learn the same problem."""

    rules: list[Rule] = Field(min_length=1)
    save_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_run(self):
        Run(**shared(self), rule=self.rules[0], save_every=self.save_every)
        check_different("rules", [rule.label for rule in self.rules])
        return self


class LearningRulesStudy(LearningStudy):
    """One axis, the rules."""

    config: LearningRules

    @property
    def grid(self):
        return Grid(rule={rule.label: rule.build() for rule in self.config.rules})

    def rule(self, parameters):
        return parameters["rule"]

    def save_every(self, n_steps):
        return self.config.save_every

    def summary(self, results):
        finals = [name for name in QUANTITIES if name in _FINALS and name in results]
        rules = {}
        for _, parameters, entry in self.points(results):
            final = entry.isel(time=-1)
            rules[str(entry.rule.values)] = {
                **{name: measured(final, name) for name in finals},
                **{name: measured(entry, name) for name in _RATES},
                "heat_rate_bias": self.heat_rate_bias(parameters, entry),
                "scale_separation": float(entry.scale_separation.max()),
            }
        config = self.config
        return {
            "study": config.study,
            "n_trajectories": config.n_trajectories,
            "t1": config.t1,
            "hebbian_limit": hebbian_limit(config),
            "rules": rules,
        }

    def table(self, summary):
        entries = summary["rules"]
        first = next(iter(entries.values()))
        columns = {name: words for name, words in _COLUMNS.items() if name in first}
        rows = [["rule", *columns.values(), "jump bias", "scale separation"]]
        for label, entry in entries.items():
            rows.append(
                [
                    label,
                    *(error_text(entry[name]) for name in columns),
                    f"{entry['heat_rate_bias']:+.3f}" if entry["heat_rate_bias"] else "0",
                    f"{entry['scale_separation']:.3f}",
                ]
            )
        sample = sample_text(summary["n_trajectories"])
        note = f"At t = {summary['t1']:g}, {sample}; k_B = 1; rates over the last half."
        return f"{table_text(rows)}\n{note}"

    def figures(self, results):
        limit = hebbian_limit(self.config) if "Hebbian" in results.rule.values else None
        title = self.config.title
        return {
            "learning_curves": _learning_curves(results, title, limit),
            "heat_and_energy": _heat_and_energy(results, title),
            "error_against_dissipation": _error_against_dissipation(results, title),
        }


def hebbian_limit(config: Learning) -> float | None:
    r"""$\varepsilon = \frac1\pi\arctan(\sqrt{\pi k T/2}/\tilde\nu)$, Hebbian at rest as N → ∞.

    None where the formula does not hold: a training set, no learning, or no bath.
    """
    if config.inputs.kind == "training_set" or not config.learning_rate or not config.temperature:
        return None
    width = math.sqrt(math.pi * config.stiffness * config.temperature / 2)
    return math.atan(width / config.learning_rate) / math.pi


def _learning_curves(
    results: "xarray.Dataset", title: str, hebbian_limit: float | None
) -> "Figure":
    """Generalization error against time, with error bands; the exact Hebbian limit as a line."""
    figure, (ax,) = new_figure(7.2, 4.4)
    _draw(ax, results, "error")
    if hebbian_limit is not None:
        ax.axhline(
            hebbian_limit,
            color="0.35",
            linewidth=1,
            linestyle=":",
            label=r"Hebbian, exact: $t, N\to\infty$, $dt\to 0$",
        )
    ax.set_ylabel(ERROR)
    ax.set_ylim(top=min(1.0, float(results.error.max()) * 1.03))
    caption(ax, title, _caption(results))
    legend_beside(ax)
    return figure


def _heat_and_energy(results: "xarray.Dataset", title: str) -> "Figure":
    """Heat into the bath, and energy, per weight against time."""
    figure, (left, right) = new_figure(9.6, 4.2, columns=2)
    _draw(left, results, "heat")
    left.set_ylabel(r"heat into the bath  $Q/N$  [energy, $k_\mathrm{B}=1$]")
    _draw(right, results, "energy")
    right.set_ylabel(r"energy  $k|w|^2/2N$  [energy, $k_\mathrm{B}=1$]")
    legend_beside(right)
    caption(left, title, _caption(results))
    return figure


def _error_against_dissipation(results: "xarray.Dataset", title: str) -> "Figure":
    """Final error against dissipation rate, bars of 2 standard errors."""
    figure, (ax,) = new_figure(6.4, 4.2)
    final = results.isel(time=-1)
    for index, rule in enumerate(results.rule.values):
        entry = final.sel(rule=[rule])
        rate, error = stored(entry, "dissipation_rate"), stored(entry, "error")
        error_bars(ax, rate, error, index, markersize=5, capsize=3, label=str(rule))
    ax.set_xlabel(r"dissipation rate  $\dot Q/N$  [energy/time, $k_\mathrm{B}=1$]")
    ax.set_ylabel(r"final generalization error $\varepsilon$")
    ax.margins(0.12)
    ax.set_title(title, fontsize=11, loc="left")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _draw(ax: "Axes", results: "xarray.Dataset", name: str) -> None:
    """A quantity against time with its error bands, a curve for each rule."""
    for index, rule in enumerate(results.rule.values):
        entry = results.sel(rule=rule)
        error = entry[f"{name}_standard_error"].values
        band(ax, results.time.values, entry[name].values, error, index, str(rule))
    ax.set_xlabel(r"time $t$  [$1/\mu k$]")
    ax.set_xlim(results.time.values[0], results.time.values[-1])


def _caption(results: "xarray.Dataset") -> str:
    errors = results.error_standard_error.isel(time=-1).values
    return "bands: mean ± 2 standard errors" if np.isfinite(errors).any() else "one trajectory each"
