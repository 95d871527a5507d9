"""The study `learning_rules`: the perceptron's rules side by side, with error bands."""

import math
from typing import Any

from ..config import LearningRules
from ..numerics.statistics import text_with_error
from ..perceptron import QUANTITIES
from ..plots import error_against_dissipation, heat_and_energy, learning_curves
from ..sweeps import Grid
from ._learning import LearningStudy
from ._table import sample_text, table_text

_RATES = ("dissipation_rate", "late_drift")


class LearningRulesStudy(LearningStudy):
    """One axis, the rules."""

    config: LearningRules

    @property
    def grid(self):
        return Grid(rule={rule.label: rule.build() for rule in self.config.rules})

    def save_every(self, n_steps):
        return self.config.save_every

    def summary(self, results):
        finals = {"error", "heat", "work", "energy", "training_error", "test_error"}
        finals &= set(results.data_vars)

        def pair(name: str, entry: Any) -> dict[str, float]:
            return {
                "mean": float(entry[name]),
                "standard_error": float(entry[f"{name}_standard_error"]),
            }

        rules = {}
        for _, parameters, entry in self.points(results):
            final = entry.isel(time=-1)
            rules[str(entry.rule.values)] = {
                **{name: pair(name, final) for name in QUANTITIES if name in finals},
                **{name: pair(name, entry) for name in _RATES},
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
                    *(text_with_error(**entry[name]) for name in columns),
                    f"{entry['heat_rate_bias']:+.3f}" if entry["heat_rate_bias"] else "0",
                    f"{entry['scale_separation']:.3f}",
                ]
            )
        sample = sample_text(summary["n_trajectories"])
        note = f"At t = {summary['t1']:g}, {sample}; k_B = 1; rates over the last half."
        return f"{table_text(rows)}\n{note}"

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
