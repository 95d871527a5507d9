"""Error against α at the same dissipation, and the best α by gradient."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import model_validator

from ...config import Numbers, Positive
from ...numerics.labels import Labelled
from ...numerics.tables import table_text
from ...perceptron import LearningProblem, at_dissipation, dissipation_bound, steady_state
from ...plots import caption, error_bars, line_style, new_figure
from ...sweeps import Grid
from ...tuning import tune
from .._table import deviation, error_text, measured, once, sample_text, stored
from ._at_rest import ERROR, MEASURED, OneLevel, RestStudy, check_family
from ._learning import rule_maker

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_STEPS = 80  # of the search for the best α


class DissipationBudget(OneLevel):
    """Values of α and dissipations; `rule` is a rule whose only parameter is alpha."""

    rule: str = "alpha_tron"
    alpha: Numbers
    dissipation: Positive

    @model_validator(mode="after")
    def _check_alpha(self):
        for alpha in self.alpha:
            if alpha <= -0.5:
                raise ValueError(f"alpha must be above -1/2 to dissipate finitely, got {alpha:g}")
        check_family(self.rule, self.alpha)
        return self


class DissipationBudgetStudy(RestStudy):
    """α along one axis, also where the search for the best one begins; budgets along the other."""

    config: DissipationBudget

    @property
    def grid(self):
        return Grid(budget=self.config.dissipation, alpha=self.config.alpha)

    def point(self, ensemble, *, alpha, budget):
        config = self.config
        problem = dataclasses.replace(self._free(alpha, budget), n_inputs=config.n_inputs)
        return (
            self.measure(problem, ensemble, dt=config.dt, level=config.level)
            | self.predict(problem, dt=config.dt)
            | self._search(alpha, budget, problem.learning_rate)
        )

    def _free(self, alpha: Float[Array, ""], budget: Any) -> LearningProblem:
        """The problem of infinite N with this dissipation."""
        rule = rule_maker(self.config.rule)(alpha)
        return at_dissipation(self.problem(rule, 1.0, n_inputs=None), budget)

    def _search(
        self, alpha: Float[Array, ""], budget: Float[Array, ""], rate: Float[Array, ""]
    ) -> dict[str, Labelled]:
        """The best α that a search from this one ends at, NaN unless it converges."""
        tuned = tune(lambda a: steady_state(self._free(a, budget)).error, alpha, max_steps=_STEPS)
        best = {
            "learning_rate": (rate, "learning rate ν̃ of this dissipation"),
            "best_alpha": (
                jnp.where(tuned.converged, tuned.parameters, jnp.nan),
                "α of least error by gradient from this α",
            ),
            "best_error": (
                jnp.where(tuned.converged, tuned.value, jnp.nan),
                "generalization error ε at that α, as N → ∞ and dt → 0",
            ),
        }
        return {name: once(value, "", words) for name, (value, words) in best.items()}

    def summary(self, results):
        budgets = []
        for budget in results.budget.values:
            rows = [entry for _, at, entry in self.points(results) if at["budget"] == budget]
            points = [
                {
                    "alpha": float(entry.alpha),
                    "learning_rate": float(entry.learning_rate),
                    "error": _with_prediction(entry, "error"),
                    "limit_error": float(entry.limit_error),
                    "dissipation": _with_prediction(entry, "dissipation"),
                    "deviation": deviation(entry, "error"),
                }
                for entry in rows
            ]
            best = self._best(float(budget), rows)
            budgets.append({"dissipation": float(budget), "best": best, "points": points})
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "budgets": budgets,
        }

    def _best(self, budget: float, rows: "Sequence[xarray.Dataset]") -> dict[str, Any] | None:
        """The end of least error among the searches of a budget, None if none converged."""
        ends = [(float(entry.best_error), float(entry.best_alpha)) for entry in rows]
        ends = sorted(end for end in ends if math.isfinite(end[0]))
        if not ends:
            return None
        error, alpha = ends[0]
        config, reached = self.config, [a for e, a in ends if e < error + 1e-9]
        least = dissipation_bound(
            jnp.asarray(error), stiffness=config.stiffness, temperature=config.temperature
        )
        return {
            "alpha": alpha,
            "error": error,
            "efficiency": float(least) / budget,
            "starts": len(reached),
            "spread": max(reached) - min(reached),
        }

    def table(self, summary):
        rows = [["dissipation", "α", "rate ν̃", "error ε", "predicted", "limit"]]
        notes = []
        for entry in summary["budgets"]:
            for point in entry["points"]:
                rows.append(
                    [
                        f"{entry['dissipation']:g}",
                        f"{point['alpha']:g}",
                        f"{point['learning_rate']:.4g}",
                        error_text(point["error"]),
                        f"{point['error']['predicted']:.5g}",
                        f"{point['limit_error']:.6g}",
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
        return {"error_at_dissipation": _figure(results, self.config.title)}


def _with_prediction(entry: "xarray.Dataset", name: str) -> dict[str, Any]:
    return measured(entry, name) | {"predicted": float(entry[f"predicted_{name}"])}


def _figure(results: "xarray.Dataset", title: str) -> "Figure":
    """Error against α at the same dissipation; a star where the search for the best α ends."""
    budgets = results.budget.values
    figure, axes = new_figure(max(6.4, 4.1 * len(budgets)), 4.4, columns=len(budgets))
    alphas = results.alpha.values
    for index, (ax, budget) in enumerate(zip(axes, budgets, strict=True)):
        entry = results.sel(budget=budget)
        color = line_style(index)["color"]
        ax.plot(alphas, entry.predicted_error.values, color=color, linewidth=1.4)
        ax.plot(alphas, entry.limit_error.values, ":", color=color, linewidth=1.1)
        error_bars(ax, alphas, stored(entry, "error"), index, label="measured")
        if np.isfinite(entry.best_error.values).any():
            best = entry.isel(alpha=int(np.nanargmin(entry.best_error.values)))
            ax.plot(
                [float(best.best_alpha)],
                [float(best.best_error)],
                "*",
                color="black",
                markersize=11,
                label=rf"$\alpha^*$ = {float(best.best_alpha):.4f}",
                zorder=5,
            )
        ax.set_xlabel(r"$\alpha$")
        words = rf"$\tilde\nu^2\mathrm{{E}}[F^2]$ = {budget:g}"
        ax.legend(frameon=False, fontsize=8, title=words, loc="upper center")
    axes[0].set_ylabel(ERROR)
    caption(axes[0], title, f"{MEASURED}; dotted, and star: $N\\to\\infty$, $dt\\to 0$")
    return figure
