"""The study `learning_efficiency`: what is learned against the entropy that it costs."""

import jax.numpy as jnp
import numpy as np

from ..config import LearningEfficiency
from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..perceptron import TIME_UNIT, MeanField, averaged_entropy_production, learn
from ..plots import efficiency_of_learning
from ..sweeps import Grid
from ._base import per_trajectory
from ._problems import LEVELS, ProblemStudy
from ._table import sample_text, table_text

BOUNDS = ("entropy_production", "averaged_entropy_production")
_UNIT = "nat/weight"


class LearningEfficiencyStudy(ProblemStudy):
    """One axis, the rules."""

    config: LearningEfficiency

    @property
    def grid(self):
        return Grid(rule={rule.label: rule.build() for rule in self.config.rules})

    def point(self, ensemble, **parameters):
        rule = parameters["rule"]
        config, rows = self.config, ensemble["n_trajectories"]
        problem = self.problem(rule, config.learning_rate)
        save_every = config.steps(config.dt) // config.saves
        how = {"t1": config.t1, "save_every": save_every, "throw": False, "teachers": "ensemble"}
        measured = learn(problem, LEVELS[config.level](config.dt), **how, **ensemble)
        predicted = learn(problem, MeanField(config.dt), **how)
        found, reference = _budget(problem, measured), _budget(problem, predicted)
        shown = {
            "information": (found["information"], "information gained about the teacher"),
            "entropy_production": (found["entropy_production"], "entropy produced"),
            "averaged_entropy_production": (
                found["averaged_entropy_production"],
                "entropy produced by the averaged force alone, without the excess",
            ),
        }
        for name in BOUNDS:
            ratio = _ratio(reference["information"], reference[name])
            words = f"mean-field information over {name.replace('_', ' ')}"
            shown[f"predicted_{name}_ratio"] = (jnp.repeat(ratio, rows, axis=0), words)
            # What is left has the noise of a ratio of means, to leading order.
            rest = found["information"] - ratio * found[name]
            shown[f"{name}_rest"] = (rest, "information less what the mean field predicts of it")
        labelled = {
            name: Labelled(
                ("trajectory", "time"), values, "" if name.endswith("ratio") else _UNIT, words
            )
            for name, (values, words) in shown.items()
        }
        separation = jnp.mean(measured.scale_separation[:, 1:], axis=1)
        diverged = measured.diverged_step >= 0
        return labelled | {
            "time": Labelled(("time",), measured.times, TIME_UNIT, "time"),
            "scale_separation": per_trajectory(separation, "", "input noise over bath noise"),
            "diverged": per_trajectory(diverged, "", "fraction that turned non-finite"),
        }

    def efficiencies(self, results):
        """By rule: η(t) with the excess and without, standard errors, and the mean field's."""
        found = {}
        for _, _, entry in self.points(results):
            curves = {}
            for name in BOUNDS:
                spent = entry[name].values[1:]
                curves[name] = {
                    "mean": entry.information.values[1:] / spent,
                    "standard_error": entry[f"{name}_rest_standard_error"].values[1:] / abs(spent),
                    "predicted": entry[f"predicted_{name}_ratio"].values[1:],
                }
            found[str(entry.rule.values)] = curves
        return np.asarray(results.time.values)[1:], found

    def summary(self, results):
        times, found = self.efficiencies(results)
        rules = {}
        for label, curves in found.items():
            rules[label] = {}
            for name, curve in curves.items():
                best = int(np.nanargmax(curve["mean"]))
                rules[label][name] = {
                    when: {key: float(values[i]) for key, values in curve.items()}
                    | {"time": float(times[i])}
                    for when, i in (("best", best), ("end", len(times) - 1))
                }
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "rules": rules,
        }

    def table(self, summary):
        rows = [["rule", "bound", "best η", "at t", "η at the end", "mean field"]]
        words = {BOUNDS[0]: "with the excess", BOUNDS[1]: "without"}
        for label, curves in summary["rules"].items():
            for name, curve in curves.items():
                best, end = curve["best"], curve["end"]
                rows.append(
                    [
                        label,
                        words[name],
                        text_with_error(best["mean"], best["standard_error"]),
                        f"{best['time']:.3g}",
                        text_with_error(end["mean"], end["standard_error"]),
                        f"{end['predicted']:.5g}",
                    ]
                )
        note = "η: information gained over entropy produced, at most 1."
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note} To t = {summary['t1']:g}, {sample}; k_B = 1."

    def figures(self, results):
        times, found = self.efficiencies(results)
        return {"learning_efficiency": efficiency_of_learning(times, found, self.config.title)}


def _budget(problem, curve):
    """Information gained and entropy produced since the start, `[trajectory, save]`."""
    return {
        "information": curve.information - curve.information[:, :1],
        "entropy_production": curve.entropy_production,
        "averaged_entropy_production": averaged_entropy_production(problem, curve),
    }


def _ratio(part, whole):
    return jnp.where(whole == 0, 0, part / jnp.where(whole == 0, 1, whole))
