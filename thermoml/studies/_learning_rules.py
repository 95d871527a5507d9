"""The study `learning_rules`: the perceptron's rules side by side, with error bands."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..config import LearningRules
from ..langevin import SimulationDiverged
from ..numerics._labels import Labelled
from ..perceptron import LearningCurve, LearningProblem, Microscopic, TrainingSet, learn
from ..perceptron._curve import QUANTITIES
from ..plots import error_against_dissipation, heat_and_energy, learning_curves
from ._base import AbstractStudy, mean_and_error

_QUANTILES = (0.1, 0.9)
_TIME_UNIT = "1/(mobility · energy)"
_RATES = {
    "dissipation_rate": ("energy/weight/time", "heat per weight and time over the last half"),
    "late_drift": ("", "change of the generalization error over the last quarter"),
}


class LearningRulesStudy(AbstractStudy):
    """One work unit per rule: all trajectories of it, reduced to means and standard errors."""

    config: LearningRules

    @property
    def unit_labels(self):
        return [rule.label for rule in self.config.rules]

    @property
    def _quantities(self) -> dict[str, tuple[str, str]]:
        kept = dict(QUANTITIES)
        if self.config.inputs.kind != "training_set":
            del kept["training_error"]
        if self.config.inputs.kind != "training_set" or not self.config.inputs.test_examples:
            del kept["test_error"]
        return kept

    def coordinates(self):
        config = self.config
        n_saves = config.n_steps // config.save_every
        times = np.arange(n_saves + 1) * config.save_every * config.dt
        return {
            "rule": Labelled(("rule",), np.array(self.unit_labels), "", "learning rule"),
            "time": Labelled(("time",), times, _TIME_UNIT, "time"),
            "quantile": Labelled(("quantile",), np.array(_QUANTILES), "", "over trajectories"),
        }

    def variables(self):
        n_rules = len(self.config.rules)
        n_times = self.config.n_steps // self.config.save_every + 1
        along, shape = ("rule", "time"), (n_rules, n_times)
        found = {}
        for name, (units, words) in self._quantities.items():
            found[name] = Labelled(along, shape, units, words)
            found[f"{name}_standard_error"] = Labelled(
                along, shape, units, f"standard error of the mean of {words}"
            )
            found[f"{name}_quantile"] = Labelled(
                ("rule", "time", "quantile"), (*shape, len(_QUANTILES)), units, f"spread of {words}"
            )
        for name, (units, words) in _RATES.items():
            found[name] = Labelled(("rule",), (n_rules,), units, words)
            found[f"{name}_standard_error"] = Labelled(
                ("rule",), (n_rules,), units, f"standard error of {words}"
            )
        found["heat_rate_bias"] = Labelled(
            ("rule",), (n_rules,), "energy/weight/time", "heat rate that jumps of F lose to dt"
        )
        return found

    def problem(self, unit: int) -> LearningProblem:
        """The learning problem of one rule."""
        config = self.config
        return LearningProblem(
            config.rules[unit].build(),
            learning_rate=config.learning_rate,
            n_inputs=config.n_inputs,
            stiffness=config.stiffness,
            temperature=config.temperature,
            batch=config.batch,
            inputs=self._examples(0)
            if config.inputs.kind == "training_set"
            else config.inputs.kind,
        )

    def _examples(self, part: int) -> Any:
        """The training set (part 0) or the inputs of the test set (part 1), or None."""
        inputs = self.config.inputs
        count = (inputs.examples, inputs.test_examples)[part]
        if inputs.kind != "training_set" or not count:
            return None
        key = jax.random.fold_in(self._key(0), part)
        draw = jax.random.rademacher if inputs.distribution == "binary" else jax.random.normal
        values = draw(key, (count, self.config.n_inputs), jnp.dtype(self.config.precision))
        return TrainingSet(values) if part == 0 else values

    def _key(self, purpose: int) -> Any:
        return jax.random.fold_in(jax.random.key(self.config.seed), purpose)

    def run(self, unit, meter):
        config = self.config
        try:
            curve = learn(
                self.problem(unit),
                Microscopic(config.dt),
                t1=config.t1,
                key=self._key(unit + 1),
                n_trajectories=config.n_trajectories,
                save_every=config.save_every,
                teachers=config.teachers,
                test_inputs=self._examples(1),
                progress=meter,
            )
        except SimulationDiverged as error:
            error.good_part = self._reduce(error.solution)
            raise
        return self._reduce(curve)

    def _reduce(self, curve: LearningCurve) -> dict[str, np.ndarray]:
        quantities = {name: np.asarray(x, float) for name, x in curve.quantities().items()}
        found = {}
        for name, values in quantities.items():
            found[name], found[f"{name}_standard_error"] = mean_and_error(values)
            found[f"{name}_quantile"] = np.quantile(values, _QUANTILES, axis=0).T
        times = np.asarray(curve.times, float)
        half, late = (np.searchsorted(times, x * times[-1]) for x in (0.5, 0.75))
        half, late = (min(i, len(times) - 2) for i in (half, late))
        heat, error = quantities["heat"], quantities["error"]
        rates = {
            "dissipation_rate": (heat[:, -1] - heat[:, half]) / (times[-1] - times[half]),
            "late_drift": error[:, -1] - error[:, late],
        }
        for name, values in rates.items():
            found[name], found[f"{name}_standard_error"] = mean_and_error(values)
        bias = np.asarray(curve.heat_rate_bias, float)[half:]
        found["heat_rate_bias"] = np.mean(bias)
        return found

    def summary(self, results):
        finals = {"error", "heat", "work", "energy", "training_error", "test_error"}
        finals &= set(results.data_vars)

        def pair(name: str, entry: Any) -> dict[str, float]:
            return {
                "mean": float(entry[name]),
                "standard_error": float(entry[f"{name}_standard_error"]),
            }

        rules = {}
        for rule in results.rule.values:
            entry = results.sel(rule=rule)
            final = entry.isel(time=-1)
            rules[str(rule)] = {
                **{name: pair(name, final) for name in QUANTITIES if name in finals},
                **{name: pair(name, entry) for name in _RATES},
                "heat_rate_bias": float(entry.heat_rate_bias),
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
        columns = {
            "error": "error ε",
            "training_error": "training error",
            "test_error": "test error",
            "heat": "heat/N",
            "work": "work/N",
            "dissipation_rate": "dissipation rate/N",
        }
        measured = next(iter(summary["rules"].values()))
        columns = {name: words for name, words in columns.items() if name in measured}
        rows = [["rule", *columns.values(), "jump bias", "scale separation"]]
        for label, entry in summary["rules"].items():
            rows.append(
                [
                    label,
                    *(with_error(**entry[name]) for name in columns),
                    f"{entry['heat_rate_bias']:+.3f}" if entry["heat_rate_bias"] else "0",
                    f"{entry['scale_separation']:.3f}",
                ]
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        ]
        lines.insert(1, "  ".join("-" * w for w in widths))
        count = summary["n_trajectories"]
        sample = "one trajectory, which has no standard error"
        if count > 1:
            sample = f"mean of {count} trajectories ± standard error"
        lines.append(f"At t = {summary['t1']:g}, {sample}; k_B = 1; rates over the last half.")
        return "\n".join(line.rstrip() for line in lines)

    def figures(self, results):
        limit = hebbian_limit(self.config) if "Hebbian" in results.rule.values else None
        return {
            "learning_curves": learning_curves(results, self.config.title, limit),
            "heat_and_energy": heat_and_energy(results, self.config.title),
            "error_against_dissipation": error_against_dissipation(results, self.config.title),
        }


def hebbian_limit(config: LearningRules) -> float | None:
    r"""$\varepsilon = \frac1\pi\arctan(\sqrt{\pi k T/2}/\tilde\nu)$, Hebbian at rest as N → ∞.

    None where the formula does not hold: a training set, no learning, or no bath.
    """
    if config.inputs.kind == "training_set" or not config.learning_rate or not config.temperature:
        return None
    width = math.sqrt(math.pi * config.stiffness * config.temperature / 2)
    return math.atan(width / config.learning_rate) / math.pi


def with_error(mean: float | None, standard_error: float | None) -> str:
    """`0.28434 ± 0.00066`: two figures of the error; the mean alone where there is none."""
    if mean is None or not math.isfinite(mean):
        return "not finite"
    if standard_error is None or not math.isfinite(standard_error):
        return f"{mean:.4g}"
    if standard_error == 0:
        return f"{mean:.4g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(standard_error)))
    return f"{mean:.{digits}f} ± {standard_error:.{digits}f}"
