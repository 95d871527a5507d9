"""Trained states in the harmonic approximation about one minimum, and as normal distributions."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.arrays import held, is_concrete
from ...numerics.checks import check_count, check_flag, check_key
from ...numerics.compile import jitted
from ...numerics.lanczos import probe_log_determinants
from ...numerics.statistics import Estimate
from ...numerics.types import AnyArray
from ...thermodynamics import NormalState, gaussian_entropy
from ..learning import (
    AbstractLearning,
    GroundState,
    bath_temperature,
    ground_state,
    has_curvature,
    several_states,
)
from ._boltzmann import AbstractRoute, Boltzmann, about_minimum, from_entropy

_DENSE = 1500  # parameters up to which the Hessian is written out


class Laplace(AbstractRoute):
    r"""The harmonic approximation about one minimum, good for τ → 0.

    $$U = E_\min + \tfrac{d\tau}2, \qquad S = \tfrac12\big[d\ln2\pi e\tau - \ln\det H\big] +
      \ln n_\text{copies}$$

    It covers one minimum of a network: give the logarithm of the number of its equivalent copies
    (`log_copies`) to count them all. Other minima and anharmonic parts are neglected.

    Args:
        start: where the search for the minimum begins, like the system's state; not needed for
            linear models with a convex energy.
        log_copies: ln n, such as `log_copies(8)` of a tanh layer of 8 units.
        log_determinant: "dense", "lanczos" (stochastic, with a standard error), or "auto", which
            is dense up to 1500 parameters.
        n_probes, order: of the stochastic Lanczos quadrature, at least 2 each.
        key: of its probes; required for them.
        max_steps: of the search.

    Raises:
        ValueError: the Hessian where the search ended is not positive definite, or the search
            ended too early; an energy without curvature, such as mean absolute error.
        TypeError: no key for the probes.

    Differentiable in data, prior and temperature; "lanczos" in first order, by the same probes,
    without the motion of a network's minimum. Its determinant is exact for each probe where the
    space of the products closes, as with repeated eigenvalues.

    Cost: O(d³), or n_probes · order products with the Hessian and O(order² d).

    Source: stochastic Lanczos quadrature: Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. 38, 1075.
    """

    start: PyTree[Any] | None = None
    log_copies: Any = 0.0
    log_determinant: Literal["auto", "dense", "lanczos"] = eqx.field(static=True, default="auto")
    n_probes: int = eqx.field(static=True, default=30)
    order: int = eqx.field(static=True, default=40)
    key: Key[Array, ""] | None = None
    max_steps: int = eqx.field(static=True, default=2000)

    def __check_init__(self):
        if self.log_determinant not in ("auto", "dense", "lanczos"):
            raise ValueError(
                'log_determinant must be "auto", "dense" or "lanczos", got '
                f"{self.log_determinant!r}"
            )
        for name in ("n_probes", "order"):
            check_count(name, getattr(self, name), 2)

    def find(self, system):
        size, probes = system.n_parameters, None
        if self.log_determinant == "lanczos" or (self.log_determinant == "auto" and size > _DENSE):
            probes = _Probes(check_key(self.key, "probes"), self.n_probes, min(self.order, size))
        lowest = ground_state(system, self.start, max_steps=self.max_steps)
        _refuse_planes(system, lowest)
        bath = bath_temperature(system).astype(lowest.energy.dtype)
        if probes is None:
            state, smallest, above = _dense(system, lowest.parameters, lowest.energy, bath)
            _refuse_saddle(smallest, lowest.certificate)
            _refuse_slope(above, bath)
        else:
            state = _by_lanczos(system, lowest.parameters, lowest.energy, bath, probes)
            _refuse_saddle(state.entropy.mean, lowest.certificate)
        return _with_copies(state, jnp.asarray(self.log_copies, bath.dtype), bath)


def _with_copies(state: Boltzmann, log_copies: Array, temperature: Array) -> Boltzmann:
    """The same state in each of several copies of a minimum."""
    entropy, free_energy = state.entropy, state.free_energy
    return eqx.tree_at(
        lambda s: (s.entropy.mean, s.free_energy.mean),
        state,
        (entropy.mean + log_copies, free_energy.mean - temperature * log_copies),
    )


def _refuse_planes(system: AbstractLearning, lowest: GroundState) -> None:
    curved = jitted(has_curvature)(system, lowest.parameters)
    if is_concrete(curved) and not curved:
        name = type(system.form).__name__
        raise ValueError(
            f"{name} has no curvature at the minimum, so Laplace does not apply; use Importance "
            "or Switching"
        )


def _refuse_saddle(value: Array, certificate: Array) -> None:
    if is_concrete(value) and not (np.isfinite(value) and float(value) > -np.inf):
        raise ValueError(
            "the Hessian is not positive definite where the search ended (gradient norm "
            f"{float(certificate):.2g}): more max_steps, another start, or a stiffer prior"
        )


def _refuse_slope(above: Array, temperature: Array) -> None:
    if is_concrete(above) and float(above) > 0.01 * float(temperature):
        raise ValueError(
            f"the search ended {float(above):.2g} above the minimum, which is not small relative "
            f"to τ = {float(temperature):g}: more max_steps, or another start"
        )


@jitted
def _dense(
    system: AbstractLearning,
    state: PyTree[Array],
    lowest: Float[Array, ""],
    temperature: Float[Array, ""],
) -> tuple[Boltzmann, Float[Array, ""], Float[Array, ""]]:
    """By the whole Hessian; its least eigenvalue, and how far above the minimum the state is."""
    vector, unravel = ravel_pytree(state)
    energy = lambda x: system.total_energy(unravel(x))  # noqa: E731
    # Newton's step is tiny, but it carries the derivative of the minimum in data and prior
    slope, fixed = jax.grad(energy)(vector), lax.stop_gradient(jax.hessian(energy)(vector))
    step = jnp.linalg.solve(fixed, slope)
    above = lax.stop_gradient(slope @ step / 2)
    vector = vector - step
    hessian = jax.hessian(energy)(vector)
    hessian = (hessian + hessian.T) / 2
    smallest = jnp.linalg.eigvalsh(lax.stop_gradient(hessian))[0]
    normal = NormalState(vector, jnp.linalg.inv(hessian) * temperature)
    log_det = jnp.linalg.slogdet(hessian)[1]
    boltzmann = about_minimum(lowest, log_det, vector.size, temperature, normal)
    return boltzmann, jnp.where(smallest > 0, smallest, -jnp.inf), above


class _Probes(NamedTuple):
    """Random vectors of a stochastic Lanczos quadrature, and its order."""

    key: Key[Array, ""]
    number: int
    order: int


@jitted
def _by_lanczos(
    system: AbstractLearning,
    state: PyTree[Array],
    lowest: Float[Array, ""],
    temperature: Float[Array, ""],
    probes: _Probes,
) -> Boltzmann:
    """By products with the Hessian, and an estimate of its determinant."""
    vector, unravel = ravel_pytree(state)

    def times(system, x, v):
        slope = jax.grad(lambda y: system.total_energy(unravel(y)))
        return jax.jvp(slope, (x,), (v,))[1]

    fixed, x = held((system, vector))
    probed = lax.stop_gradient(
        probe_log_determinants(
            lambda v: times(fixed, x, v),
            x,
            key=probes.key,
            n_probes=probes.number,
            order=probes.order,
        )
    )
    # A term of value 0 with the derivative zᵀA⁻¹ dA z of each probe's logarithm.
    slopes = jax.vmap(lambda z, y: y @ times(system, vector, z))(probed.probe, probed.solution)
    mean, error = Estimate.of(probed.log_determinant)
    log_det = mean + jnp.mean(slopes - lax.stop_gradient(slopes))
    boltzmann = about_minimum(lowest, log_det, vector.size, temperature)
    return eqx.tree_at(
        lambda b: (b.entropy.standard_error, b.free_energy.standard_error),
        boltzmann,
        (error / 2, temperature * error / 2),
    )


class Gaussian(AbstractRoute):
    r"""The normal distribution with the mean and covariance of relaxed states.

    Its entropy is the largest of all with that covariance, so an upper bound: a loose one where
    the states lie in several minima. It needs more states than parameters.

    Args:
        states: relaxed, each leaf `[trajectory, …]`, such as the `final_state` of a long run.

    Raises:
        ValueError: no more states than parameters.
    """

    states: PyTree[Float[AnyArray, "trajectory ..."]]

    def find(self, system):
        states = several_states(system, self.states)
        entropy = gaussian_entropy(states)
        return from_entropy(system, states, Estimate(entropy.entropy, entropy.standard_error))


def log_copies(*widths: int, odd: bool = True) -> Float[Array, ""]:
    r"""Logarithm of the number of equivalent copies of a network's minimum.

    $$\ln\prod_l2^{h_l}h_l!$$

    since the h units of a hidden layer can be exchanged, and the sign of each flipped where the
    activation is odd (tanh, erf; not ReLU, GELU).

    Args:
        widths: h of each hidden layer.
        odd: whether signs are counted.

    Raises:
        ValueError: a width below 1.
    """
    for width in widths:
        check_count("width", width)
    check_flag("odd", odd)
    h = jnp.asarray(widths, float)
    return jnp.sum(gammaln(h + 1) + (h * np.log(2) if odd else 0))
