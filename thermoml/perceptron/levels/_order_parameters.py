"""Order parameters: a student's components parallel and perpendicular to the teacher."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ...ensembles import WEIGHTS
from ...numerics.arrays import is_concrete
from ...numerics.compile import jitted
from ...numerics.random import row_numbers, trajectory_streams
from ...numerics.sums import CompensatedSum
from .._curve import PlaneCheckpoint
from ..problem import LearningProblem, Perceptron, check_known_law
from ..theory import SteadyState
from ._level import Request, begin, go_on
from ._students import AbstractStudents, metered

_SHARED = ("work", "diverged_step", "stiffness", "step", "clock", "first_trajectory")


class PlaneStudents(AbstractStudents):
    """M students w = √N (R e₁ + P e₂), e₁ along the teacher."""

    overlap: Float[Array, " M"]
    transverse: Float[Array, " M"]  # P
    work: CompensatedSum
    drive_square: Float[Array, " M"]
    diverged_step: Int[Array, " M"]

    @classmethod
    def at(cls, checkpoint: PlaneCheckpoint) -> "PlaneStudents":
        """The students of a checkpoint."""
        overlap, transverse = checkpoint.plane.T
        return cls(
            overlap=overlap,
            transverse=transverse,
            work=checkpoint.work,
            drive_square=jnp.zeros_like(overlap),
            diverged_step=checkpoint.diverged_step,
        )

    def position(self) -> dict[str, Array]:
        """R and P as a checkpoint holds them."""
        return {"plane": jnp.stack([self.overlap, self.transverse], axis=1)}

    def record(self, n_steps: int) -> tuple["PlaneStudents", dict[str, Array]]:
        """The students with an empty meter, and what is kept of them at a save."""
        square = self.transverse**2
        position = {
            "overlap": self.overlap,
            "norm": self.overlap**2 + square,
            "transverse": square,
        }
        return metered(self, position, n_steps)


def plane_checkpoint(
    problem: LearningProblem,
    request: Request,
    name: str,
    *,
    n_inputs: Float[Array, ""] | None = None,
    generator: str = "hash",
) -> PlaneCheckpoint:
    """Where students start: drawn from N(0, T/k) (the mean of it for N → ∞), given, or a curve.

    Raises:
        ValueError: inputs that are not random, test inputs, or weights without a teacher.
    """
    check_known_law(problem.inputs, name)
    if request.test_inputs is not None:
        raise ValueError(f"test_inputs must be left out for {name}, which has no weights to test")
    curve = request.continued
    if curve is not None:
        checkpoint = go_on(problem, curve, request)
        if isinstance(checkpoint, PlaneCheckpoint):
            return checkpoint
        plane = jnp.stack([curve.overlap[:, -1], jnp.sqrt(curve.transverse[:, -1])], axis=1)
        fields = {name: getattr(checkpoint, name) for name in _SHARED}
        return PlaneCheckpoint(plane=plane, **fields)
    if isinstance(request.weights, SteadyState):
        place = jnp.asarray(request.weights.plane, request.dtype)
        plane = jnp.tile(place[None], (request.n_trajectories, 1))
    elif request.weights is not None:
        plane = _projected(request, name)
    elif is_concrete(problem.stiffness) and not float(problem.stiffness) > 0:
        raise ValueError(
            "weights must be given when stiffness is 0: there is no equilibrium to start from"
        )
    else:
        variance = (problem.temperature, problem.stiffness)
        key = None if n_inputs is None else request.drawing_key
        plane = _at_equilibrium(key, request.indices, n_inputs, variance, generator)
    return PlaneCheckpoint(plane=plane, **begin(problem, request))


@jitted
def _at_equilibrium(
    key: Key[Array, ""] | None,
    indices: Int[Array, " trajectory"],
    n_inputs: Float[Array, ""] | None,
    variance: tuple[Float[Array, ""], Float[Array, ""]],
    generator: str,
) -> Float[Array, "trajectory 2"]:
    """R and P of weights N(0, a/b) for a variance (a, b); their mean for N → ∞."""
    width = jnp.sqrt(variance[0] / variance[1])
    if n_inputs is None or key is None:
        return jnp.tile(width * jnp.asarray([[0, 1]], width.dtype), (len(indices), 1))
    streams = trajectory_streams(key, indices, WEIGHTS, generator)
    draws = streams.at(jnp.asarray(0))
    along = draws.normals(row_numbers(1), n_inputs.dtype)[0] / jnp.sqrt(n_inputs)
    across = draws.chi_square_ratios(1, n_inputs[None] - 1, n_inputs)[0]
    return width * jnp.stack([along, jnp.sqrt(across)], axis=1)


def _projected(request: Request, name: str) -> Float[Array, "trajectory 2"]:
    """R and P of given weights and a given teacher."""
    weights, teacher = (
        x.weights if isinstance(x, Perceptron) else x for x in (request.weights, request.teacher)
    )
    if callable(weights) or callable(teacher) or teacher is None:
        raise ValueError(
            f"weights must be left out for {name}, or be arrays or a curve; arrays need a teacher "
            "to be measured against, teacher=array of the same width"
        )
    weights, teacher = (jnp.atleast_2d(jnp.asarray(x, request.dtype)) for x in (weights, teacher))
    counts = {len(weights), len(teacher)} - {1, request.n_trajectories}
    if weights.shape[-1] != teacher.shape[-1] or weights.ndim != 2 or counts:
        raise ValueError(
            f"weights and teacher must have shape (N,) or ({request.n_trajectories}, N), got "
            f"{weights.shape} and {teacher.shape}"
        )
    if is_concrete(teacher) and not (np.linalg.norm(np.asarray(teacher), axis=1) > 0).all():
        raise ValueError("teacher must not be zero or nan: it has no direction")
    count = request.n_trajectories
    weights, teacher = (jnp.broadcast_to(x, (count, x.shape[-1])) for x in (weights, teacher))
    direction = teacher / jnp.linalg.norm(teacher, axis=1, keepdims=True)
    along = jnp.sum(weights * direction, axis=1, keepdims=True)
    across = jnp.linalg.norm(weights - along * direction, axis=1)
    return jnp.stack([along[:, 0], across], axis=1) / weights.shape[1] ** 0.5
