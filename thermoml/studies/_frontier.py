"""The study `frontier`: what rules pay for an error, a learned one too, and the least of all."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..config import Frontier
from ..numerics.statistics import text_with_error
from ..perceptron import (
    CustomRule,
    LearningProblem,
    at_dissipation,
    dissipation_bound,
    steady_state,
)
from ..plots import frontier
from ..sweeps import Grid
from ..tuning import tune
from ._at_rest import RestStudy
from ._base import pair, per_trajectory
from ._table import sample_text, table_text

_TOLERANCE = 1e-7
NETWORK = "network, learned"


class NetworkForce(eqx.Module):
    """F(s) = 1 + a multilayer perceptron with tanh units: Hebbian learning, and what helps."""

    network: eqx.nn.MLP

    def __init__(self, width: int, depth: int, key: Any, dtype: Any):
        self.network = eqx.nn.MLP("scalar", "scalar", width, depth, jnp.tanh, key=key, dtype=dtype)

    def __call__(self, s: Float[Array, ""]) -> Float[Array, ""]:
        return 1 + self.network(s)


class FrontierStudy(RestStudy):
    """Rules along one axis, the dissipation that they may have along the other."""

    config: Frontier

    @property
    def grid(self):
        rules: dict[str, Any] = {rule.label: rule.build() for rule in self.config.rules}
        if self.config.network is not None:
            rules[NETWORK] = None
        return Grid(rule=rules, budget=self.config.dissipation)

    @property
    def _bath(self):
        return {"stiffness": self.config.stiffness, "temperature": self.config.temperature}

    def _learned(self, budget: Array) -> LearningProblem:
        """The problem whose network has the least error at this dissipation.

        The network and the rate are tuned together, the dissipation is held by a constraint.
        """
        network = self.config.network
        assert network is not None
        key = jax.random.key(self.config.seed)
        force = NetworkForce(network.width, network.depth, key, budget.dtype)
        scale = self.config.stiffness * self.config.temperature

        def problem(parameters):
            force, log_rate = parameters
            rule = CustomRule(force, continuous=True)
            return self.problem(rule, jnp.exp(log_rate), n_inputs=None)

        def objective(parameters):
            state = steady_state(problem(parameters))
            return state.error, state.dissipation / budget - 1

        found = tune(
            objective,
            (force, jnp.log(budget / scale) / 2),
            constraint=True,
            max_steps=network.max_steps,
            tolerance=_TOLERANCE,
        )
        return problem(found.parameters)

    def point(self, ensemble, **parameters):
        rule, budget = parameters["rule"], parameters["budget"]
        config, rows = self.config, ensemble["n_trajectories"]
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
        labelled = {
            name: per_trajectory(jnp.broadcast_to(value, (rows,)), units, words)
            for name, (value, units, words) in limits.items()
        }
        problem = dataclasses.replace(free, n_inputs=config.n_inputs)
        return labelled | self.measure(problem, ensemble, config.dt, config.level)

    def summary(self, results):
        points = []
        for _, at, entry in self.points(results):
            numbers = {name: pair(entry, name) for name in ("error", "dissipation")}
            limits = ("learning_rate", "limit_error", "limit_dissipation", "efficiency")
            points.append(
                {"rule": str(entry.rule.values), "budget": at["budget"]}
                | {name: float(entry[name]) for name in limits}
                | numbers
                | {"scale_separation": float(entry.scale_separation)}
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [["rule", "dissipation", "error ε", "efficiency", "measured ε", "measured diss."]]
        for entry in summary["points"]:
            numbers = ["limit_dissipation", "limit_error", "efficiency"]
            rows.append(
                [
                    entry["rule"],
                    *(f"{entry[name]:.5g}" for name in numbers),
                    text_with_error(**entry["error"]),
                    text_with_error(**entry["dissipation"]),
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
        return {"frontier": frontier(results, errors, least, self.config.title)}
