"""Information gained about the teacher over entropy produced, with the excess heat and without."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field, model_validator

from ...config import check_different
from ...numerics.labels import Labelled
from ...numerics.tables import table_text
from ...perceptron import (
    TIME_UNIT,
    LearningCurve,
    LearningProblem,
    MeanField,
    averaged_entropy_production,
    learn,
)
from ...plots import band, caption, legend_beside, line_style, new_figure
from ...sweeps import Grid
from .._table import error_text, per_trajectory, sample_text
from ._at_rest import LEVELS, OneLevel, ProblemStudy
from ._learning import Rule

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

BOUNDS = ("entropy_production", "averaged_entropy_production")
_WORDS = {
    "information": "information gained about the teacher",
    "entropy_production": "entropy produced",
    "averaged_entropy_production": "entropy produced by the averaged force, without the excess",
}
_UNIT = "nat/weight"
_PANELS = {
    "averaged_entropy_production": "without the excess heat",
    "entropy_production": "with the excess heat",
}


class LearningEfficiency(OneLevel):
    """Rules that learn at one rate."""

    rules: list[Rule] = Field(min_length=1)
    learning_rate: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_rules(self):
        check_different("rules", [rule.label for rule in self.rules])
        return self


class LearningEfficiencyStudy(ProblemStudy):
    """One axis, the rules."""

    config: LearningEfficiency

    @property
    def grid(self):
        return Grid(rule={rule.label: rule.build() for rule in self.config.rules})

    def point(self, ensemble, *, rule):
        config = self.config
        problem = self.problem(rule, config.learning_rate)
        save_every = config.steps(config.dt) // config.saves
        run = {"t1": config.t1, "save_every": save_every, "throw": False, "teachers": "ensemble"}
        curve = learn(problem, LEVELS[config.level](config.dt), **run, **ensemble)
        gained = _budget(problem, curve)
        reference = _budget(problem, learn(problem, MeanField(config.dt), **run))
        along = ("trajectory", "time")
        labelled = {
            name: Labelled(along, gained[name], _UNIT, words) for name, words in _WORDS.items()
        }
        for name in BOUNDS:
            ratio = _ratio(reference["information"], reference[name])
            words = f"mean-field information over {name.replace('_', ' ')}"
            labelled[f"predicted_{name}_ratio"] = Labelled(("time",), ratio[0], "", words)
            # To leading order the rest has the noise of a ratio of means.
            rest = gained["information"] - ratio * gained[name]
            words = "information less its mean-field prediction"
            labelled[f"{name}_rest"] = Labelled(along, rest, _UNIT, words)
        separation = jnp.mean(curve.scale_separation[:, 1:], axis=1)
        diverged = curve.diverged_step >= 0
        return labelled | {
            "time": Labelled(("time",), curve.times, TIME_UNIT, "time"),
            "scale_separation": per_trajectory(separation, "", "input noise over bath noise"),
            "diverged": per_trajectory(diverged, "", "fraction that turned non-finite"),
        }

    def efficiencies(
        self, results: "xarray.Dataset"
    ) -> tuple[np.ndarray, dict[str, dict[str, dict[str, np.ndarray]]]]:
        """Times after the start; by rule and bound η(t), its standard error, and the mean field."""
        rules = {}
        for _, _, entry in self.points(results):
            curves = {}
            for name in BOUNDS:
                spent = entry[name].values[1:]
                curves[name] = {
                    "mean": entry.information.values[1:] / spent,
                    "standard_error": entry[f"{name}_rest_standard_error"].values[1:] / abs(spent),
                    "predicted": entry[f"predicted_{name}_ratio"].values[1:],
                }
            rules[str(entry.rule.values)] = curves
        return np.asarray(results.time.values)[1:], rules

    def summary(self, results):
        times, efficiencies = self.efficiencies(results)
        rules: dict[str, dict[str, Any]] = {}
        for label, curves in efficiencies.items():
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
                        error_text(best),
                        f"{best['time']:.3g}",
                        error_text(end),
                        f"{end['predicted']:.5g}",
                    ]
                )
        note = "η: information gained over entropy produced, at most 1."
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note} To t = {summary['t1']:g}, {sample}; k_B = 1."

    def figures(self, results):
        times, efficiencies = self.efficiencies(results)
        return {"learning_efficiency": _figure(times, efficiencies, self.config.title)}


def _budget(problem: LearningProblem, curve: LearningCurve) -> dict[str, Array]:
    """Information gained and entropy produced since the start, `(trajectory, save)`."""
    return {
        "information": curve.information - curve.information[:, :1],
        "entropy_production": curve.entropy_production,
        "averaged_entropy_production": averaged_entropy_production(problem, curve),
    }


def _ratio(part: Float[Array, "..."], whole: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(whole == 0, 0, part / jnp.where(whole == 0, 1, whole))


def _figure(times: np.ndarray, efficiencies: Mapping[str, Any], title: str) -> "Figure":
    """η(t) by rule, measured with bands and of the mean field, for both bounds."""
    figure, axes = new_figure(10.8, 4.4, columns=2)
    for ax, (name, words) in zip(axes, _PANELS.items(), strict=True):
        for index, (rule, curves) in enumerate(efficiencies.items()):
            curve = curves[name]
            band(ax, times, curve["mean"], np.nan_to_num(curve["standard_error"]), index, rule)
            ax.plot(times, curve["predicted"], ":", color=line_style(index)["color"], linewidth=1.2)
        ax.set_xscale("log")
        ax.set_xlabel(r"time $t$  [$1/\mu k$]")
        ax.set_ylabel(rf"efficiency $\eta$ {words}")
        ax.set_ylim(bottom=0)
    top = axes[0].get_ylim()[1]
    axes[0].set_ylim(top=min(1.05, max(top, 0.1)))
    caption(axes[0], title, "bands: ± 2 standard errors; dotted: mean field")
    legend_beside(axes[1])
    return figure
