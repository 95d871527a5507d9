r"""Curvature of the energy, in closed form or by automatic differentiation."""

import functools
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, PyTree

from ._energy import AbstractEnergy
from ._learning import AbstractLearning, LinearLearning


@functools.singledispatch
def is_harmonic(energy: AbstractEnergy) -> bool:
    r"""Whether $\ell = \tfrac12|f - y|^2$: linear models are then harmonic, and all is exact."""
    return False


def is_harmonic_system(system: AbstractLearning) -> TypeGuard[LinearLearning]:
    """Whether the system is a linear model in a harmonic potential."""
    return isinstance(system, LinearLearning) and is_harmonic(system.form)


def harmonic_stiffness(system: LinearLearning) -> Float[Array, "d d"]:
    """H of a harmonic linear model, over the parameters of all outputs."""
    moments = system.second_moments
    block = moments + system.prior_stiffness * jnp.eye(moments.shape[0], dtype=moments.dtype)
    outputs = 1 if system.n_outputs is None else system.n_outputs
    return jnp.kron(jnp.eye(outputs, dtype=moments.dtype), block)


def whitened(
    features: Float[Array, "n d"], stiffness: Float[Array, ""]
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    r"""An upper triangular P, and PᵀHP = 1 to rounding, of $H = X^\top X/n + k$.

    From a QR decomposition, whose rounding grows with the condition number of X rather than its
    square, as it would if H were inverted: a column of ones next to one of years leaves float32
    no digits. P is held fixed under differentiation; results computed from both have the right
    derivatives.
    """
    count, size = features.shape
    stiffness = stiffness.astype(features.dtype)
    eye = jnp.eye(size, dtype=features.dtype)
    rows = [features / jnp.sqrt(jnp.asarray(count, features.dtype)), jnp.sqrt(stiffness) * eye]
    upper = jnp.linalg.qr(jnp.concatenate(lax.stop_gradient(rows)), mode="r")
    basis = solve_triangular(upper, eye)
    projected = features @ basis
    return basis, projected.T @ projected / count + stiffness * (basis.T @ basis)


def loss_curvatures(
    system: AbstractLearning, state: PyTree[Any]
) -> Float[Array, "n outputs outputs"]:
    """∂²ℓ/∂f² of each example, at the outputs of a state."""
    outputs = system.outputs(state, system.features)
    each = jax.vmap(jax.hessian(system.form.loss))(outputs, system.targets)
    width = outputs.size // outputs.shape[0]
    return each.reshape(-1, width, width)


def has_curvature(system: AbstractLearning, state: PyTree[Any]) -> Bool[Array, ""]:
    """Whether the loss of any example is curved at the outputs of a state.

    If not, the energy of a linear model is made of planes and kinks, as for absolute errors.
    """
    outputs = system.outputs(state, system.features)
    slopes = lambda f: jax.vmap(jax.grad(system.form.loss))(f, system.targets)  # noqa: E731
    # Not along the vector of ones, in which all classes shift together
    along = jnp.arange(1, outputs[0].size + 1).astype(outputs.dtype).reshape(outputs[0].shape)
    bent = jax.jvp(slopes, (outputs,), (jnp.broadcast_to(along, outputs.shape),))[1]
    return jnp.any(bent != 0)
