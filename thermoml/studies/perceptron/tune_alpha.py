"""Gradients in α at every level and by every method, and where tuning by them ends."""

import dataclasses
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field, model_validator

from ...config import Numbers, Strict, check_different
from ...numerics.tables import table_text
from ...perceptron import LearningObjective, LearningProblem, MeanField, at_dissipation
from ...plots import MARKERS, caption, error_bars, legend_beside, line_style, new_figure
from ...sweeps import Grid
from ...tuning import tune
from .._table import error_text, measured, once, per_trajectory, sample_text, stored
from ._at_rest import LEVELS, OneLevel, ProblemStudy, check_family
from ._learning import rule_maker

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_TUNED = ("best_alpha", "best_error", "best_error_uncertainty")


class Way(Strict):
    """A level of description, a method for gradients there, and a number of steps to tune by it."""

    level: Literal["mean_field", "reduced", "microscopic"] = "mean_field"
    method: Literal[
        "auto", "pathwise", "finite_difference", "likelihood_ratio", "jump_corrected"
    ] = "auto"
    steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_method(self):
        needed = {"likelihood_ratio": "microscopic", "jump_corrected": "reduced"}
        if self.level != needed.get(self.method, self.level):
            raise ValueError(f"{self.method} needs level: {needed[self.method]}, got {self.level}")
        return self

    @property
    def label(self) -> str:
        """The way in figures and tables."""
        method = "" if self.method == "auto" else f", {self.method}"
        return f"{self.level}{method}".replace("_", " ")


class TuneAlpha(OneLevel):
    """Values of α, a dissipation, and ways to tune; `rule` has alpha as its only parameter."""

    rule: str = "alpha_tron"
    alpha: Numbers
    dissipation: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    ways: list[Way] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_parts(self):
        check_family(self.rule, self.alpha)
        check_different("ways", [way.label for way in self.ways])
        return self


class TuneAlphaStudy(ProblemStudy):
    """Levels and methods along one axis, α, where tuning begins, along the other."""

    config: TuneAlpha

    @property
    def grid(self):
        return Grid(way={way.label: way for way in self.config.ways}, alpha=self.config.alpha)

    def _objective(self, way: Way, n_trajectories: int) -> LearningObjective:
        config = self.config

        def problem(alpha: Float[Array, ""]) -> LearningProblem:
            free = self.problem(rule_maker(config.rule)(alpha), 1.0, n_inputs=None)
            free = at_dissipation(free, config.dissipation)
            return dataclasses.replace(free, n_inputs=config.n_inputs)

        level = MeanField if way.level == "mean_field" else LEVELS[way.level]
        return LearningObjective(
            problem,
            level(config.dt),
            t1=config.t1,
            n_trajectories=n_trajectories,
            method=way.method,
        )

    def point(self, ensemble, *, way, alpha):
        rows, first = ensemble["n_trajectories"], ensemble["first_trajectory"]
        alone = way.level == "mean_field"
        objective = self._objective(way, 1 if alone else rows)
        values, slopes = objective.samples(alpha, ensemble["key"], first)
        best = value = error = jnp.asarray(jnp.nan, slopes.dtype)
        if way.steps:
            tuned = tune(objective, alpha, key=ensemble["key"], max_steps=way.steps)
            best = jnp.where(tuned.converged, tuned.parameters, jnp.nan)
            value, error = tuned.value, tuned.value_error
        variables = {
            "error": (values, "generalization error ε at the end"),
            "slope": (slopes[:, 0], "derivative of the error in α"),
            "diverged": (~jnp.isfinite(values), "fraction of trajectories that are not finite"),
        }
        return {
            "best_alpha": once(best, "", "α at the end of tuning from here"),
            "best_error": once(value, "", "generalization error ε at that α"),
            "best_error_uncertainty": once(error, "", "its standard error in the run that tuned"),
            **{
                name: per_trajectory(jnp.broadcast_to(x, (rows,)), "", words)
                for name, (x, words) in variables.items()
            },
        }

    def summary(self, results):
        points = [
            {"way": parameters["way"].label, "alpha": parameters["alpha"]}
            | {name: measured(entry, name) for name in ("error", "slope")}
            | {name: float(entry[name]) for name in _TUNED}
            for _, parameters, entry in self.points(results)
        ]
        return {
            "study": self.config.study,
            "dissipation": self.config.dissipation,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "points": points,
        }

    def table(self, summary):
        rows = [["way", "α", "error ε", "dε/dα", "tuned to α", "with ε"]]
        for entry in summary["points"]:
            best = {"mean": entry["best_error"], "standard_error": entry["best_error_uncertainty"]}
            tuned = [f"{entry['best_alpha']:.6f}", error_text(best)]
            rows.append(
                [
                    entry["way"],
                    f"{entry['alpha']:g}",
                    error_text(entry["error"]),
                    error_text(entry["slope"]),
                    *(tuned if np.isfinite(entry["best_alpha"]) else ["", ""]),
                ]
            )
        note = f"At t = {summary['t1']:g}, where learning dissipates {summary['dissipation']:g} at "
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note}rest; {sample}; k_B = 1."

    def figures(self, results):
        return {"gradients_and_optima": _figure(results, self.config.title)}


def _figure(results: "xarray.Dataset", title: str) -> "Figure":
    """The error and its derivative against α at each level, and the α where tuning ends."""
    figure, (left, right) = new_figure(11.6, 4.4, columns=2)
    alphas = results.alpha.values
    apart = np.ptp(alphas) * 0.006
    for index, way in enumerate(results.way.values):
        entry = results.sel(way=way)
        marker = MARKERS[index % len(MARKERS)]
        exact = not (entry.error_standard_error.values > 1e-12).any()
        shift = 0 if exact else apart * (index - 1)
        for ax, name in ((left, "error"), (right, "slope")):
            error_bars(
                ax,
                alphas + shift,
                stored(entry, name),
                index,
                fmt=f"{marker}-" if exact else marker,
                linewidth=1.3,
                label=str(way),
            )
        best = entry.best_alpha.values
        if np.isfinite(best).any():
            left.plot(
                best,
                entry.best_error.values,
                "*",
                color=line_style(index)["color"],
                markeredgecolor="black",
                markersize=10,
                zorder=5,
            )
    right.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"generalization error $\varepsilon$ at the end")
    right.set_ylabel(r"$\mathrm{d}\varepsilon/\mathrm{d}\alpha$ at fixed dissipation")
    for ax in (left, right):
        ax.set_xlabel(r"$\alpha$")
        ax.locator_params(axis="x", nbins=6)
    caption(left, title, "bars: 2 standard errors; stars: where tuning ended")
    legend_beside(right)
    return figure
