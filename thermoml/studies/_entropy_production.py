"""The study `entropy_production`: each rule after convergence, measured against predicted."""

import functools

import equinox as eqx
import jax
import numpy as np

from ..config import EntropyProduction, Setting
from ..numerics.statistics import text_with_error
from ..perceptron import AbstractRule, SteadyState, steady_state
from ..perceptron.theory import force_jump
from ..plots import entropy_production
from ..sweeps import Grid
from ._at_rest import RestStudy
from ._base import pair, per_trajectory
from ._table import sample_text, table_text


class Case(eqx.Module):
    """A rule in a setting, and the steady state where its runs begin."""

    rule: AbstractRule
    setting: Setting = eqx.field(static=True)
    start: SteadyState


class EntropyProductionStudy(RestStudy):
    """Rules in settings of N, B and inputs, and step sizes."""

    config: EntropyProduction
    static = ("dt",)

    @property
    def grid(self):
        return Grid(case=self._cases, dt=self.config.dt)

    @functools.cached_property
    def _cases(self) -> dict[str, Case]:
        # Found once here: inside of the points it would be compiled for every case and step.
        found = {}
        for rule in self.config.rules:
            for setting in self.config.settings:
                start = jax.device_get(steady_state(self._problem(rule.build(), setting)))
                label = f"{rule.label}; {setting.label}"
                found[label] = Case(jax.device_get(rule.build()), setting, start)
        return found

    def _problem(self, rule, setting):
        kept = {name: getattr(setting, name) for name in ("n_inputs", "batch", "inputs")}
        return self.problem(rule, self.config.learning_rate, **kept)

    def point(self, ensemble, **parameters):
        case, dt = parameters["case"], parameters["dt"]
        setting = case.setting
        problem = self._problem(case.rule, setting)
        found = self.measure(problem, ensemble, dt, setting.level_used, case.start)
        per_weight = setting.n_inputs / setting.batch / self.config.temperature
        rate = per_trajectory(
            found.pop("dissipation").values * per_weight,
            "nat/weight/time",
            "entropy production per weight and time at rest",
        )
        return found | {"entropy_rate": rate}

    def rows(self, results):
        """For each rule and setting: prediction, measurements at each dt, and their limit dt → 0.

        The limit is that of a least-squares fit: linear in √dt and dt where the rule jumps (in √dt
        alone of two step sizes), linear in dt where it does not.
        """
        found = []
        for rule in self.config.rules:
            jumps = float(force_jump(rule.build(), float)) != 0
            for setting in self.config.settings:
                problem = self._problem(rule.build(), setting)
                state = steady_state(problem, exact=True)
                assert state.excess_rate is not None
                entry = results.sel(case=f"{rule.label}; {setting.label}")
                measured = entry.entropy_rate.values
                error = entry.entropy_rate_standard_error.values
                steps = np.asarray(entry.dt.values, float)
                powers = ([0.5, 1.0] if len(steps) > 2 else [0.5]) if jumps else [1.0]
                limit, limit_error = _at_zero(steps, powers, measured, error)
                found.append(
                    {
                        "rule": rule.label,
                        "setting": setting.label,
                        "jumps": jumps,
                        "predicted": float(state.excess_rate) / setting.n_inputs,
                        "housekeeping": float(state.housekeeping),
                        "dt": steps.tolist(),
                        "measured": [pair(entry.sel(dt=dt), "entropy_rate") for dt in steps],
                        "limit": {"mean": limit, "standard_error": limit_error},
                    }
                )
        return found

    def summary(self, results):
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": self.rows(results),
        }

    def table(self, summary):
        first = summary["points"][0]["dt"]
        rows = [["rule", "setting", *(f"dt = {dt:g}" for dt in first), "dt → 0", "predicted"]]
        for entry in summary["points"]:
            measured = (text_with_error(**x) for x in entry["measured"])
            limit, predicted = text_with_error(**entry["limit"]), f"{entry['predicted']:.5g}"
            rows.append([entry["rule"], entry["setting"], *measured, limit, predicted])
        note = "Entropy production per weight and time, in nats; housekeeping is exactly zero."
        return f"{table_text(rows)}\n{note}\nAt rest, {sample_text(summary['n_trajectories'])}."

    def figures(self, results):
        return {"entropy_production": entropy_production(self.rows(results), self.config.title)}


def _at_zero(
    steps: np.ndarray, powers: list[float], measured: np.ndarray, error: np.ndarray
) -> tuple[float, float]:
    """The constant of a weighted least-squares fit of powers of dt, and its standard error."""
    good = np.isfinite(error).all() and (error > 0).all()
    weights = 1 / error if good else np.ones_like(error)
    design = np.stack([steps**power for power in (0.0, *powers)], axis=1) * weights[:, None]
    inverse = np.linalg.pinv(design)[0]
    value = float(inverse @ (measured * weights))
    return value, float(np.linalg.norm(inverse)) if good else float("nan")
