"""Ground states: the minimum of the potential energy, with a certificate."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ...numerics.arrays import held, is_concrete
from ...numerics.compile import jitted
from ...numerics.results import AbstractResult
from ...numerics.roots import newton_root
from ._curvature import loss_curvatures, whitened
from ._energy import AbstractEnergy
from ._learning import AbstractLearning, LinearLearning


class GroundState(AbstractResult):
    """A minimum of the energy.

    Attributes:
        parameters: where it lies, like the system's state.
        energy: E there.
        certificate: a bound on the distance from a minimum: the gradient's norm, or for kinked
            energies the gap between E and the lower bound of the dual problem, in units of energy.
    """

    parameters: PyTree[Float[Array, "..."]]
    energy: Float[Array, "..."]
    certificate: Float[Array, "..."]

    def _summary(self):
        return "Ground state", {"energy": self.energy, "certificate": self.certificate}


def ground_state(
    system: AbstractLearning, start: PyTree[Any] | None = None, *, max_steps: int = 2000
) -> GroundState:
    r"""The minimum potential energy $E_\min = \min_\theta E(\theta)$ of a system.

    Linear models: mean squared error by the normal equations; mean absolute error by linear or
    quadratic programming, with its dual as lower bound; others, such as cross-entropy, by BFGS
    (optimistix) and Newton's method. Their minimum is global where the energy is convex, and its
    energy is differentiable in data and prior. Networks: by BFGS from `start`; a local minimum.

    Args:
        system: a `LinearLearning` or `NetworkLearning`.
        start: where the search begins, like the system's state, or a network; required for
            networks, and for linear models whose energy is not convex.
        max_steps: of the search.

    Returns:
        A `GroundState`.

    Raises:
        ValueError: there is no minimum, or no single one: fewer examples than parameters, separable
            classes, classes that can be shifted together. The message says what to add. A start of
            another structure than the state.

    Cost: linear: O(nd² + d³) a step; networks: a gradient and O(d²) a step.
    """
    if isinstance(system, LinearLearning):
        check_normalisable(system)
        return linear_minimum(system.form, system, start, max_steps)
    if start is None:
        raise ValueError("start must be given for a network, such as system.state(network)")
    return _descended(system, _checked_start(system, start), max_steps, False)


@functools.singledispatch
def linear_minimum(
    energy: AbstractEnergy, system: LinearLearning, start: PyTree[Any] | None, max_steps: int
) -> GroundState:
    """The minimum of a linear model by descent, for any energy; checked unless traced.

    Raises:
        ValueError: the energy is not convex and there is no start; there is no single minimum; the
            search did not reach it, as at kinks.
    """
    lowest = linear_descent(system, start, max_steps)
    _check_minimum(system, start, lowest)
    return lowest


def linear_descent(
    system: LinearLearning, start: PyTree[Any] | None, max_steps: int
) -> GroundState:
    """The minimum of a linear model with a smooth convex energy, from 0 if there is no start."""
    if start is None:
        start = jnp.zeros(system.like.shape, system.like.dtype)
    return _descended(system, _checked_start(system, start), max_steps, True)


def _checked_start(system: AbstractLearning, start: PyTree[Any]) -> PyTree[Array]:
    """The arrays of a start, or ValueError where they are not those of the state."""
    start = eqx.filter(start, eqx.is_inexact_array)
    like = system.like
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (start, like)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"start must be like the system's state, with arrays of shapes {shapes[1]}, got "
            f"{shapes[0]}"
        )
    leaves = zip(jax.tree.leaves(start), jax.tree.leaves(like), strict=True)
    return jax.tree.unflatten(jax.tree.structure(like), [x.astype(s.dtype) for x, s in leaves])


@jitted
def _descended(
    system: AbstractLearning, start: PyTree[Array], max_steps: int, polish: bool
) -> GroundState:
    """By BFGS; polished to rounding by Newton's method, with implicit derivatives."""
    vector, unravel = ravel_pytree(start)
    exact = vector.dtype == jnp.float64
    tolerance = 1e-9 if exact else 1e-5

    def energy(x, system):
        return system.total_energy(unravel(x))

    solver = optx.BFGS(rtol=tolerance, atol=tolerance)
    fixed = held(system)
    end = optx.minimise(energy, solver, vector, fixed, max_steps=max_steps, throw=False).value
    end = lax.stop_gradient(end)
    if polish:
        end = newton_root(lambda x: jax.grad(energy)(x, system), end)
    slope = jax.grad(energy)(end, system)
    return GroundState(unravel(end), energy(end, system), jnp.linalg.norm(slope))


class _Surroundings(NamedTuple):
    """The energy about the point θ̂ where a descent ended.

    Attributes:
        origin, here, beyond: E at 0, at θ̂, and at 2θ̂.
        above: E(θ̂) less the minimum of the parabola through it (Newton's decrement).
        flattest, steepest: least and largest eigenvalue of the Hessian where XᵀX/n + k is 1.
        flatness: the ratio of these at 0; 1 where a prior holds every direction.
        concave, convex: least and largest curvature of a loss in its outputs, at 0 and at θ̂.
    """

    origin: Float[Array, ""] | float
    here: Float[Array, ""] | float
    beyond: Float[Array, ""] | float
    above: Float[Array, ""] | float
    flattest: Float[Array, ""] | float
    steepest: Float[Array, ""] | float
    flatness: Float[Array, ""] | float
    concave: Float[Array, ""] | float
    convex: Float[Array, ""] | float


@jitted
def _surroundings(system: LinearLearning, end: Array, free: bool) -> _Surroundings:
    basis = whitened(system.features, system.prior_stiffness)[0]
    unwhiten = lambda z: (z.reshape(-1, basis.shape[0]) @ basis.T).reshape(end.shape)  # noqa: E731
    about = lambda z, x: system.total_energy(x + unwhiten(z))  # noqa: E731
    middle, zero = jnp.zeros((end.size,), end.dtype), jnp.zeros_like(end)
    slope, hessian = jax.grad(about)(middle, end), jax.hessian(about)(middle, end)
    spectrum = jnp.linalg.eigvalsh(hessian)
    flatness = 1.0
    if free:
        spectrum_at_0 = jnp.linalg.eigvalsh(jax.hessian(about)(middle, zero))
        flatness = spectrum_at_0[0] / spectrum_at_0[-1]
    losses = jnp.stack([loss_curvatures(system, x) for x in (zero, end)])
    bends = jnp.linalg.eigvalsh(losses)
    return _Surroundings(
        origin=system.total_energy(zero),
        here=system.total_energy(end),
        beyond=system.total_energy(2 * end),
        above=slope @ jnp.linalg.solve(hessian, slope) / 2,
        flattest=spectrum[0],
        steepest=spectrum[-1],
        flatness=flatness,
        concave=jnp.min(bends),
        convex=jnp.max(bends),
    )


def _check_minimum(system: LinearLearning, start: Any, lowest: GroundState) -> None:
    """ValueError where descent did not end in the one minimum of a convex energy."""
    if not is_concrete((system, lowest)):
        return
    name, free = type(system.form).__name__, float(system.prior_stiffness) == 0
    at = _Surroundings(*(float(x) for x in _surroundings(system, lowest.parameters, free)))
    rounding = float(jnp.finfo(system.features.dtype).eps)
    if start is None and at.concave < -1e-3 * at.convex:
        raise ValueError(
            f"{name} is not convex on these data, so that a linear model may have several minima: "
            "give ground_state or Laplace a start, like the system's state, for the minimum near "
            "it; or sample the trained state by Switching"
        )
    remedy = "and there is no trained state; add prior_stiffness > 0"
    flat = f"the energy of {name} is flat along some direction, as where all classes shift together"
    if free and at.flatness < 100 * rounding:
        raise ValueError(f"{flat}, {remedy}")
    fall = at.origin - at.here
    runaway = fall > 1e-3 * abs(at.origin) and not at.beyond - at.here > 1e-3 * fall
    if free and (runaway or not np.isfinite(at.here)):
        raise ValueError(
            f"the energy of {name} falls for ever along some direction, as for separable classes, "
            f"{remedy}"
        )
    if free and at.convex > 0 and at.flattest < 100 * rounding * at.steepest:
        raise ValueError(f"{flat}, {remedy}")
    if not (at.flattest > 0 and at.above <= 1e-3 * fall + 1e-6 * abs(at.here)):
        raise ValueError(
            f"the search for the minimum of {name} ended before it was reached (gradient norm "
            f"{float(lowest.certificate):.2g}): more max_steps, or another start; kinks must be "
            "rounded off, or the class needs a linear_minimum of its own (see AbstractEnergy)"
        )


def check_normalisable(system: LinearLearning) -> None:
    r"""ValueError where $e^{-E/\tau}$ cannot be normalised; the message says what to add.

    Inside jit or vmap nothing is checked: the results are then NaN or meaningless.
    """
    if not is_concrete((system.features, system.targets, system.prior_stiffness)):
        return
    if float(system.prior_stiffness) > 0:
        return
    features = np.asarray(system.features, float)
    n, d = features.shape
    add = "add prior_stiffness > 0"
    unseen = np.flatnonzero(~features.any(axis=0))
    if unseen.size:
        raise ValueError(
            f"feature {unseen[0]} is 0 in every example, so nothing holds its weight: drop it, "
            f"or {add}"
        )
    rank = int(np.linalg.matrix_rank(features))
    if rank < d:
        why = f"{n} examples are" if n < d else f"features of rank {rank} are"
        raise ValueError(
            f"{why} too few to hold {d} parameters: the energy is flat in {d - rank} directions "
            f"and there is no trained state; {add}, or drop dependent features"
        )
    check_bounded(system.form, system)


@functools.singledispatch
def check_bounded(energy: AbstractEnergy, system: LinearLearning) -> None:
    """ValueError where a linear model without a prior has no minimum, for reasons of its energy.

    It is called with concrete data of full rank. The default checks nothing.
    """
