"""Error against dissipation: the rules, a rule learned by gradient, and the bound for any rule."""

import dataclasses
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key
from pydantic import Field, model_validator

from ...config import Positive, Strict, check_different
from ...numerics.tables import table_text
from ...perceptron import (
    CustomRule,
    LearningProblem,
    at_dissipation,
    dissipation_bound,
    steady_state,
)
from ...plots import caption, error_bars, line_style, new_figure
from ...sweeps import Grid
from ...tuning import tune
from .._table import error_text, measured, once, sample_text, stored
from ._at_rest import DISSIPATION, ERROR, OneLevel, RestStudy
from ._learning import Rule

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

NETWORK = "network, learned"
_TOLERANCE = 1e-7  # of the search for the best network
_LIMITS = ("learning_rate", "limit_error", "limit_dissipation", "efficiency")


class Network(Strict):
    """A rule F(s) that is a multilayer perceptron with tanh units, and the steps of its search."""

    width: int = Field(default=8, ge=1)
    depth: int = Field(default=2, ge=1)
    max_steps: int = Field(default=300, ge=1)


class Frontier(OneLevel):
    """Rules, a network to learn, and dissipations."""

    rules: list[Rule] = Field(min_length=1)
    network: Network | None = Network()
    dissipation: Positive

    @model_validator(mode="after")
    def _check_rules(self):
        check_different("rules", [rule.label for rule in self.rules])
        return self


class NetworkForce(eqx.Module):
    """F(s) = 1 + a multilayer perceptron with tanh units, corrections to Hebbian learning."""

    network: eqx.nn.MLP

    def __init__(self, width: int, depth: int, *, key: Key[Array, ""], dtype: DTypeLike):
        self.network = eqx.nn.MLP("scalar", "scalar", width, depth, jnp.tanh, key=key, dtype=dtype)

    def __call__(self, s: Float[Array, ""]) -> Float[Array, ""]:
        return 1 + self.network(s)


class FrontierStudy(RestStudy):
    """Rules along one axis, dissipations along the other."""

    config: Frontier

    @property
    def grid(self):
        rules: dict[str, Any] = {rule.label: rule.build() for rule in self.config.rules}
        if self.config.network is not None:
            rules[NETWORK] = None
        return Grid(rule=rules, budget=self.config.dissipation)

    @property
    def _bath(self) -> dict[str, float]:
        return {"stiffness": self.config.stiffness, "temperature": self.config.temperature}

    def _learned(self, budget: Float[Array, ""]) -> LearningProblem:
        """The problem whose network has the least error at this dissipation.

        Network and rate are tuned together, with the dissipation as a constraint.
        """
        network = self.config.network
        assert network is not None
        key = jax.random.key(self.config.seed)
        force = NetworkForce(network.width, network.depth, key=key, dtype=budget.dtype)
        scale = self.config.stiffness * self.config.temperature

        def problem(parameters):
            force, log_rate = parameters
            rule = CustomRule(force, continuous=True)
            return self.problem(rule, jnp.exp(log_rate), n_inputs=None)

        def objective(parameters):
            state = steady_state(problem(parameters))
            return state.error, state.dissipation / budget - 1

        tuned = tune(
            objective,
            (force, jnp.log(budget / scale) / 2),
            constraint=True,
            max_steps=network.max_steps,
            tolerance=_TOLERANCE,
        )
        return problem(tuned.parameters)

    def point(self, ensemble, *, rule, budget):
        config = self.config
        if rule is None:
            free = self._learned(jnp.asarray(budget))
        else:
            free = at_dissipation(self.problem(rule, 1.0, n_inputs=None), budget)
        state = steady_state(free)
        least = dissipation_bound(state.error, **self._bath)
        limits = {
            "learning_rate": (free.learning_rate, "", "learning rate ν̃"),
            "limit_error": (state.error, "", "generalization error ε at rest, as N → ∞ and dt → 0"),
            "limit_dissipation": (
                state.dissipation,
                "energy/time",
                "dissipation ν̃²E F² at rest, as N → ∞ and dt → 0",
            ),
            "efficiency": (
                least / state.dissipation,
                "",
                "least dissipation of any rule with this error over that of the rule",
            ),
        }
        problem = dataclasses.replace(free, n_inputs=config.n_inputs)
        measurement = self.measure(problem, ensemble, dt=config.dt, level=config.level)
        return {name: once(*limit) for name, limit in limits.items()} | measurement

    def summary(self, results):
        points = [
            {"rule": str(entry.rule.values), "budget": parameters["budget"]}
            | {name: float(entry[name]) for name in _LIMITS}
            | {name: measured(entry, name) for name in ("error", "dissipation")}
            | {"scale_separation": float(entry.scale_separation)}
            for _, parameters, entry in self.points(results)
        ]
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [["rule", "dissipation", "error ε", "efficiency", "measured ε", "measured diss."]]
        for entry in summary["points"]:
            limits = ["limit_dissipation", "limit_error", "efficiency"]
            rows.append(
                [
                    entry["rule"],
                    *(f"{entry[name]:.5g}" for name in limits),
                    error_text(entry["error"]),
                    error_text(entry["dissipation"]),
                ]
            )
        note = "Efficiency: least dissipation of any rule at this error over that of the rule."
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note}\nMeasured at rest, {sample}; k_B = 1."

    def figures(self, results):
        reached = results.limit_error.values
        reached = reached[np.isfinite(reached)]
        errors = np.linspace(0.9 * reached.min(), min(0.499, 1.02 * reached.max()), 200)
        least = np.asarray(dissipation_bound(jnp.asarray(errors), **self._bath))
        return {"frontier": _figure(results, errors, least, self.config.title)}


def _figure(
    results: "xarray.Dataset", errors: np.ndarray, least: np.ndarray, title: str
) -> "Figure":
    """Error against dissipation for every rule, and the least dissipation at each error."""
    figure, (left, right) = new_figure(11.4, 4.8, columns=2)
    left.plot(least, errors, color="black", linewidth=2.2, label=r"bound $D_{\min}(\varepsilon)$")
    left.fill_between(least, 0, errors, color="0.93", linewidth=0)
    right.axhline(1, color="black", linewidth=2.2)
    for index, rule in enumerate(results.rule.values):
        entry = results.sel(rule=rule)
        learned = str(rule) == NETWORK
        style = line_style(index) | ({"linestyle": "none"} if learned else {"linewidth": 1.5})
        marks = {"marker": "D", "markersize": 5} if learned else {}
        cost = entry.limit_dissipation.values
        left.plot(cost, entry.limit_error.values, label=str(rule), **style, **marks)
        right.plot(cost, entry.efficiency.values, **style, **marks)
        error_bars(
            left,
            stored(entry, "dissipation"),
            stored(entry, "error"),
            index,
            fmt="o",
            markersize=3,
            markerfacecolor="white",
            linewidth=1,
            capsize=0,
        )
    costs = results.limit_dissipation.values
    left.set_xlim(0.6 * np.nanmin(costs), 1.5 * np.nanmax(costs))
    left.set_ylim(errors.min(), errors.max())
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel(DISSIPATION)
    left.set_ylabel(ERROR)
    right.set_ylabel(r"efficiency $D_{\min}(\varepsilon)/D$")
    right.set_ylim(0, 1.06)
    words = r"lines, diamonds: $N\to\infty$, $dt\to 0$; circles: measured ± 2 standard errors"
    caption(left, title, f"{words}; grey: no rule")
    left.legend(frameon=False, fontsize=8, loc="lower left")
    return figure
