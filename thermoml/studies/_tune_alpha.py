"""The study `tune_alpha`: the best α at a dissipation, by the gradients of all levels."""

import dataclasses

import jax.numpy as jnp

from ..config import RULES, TuneAlpha
from ..numerics.statistics import text_with_error
from ..perceptron import LearningObjective, MeanField, at_dissipation
from ..plots import gradients_and_optima
from ..sweeps import Grid
from ..tuning import tune
from ._base import pair, per_trajectory
from ._problems import LEVELS, ProblemStudy
from ._table import sample_text, table_text


class TuneAlphaStudy(ProblemStudy):
    """Levels and methods along one axis, α, where tuning begins, along the other."""

    config: TuneAlpha

    @property
    def grid(self):
        return Grid(way={way.label: way for way in self.config.ways}, alpha=self.config.alpha)

    def _objective(self, way, n_trajectories):
        config = self.config

        def build(alpha):
            free = self.problem(RULES[config.rule](alpha), 1.0, n_inputs=None)
            free = at_dissipation(free, config.dissipation)
            return dataclasses.replace(free, n_inputs=config.n_inputs)

        level = MeanField if way.level == "mean_field" else LEVELS[way.level]
        return LearningObjective(
            build,
            level(config.dt),
            t1=config.t1,
            n_trajectories=n_trajectories,
            method=way.method,
        )

    def point(self, ensemble, **parameters):
        way, alpha = parameters["way"], parameters["alpha"]
        rows, first = ensemble["n_trajectories"], ensemble["first_trajectory"]
        alone = way.level == "mean_field"
        objective = self._objective(way, 1 if alone else rows)
        values, slopes = objective.samples(alpha, ensemble["key"], first)
        best = value = error = jnp.asarray(jnp.nan, slopes.dtype)
        if way.steps:
            tuned = tune(objective, alpha, key=ensemble["key"], max_steps=way.steps)
            best = jnp.where(tuned.converged, tuned.parameters, jnp.nan)
            value, error = tuned.value, tuned.value_error
        found = {
            "error": (values, "generalization error ε at the end"),
            "slope": (slopes[:, 0], "derivative of the error in α"),
            "best_alpha": (best, "α that tuning found from here"),
            "best_error": (value, "generalization error ε there"),
            "best_error_uncertainty": (error, "its standard error in the run that tuned"),
            "diverged": (~jnp.isfinite(values), "fraction of trajectories that are not finite"),
            "scale_separation": (jnp.zeros(()), "not measured"),
        }
        return {
            name: per_trajectory(jnp.broadcast_to(x, (rows,)), "", words)
            for name, (x, words) in found.items()
        }

    def summary(self, results):
        points = []
        for _, at, entry in self.points(results):
            names = ("best_alpha", "best_error", "best_error_uncertainty")
            points.append(
                {"way": at["way"].label, "alpha": at["alpha"]}
                | {name: pair(entry, name) for name in ("error", "slope")}
                | {name: float(entry[name]) for name in names}
            )
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
            tuned = [f"{entry['best_alpha']:.6f}"]
            tuned.append(text_with_error(entry["best_error"], entry["best_error_uncertainty"]))
            rows.append(
                [
                    entry["way"],
                    f"{entry['alpha']:g}",
                    text_with_error(**entry["error"]),
                    text_with_error(**entry["slope"]),
                    *(tuned if entry["best_alpha"] == entry["best_alpha"] else ["", ""]),
                ]
            )
        note = f"At t = {summary['t1']:g}, where learning dissipates {summary['dissipation']:g} at "
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note}rest; {sample}; k_B = 1."

    def figures(self, results):
        return {"gradients_and_optima": gradients_and_optima(results, self.config.title)}
