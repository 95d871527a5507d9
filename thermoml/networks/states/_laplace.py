"""Trained states about one minimum, and from samples: quick, with limits."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.arrays import is_concrete
from ...numerics.checks import check_count
from ...thermodynamics import NormalState, gaussian_entropy
from ..learning import (
    AbstractLearning,
    MeanAbsoluteError,
    bath_temperature,
    first_key,
    ground_state,
    several_states,
)
from ._boltzmann import AbstractRoute, Boltzmann, harmonic, of_states

_DENSE = 1500  # parameters up to which the Hessian is written out


class Laplace(AbstractRoute):
    r"""The harmonic approximation about one minimum, good for τ → 0.

    $$U = E_\min + \tfrac{d\tau}2, \qquad S = \tfrac12\big[d\ln2\pi e\tau - \ln\det H\big] +
      \ln n_\text{copies}$$

    It sees one minimum of a network: give the logarithm of the number of its equivalent copies
    (`log_copies`) to count them all. It knows neither other minima nor anharmonic parts.

    Args:
        start: where the search for the minimum begins, like the system's state; linear models do
            without.
        log_copies: ln n, such as `log_copies(8)` of a tanh layer of 8 units.
        log_determinant: "dense", "lanczos" (stochastic, with a standard error), or "auto", which
            is dense up to 1500 parameters.
        n_probes, order: of the stochastic Lanczos quadrature.
        key: of its probes; without one `jax.random.key(0)`.
        max_steps: of the search.

    Raises:
        ValueError: the Hessian at the point that was found is not positive definite, or the search
            ended too early; mean absolute error, which has no Hessian.

    Differentiable in data, prior and temperature where the determinant is dense; "lanczos" leaves
    out how the minimum of a network moves.

    Cost: O(d³), or n_probes · order products with the Hessian and O(order² d).

    Source: stochastic Lanczos quadrature: Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. 38, 1075
    (matfree).
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
        if isinstance(system.form, MeanAbsoluteError):
            raise ValueError(
                "MeanAbsoluteError has no curvature, so Laplace does not apply; use Importance or "
                "Switching"
            )
        lowest = ground_state(system, self.start, max_steps=self.max_steps)
        vector, _ = ravel_pytree(lowest.parameters)
        dense = self.log_determinant == "dense" or (
            self.log_determinant == "auto" and vector.size <= _DENSE
        )
        bath = bath_temperature(system).astype(vector.dtype)
        if dense:
            found, smallest, above = _dense(system, lowest.parameters, lowest.energy, bath)
            _refuse_saddle(smallest, lowest.certificate)
            _refuse_slope(above, bath)
        else:
            order = min(self.order, vector.size)
            found = _by_lanczos(
                system,
                lowest.parameters,
                lowest.energy,
                bath,
                first_key(self.key),
                self.n_probes,
                order,
            )
            _refuse_saddle(found.entropy[0], lowest.certificate)
        more = jnp.asarray(self.log_copies, vector.dtype)
        free, error = found.free_energy
        return eqx.tree_at(
            lambda f: (f.entropy, f.free_energy),
            found,
            ((found.entropy[0] + more, found.entropy[1]), (free - bath * more, error)),
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
            f"the search ended some {float(above):.2g} above the minimum, which is not little "
            f"beside τ = {float(temperature):g}: more max_steps, or another start"
        )


@eqx.filter_jit
def _dense(
    system: AbstractLearning, state: PyTree[Array], lowest: Array, temperature: Array
) -> tuple[Boltzmann, Float[Array, ""], Float[Array, ""]]:
    vector, unravel = ravel_pytree(state)
    energy = lambda x: system.total_energy(unravel(x))  # noqa: E731
    # Newton's step changes little but carries how the minimum moves with data and prior
    slope, fixed = jax.grad(energy)(vector), lax.stop_gradient(jax.hessian(energy)(vector))
    step = jnp.linalg.solve(fixed, slope)
    above = lax.stop_gradient(slope @ step / 2)
    vector = vector - step
    hessian = jax.hessian(energy)(vector)
    hessian = (hessian + hessian.T) / 2
    smallest = jnp.linalg.eigvalsh(lax.stop_gradient(hessian))[0]
    normal = NormalState(vector, jnp.linalg.inv(hessian) * temperature)
    log_det = jnp.linalg.slogdet(hessian)[1]
    found = harmonic(lowest, log_det, vector.size, temperature, normal)
    return found, jnp.where(smallest > 0, smallest, -jnp.inf), above


@eqx.filter_jit
def _by_lanczos(
    system: AbstractLearning,
    state: PyTree[Array],
    lowest: Array,
    temperature: Array,
    key: Key[Array, ""],
    n_probes: int,
    order: int,
) -> Boltzmann:
    from matfree import decomp, funm, stochtrace  # few need it

    vector, unravel = ravel_pytree(state)
    slope = jax.grad(lambda x: system.total_energy(unravel(x)))

    def times(v, x):
        return jax.jvp(slope, (x,), (v,))[1]

    integrand = funm.monte_carlo_funm_sym_logdet(decomp.tridiag_sym(order))
    sampler = stochtrace.sampler_signs(vector, num=n_probes)
    estimate = stochtrace.estimator_monte_carlo_mean_and_sem(integrand, sampler)
    log_det, error = estimate(times, key, vector)
    found = harmonic(lowest, log_det, vector.size, temperature)
    return eqx.tree_at(
        lambda f: (f.entropy, f.free_energy),
        found,
        ((found.entropy[0], error / 2), (found.free_energy[0], temperature * error / 2)),
    )


class Gaussian(AbstractRoute):
    r"""The normal distribution with the mean and covariance of relaxed states.

    Its entropy is the largest of all with that covariance, so an upper bound; one that is far off
    where the states lie in several minima. It needs more states than parameters.

    Args:
        states: at rest, each leaf `[trajectory, …]`, such as the `final_state` of a long run.

    Raises:
        ValueError: no more states than parameters.
    """

    states: PyTree[Float[Array, "trajectory ..."]]

    def find(self, system):
        states = several_states(system, self.states)
        entropy = gaussian_entropy(states)
        return of_states(system, states, entropy=(entropy.entropy, entropy.standard_error))


def log_copies(*widths: int, odd: bool = True) -> Float[Array, ""]:
    r"""Logarithm of the number of equivalent copies of a network's minimum.

    $$\ln\prod_l2^{h_l}h_l!$$

    since the h units of a hidden layer can change places, and each its sign where the activation
    is odd (tanh, erf; not ReLU, GELU).

    Args:
        widths: h of each hidden layer.
        odd: whether signs count.

    Raises:
        ValueError: a width below 1.
    """
    for width in widths:
        check_count("width", width)
    h = jnp.asarray(widths, float)
    return jnp.sum(gammaln(h + 1) + (h * np.log(2) if odd else 0))
