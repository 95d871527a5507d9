"""Ground states: the minimum of the potential energy, with a certificate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PyTree

from ...numerics.arrays import is_concrete
from ...numerics.roots import newton_root
from ._energies import CrossEntropy, MeanAbsoluteError, MeanSquaredError
from ._learning import AbstractLearning, LinearLearning
from ._least_absolute import least_absolute


class GroundState(eqx.Module):
    """A minimum of the energy.

    Attributes:
        parameters: where it lies, like the system's state.
        energy: E there.
        certificate: how far from a minimum it may be: the gradient's norm, or for kinked energies
            the gap between E and the lower bound of the dual problem, in units of energy.
    """

    parameters: PyTree[Float[Array, "..."]]
    energy: Float[Array, ""]
    certificate: Float[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.energy):
            return "GroundState (traced)"
        if np.ndim(self.energy):
            return f"GroundState (a batch of shape {np.shape(self.energy)})"
        return f"E = {float(self.energy):.6g} (certificate {float(self.certificate):.1g})"


def ground_state(
    system: AbstractLearning, start: PyTree[Any] | None = None, *, max_steps: int = 2000
) -> GroundState:
    r"""The minimum potential energy $E_\min = \min_\theta E(\theta)$ of a system.

    Linear models: mean squared error by the normal equations; cross-entropy by Newton's method;
    mean absolute error by linear or quadratic programming, with its dual as lower bound. Their
    minimum is global, and its energy is differentiable in data and prior. Networks: by BFGS
    (optimistix) from `start`; a local minimum.

    Args:
        system: a `LinearLearning` or `NetworkLearning`.
        start: where the search begins, like the system's state, or a network; needed for networks.
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
        if isinstance(system.form, MeanSquaredError):
            return _least_squares(system)
        if isinstance(system.form, MeanAbsoluteError):
            return _least_absolute(system)
    if start is None:
        if not isinstance(system, LinearLearning):
            raise ValueError("start must be given for a network, such as system.state(network)")
        start = jnp.zeros(system.like.shape, system.like.dtype)
    return _descended(system, _checked_start(system, start), max_steps)


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


@eqx.filter_jit
def _least_squares(system: LinearLearning) -> GroundState:
    basis, white = whitened(system.features, system.prior_stiffness)
    targets = system.targets.astype(basis.dtype)
    right = (system.features @ basis).T @ targets / targets.shape[0]
    found = basis @ jnp.linalg.solve(white, right if right.ndim == 2 else right[:, None])
    parameters = found[:, 0] if right.ndim == 1 else found.T
    slope = jax.grad(system.total_energy)(parameters)
    return GroundState(parameters, system.total_energy(parameters), jnp.linalg.norm(slope))


def whitened(features: Float[Array, "n d"], stiffness: Array) -> tuple[Array, Array]:
    r"""An upper triangular P, and PᵀHP = 1 to rounding, of $H = X^\top X/n + k$.

    From a QR decomposition, whose rounding grows like the condition number of X and not like its
    square, as it would were H inverted: a column of ones beside one of years leaves float32 none.
    P is held fixed under differentiation; what is made of both has the right derivatives.
    """
    count, size = features.shape
    stiffness = stiffness.astype(features.dtype)
    eye = jnp.eye(size, dtype=features.dtype)
    rows = [features / jnp.sqrt(jnp.asarray(count, features.dtype)), jnp.sqrt(stiffness) * eye]
    upper = jnp.linalg.qr(jnp.concatenate(lax.stop_gradient(rows)), mode="r")
    basis = solve_triangular(upper, eye)
    shown = features @ basis
    return basis, shown.T @ shown / count + stiffness * (basis.T @ basis)


@eqx.filter_jit
def _descended(system: AbstractLearning, start: PyTree[Array], max_steps: int) -> GroundState:
    vector, unravel = ravel_pytree(start)
    exact = vector.dtype == jnp.float64
    tolerance = 1e-9 if exact else 1e-5

    def energy(x, system):
        return system.total_energy(unravel(x))

    frozen = lax.stop_gradient(eqx.filter(system, eqx.is_inexact_array))
    frozen = eqx.combine(frozen, system)
    solver = optx.BFGS(rtol=tolerance, atol=tolerance)
    found = optx.minimise(energy, solver, vector, frozen, max_steps=max_steps, throw=False).value
    found = lax.stop_gradient(found)
    if isinstance(system, LinearLearning):  # convex: to rounding, with implicit derivatives
        found = newton_root(lambda x: jax.grad(energy)(x, system), found)
    slope = jax.grad(energy)(found, system)
    return GroundState(unravel(found), energy(found, system), jnp.linalg.norm(slope))


def _least_absolute(system: LinearLearning) -> GroundState:
    """Primal and dual from the host. E = u·y/n - |Xᵀu/n|²/2k, |u| <= 1, has the same value, and
    its derivative at fixed u and θ is that of the minimum."""
    dtype = system.features.dtype
    targets = system.targets.astype(dtype)
    columns = targets if targets.ndim == 2 else targets[:, None]
    shapes = (
        jax.ShapeDtypeStruct((columns.shape[1], system.features.shape[1]), dtype),
        jax.ShapeDtypeStruct(columns.shape, dtype),
    )
    given = lax.stop_gradient((system.features, columns, system.prior_stiffness.astype(dtype)))
    found, dual = jax.pure_callback(least_absolute, shapes, *given, vmap_method="sequential")
    parameters = found if system.n_outputs is not None else found[0]
    residual = columns - system.features @ found.T
    count = columns.shape[0]
    prior = system.prior_stiffness.astype(dtype) / 2 * jnp.sum(found**2)
    energy = jnp.sum(dual * residual) / count + prior
    reached = lax.stop_gradient(system.total_energy(parameters))
    force = dual.T @ system.features / count  # is kθ at the minimum
    stiffness = jnp.maximum(system.prior_stiffness.astype(dtype), jnp.finfo(dtype).tiny)
    bound = jnp.sum(dual * columns) / count - jnp.where(
        system.prior_stiffness > 0, jnp.sum(force**2) / (2 * stiffness), 0
    )
    energy = energy + lax.stop_gradient(reached - energy)
    return GroundState(parameters, energy, lax.stop_gradient(jnp.abs(reached - bound)))


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
    if not isinstance(system.form, CrossEntropy):
        return
    if system.n_outputs is not None:
        raise ValueError(
            "the energy of a softmax does not change when all classes shift together, so there is "
            f"no trained state; {add}"
        )
    if _separable(features, np.asarray(system.targets)):
        raise ValueError(
            "the classes are separable by a plane: the energy falls for ever along its normal and "
            f"there is no trained state; {add}"
        )


def _separable(features: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a w has s_i w·x_i >= 0 for all examples, > 0 for some (Albert and Anderson 1984)."""
    from scipy.optimize import linprog

    size = np.linalg.norm(features, axis=1, keepdims=True)
    signed = np.where(labels > 0, 1, -1)[:, None] * features / np.where(size > 0, size, 1)
    found = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        bounds=(-1, 1),
        method="highs",
    )
    return bool(-found.fun > 1e-6 * len(signed))  # beyond the feasibility tolerance
