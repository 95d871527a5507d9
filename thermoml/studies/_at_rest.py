"""What the studies of learning at rest share: a run that begins there, beside its prediction."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ..numerics.labels import Labelled
from ..perceptron import LearningCurve, LearningProblem, MeanField, SteadyState, learn, steady_state
from ._base import per_trajectory
from ._problems import LEVELS, ProblemStudy

_DISSIPATION = "energy/time"
_WORDS = {
    "error": ("", "generalization error ε at rest"),
    "overlap": ("", "overlap R at rest"),
    "norm": ("", "norm Q at rest"),
    "dissipation": (_DISSIPATION, "dissipation ν̃²(E F² - |E ξσF|²/N) at rest"),
}


class RestStudy(ProblemStudy):
    """Ensembles of perceptrons that have learned, at each point of a grid."""

    def measure(
        self,
        problem: LearningProblem,
        ensemble: Mapping[str, Any],
        dt: float,
        level: str,
        state: SteadyState | None = None,
    ) -> dict[str, Labelled]:
        """Averages over the last half of a run that begins at rest, one row a trajectory."""
        state = steady_state(problem) if state is None else state
        curve = self._run(problem, LEVELS[level](dt), dt, state, **ensemble)
        found = _late(problem, curve)
        return {
            **{name: per_trajectory(x, *_WORDS[name]) for name, x in found.items()},
            "scale_separation": per_trajectory(
                jnp.mean(curve.scale_separation[:, 1:], axis=1),
                "",
                "input noise per step over bath noise",
            ),
            "diverged": per_trajectory(
                (curve.diverged_step >= 0) & jnp.isfinite(problem.learning_rate),
                "",
                "fraction of the trajectories that turned non-finite",
            ),
        }

    def predict(self, problem: LearningProblem, rows: int, dt: float) -> dict[str, Labelled]:
        """The same without noise, and without finite steps and sizes (`limit_…`).

        Steps are those of the mean field with finite steps, and what a finite N adds is that of the
        exact steady state with separated time scales.
        """
        limit = steady_state(problem)
        exact = steady_state(problem, exact=True)
        curve = self._run(problem, MeanField(dt, finite_step=True), dt, limit)
        found, rest, finite = _late(problem, curve), _still(problem, limit), _still(problem, exact)
        labelled = {}
        for name, (units, words) in _WORDS.items():
            expected = found[name][0] + finite[name] - rest[name]
            values = {f"predicted_{name}": expected, f"limit_{name}": rest[name]}
            endings = ("predicted for these N, B and dt", "as N → ∞ and dt → 0")
            for (key, value), ending in zip(values.items(), endings, strict=True):
                row = jnp.broadcast_to(value, (rows,))
                labelled[key] = per_trajectory(row, units, f"{words}, {ending}")
        return labelled

    def _run(
        self, problem: LearningProblem, level: Any, dt: float, state: SteadyState, **ensemble: Any
    ) -> LearningCurve:
        config = self.config
        return learn(
            problem,
            level,
            t1=config.t1,
            save_every=config.steps(dt) // config.saves,
            weights=state,
            teachers="ensemble",
            throw=False,
            **ensemble,
        )


def _per_input(problem: LearningProblem) -> Array:
    """B/N, which makes heat per weight and time the N-free dissipation."""
    return problem.batch / jnp.asarray(problem.n_inputs, problem.learning_rate.dtype)


def _late(problem: LearningProblem, curve: LearningCurve) -> dict[str, Array]:
    """Averages over the last half of the saves, `[trajectory]`."""
    half = (curve.overlap.shape[1] - 1) // 2
    heat, times = curve.heat, curve.times
    rate = (heat[:, -1] - heat[:, half]) / (times[-1] - times[half])
    found = {
        name: jnp.mean(getattr(curve, name)[:, half + 1 :], axis=1)
        for name in ("error", "overlap", "norm")
    }
    return found | {"dissipation": rate * _per_input(problem)}


def _still(problem: LearningProblem, state: SteadyState) -> dict[str, Array]:
    found = {name: getattr(state, name) for name in ("error", "overlap", "norm")}
    assert state.excess_rate is not None
    size = jnp.asarray(problem.n_inputs, state.overlap.dtype)
    heat = state.excess_rate * problem.temperature / size
    return found | {"dissipation": heat * _per_input(problem)}
