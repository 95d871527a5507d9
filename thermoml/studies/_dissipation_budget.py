"""The study `dissipation_budget`: which α learns best for the same heat?"""

import dataclasses
import math

import jax.numpy as jnp

from ..config import RULES, DissipationBudget
from ..numerics.statistics import text_with_error
from ..perceptron import at_dissipation, dissipation_bound, steady_state
from ..plots import error_at_dissipation
from ..sweeps import Grid
from ..tuning import tune
from ._at_rest import RestStudy
from ._base import deviation, pair, per_trajectory
from ._table import sample_text, table_text

_STEPS = 80  # of the search for the best α


class DissipationBudgetStudy(RestStudy):
    """α along one axis, also where the search for the best one begins; budgets along the other."""

    config: DissipationBudget

    @property
    def grid(self):
        return Grid(budget=self.config.dissipation, alpha=self.config.alpha)

    def _free(self, alpha, budget):
        """The problem of infinite N that dissipates so much."""
        rule = RULES[self.config.rule](alpha)
        return at_dissipation(self.problem(rule, 1.0, n_inputs=None), budget)

    def point(self, ensemble, **parameters):
        alpha, budget = parameters["alpha"], parameters["budget"]
        config, rows = self.config, ensemble["n_trajectories"]
        problem = dataclasses.replace(self._free(alpha, budget), n_inputs=config.n_inputs)
        tuned = tune(lambda a: steady_state(self._free(a, budget)).error, alpha, max_steps=_STEPS)
        best = {
            "learning_rate": (problem.learning_rate, "learning rate ν̃ of this dissipation"),
            "best_alpha": (tuned.parameters, "α of least error, found by gradient from this α"),
            "best_error": (tuned.value, "generalization error ε there, as N → ∞ and dt → 0"),
        }
        good = {"learning_rate": True, "best_alpha": tuned.converged, "best_error": tuned.converged}
        found = {
            name: per_trajectory(
                jnp.broadcast_to(jnp.where(good[name], value, jnp.nan), (rows,)), "", words
            )
            for name, (value, words) in best.items()
        }
        measured = self.measure(problem, ensemble, config.dt, config.level)
        return measured | self.predict(problem, rows, config.dt) | found

    def summary(self, results):
        config, budgets = self.config, []
        scale = {"stiffness": config.stiffness, "temperature": config.temperature}
        for budget in results.budget.values:
            rows = [entry for _, at, entry in self.points(results) if at["budget"] == budget]
            ends = [(float(x.best_error), float(x.best_alpha)) for x in rows]
            ends = sorted(end for end in ends if math.isfinite(end[0]))
            best = None
            if ends:
                error, alpha = ends[0]
                reached = [a for e, a in ends if e < error + 1e-9]
                efficiency = float(dissipation_bound(jnp.asarray(error), **scale)) / float(budget)
                best = {
                    "alpha": alpha,
                    "error": error,
                    "efficiency": efficiency,
                    "starts": len(reached),
                    "spread": max(reached) - min(reached),
                }
            points = [
                {
                    "alpha": float(x.alpha),
                    "learning_rate": float(x.learning_rate),
                    "error": pair(x, "error") | {"predicted": float(x.predicted_error)},
                    "limit_error": float(x.limit_error),
                    "dissipation": pair(x, "dissipation")
                    | {"predicted": float(x.predicted_dissipation)},
                    "deviation": deviation(x, "error"),
                }
                for x in rows
            ]
            budgets.append({"dissipation": float(budget), "best": best, "points": points})
        return {
            "study": config.study,
            "n_trajectories": config.n_trajectories,
            "budgets": budgets,
        }

    def table(self, summary):
        rows = [["dissipation", "α", "rate ν̃", "error ε", "predicted", "limit"]]
        notes = []
        for entry in summary["budgets"]:
            for x in entry["points"]:
                rows.append(
                    [
                        f"{entry['dissipation']:g}",
                        f"{x['alpha']:g}",
                        f"{x['learning_rate']:.4g}",
                        text_with_error(x["error"]["mean"], x["error"]["standard_error"]),
                        f"{x['error']['predicted']:.5g}",
                        f"{x['limit_error']:.6g}",
                    ]
                )
            best, total = entry["best"], len(entry["points"])
            notes.append(
                f"At {entry['dissipation']:g}: "
                + (
                    f"α* = {best['alpha']:.6f} with ε = {best['error']:.6f}, efficiency "
                    f"{best['efficiency']:.4f}; {best['starts']} of {total} starts reach it"
                    if best
                    else "no search for the best α converged"
                )
            )
        notes.append(f"At rest, {sample_text(summary['n_trajectories'])}; k_B = 1.")
        return "\n".join([table_text(rows), *notes])

    def figures(self, results):
        return {"error_at_dissipation": error_at_dissipation(results, self.config.title)}
