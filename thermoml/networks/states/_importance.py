"""Trained states of linear models with any energy, by importance sampling."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Key

from ...numerics.arrays import held, is_concrete
from ...numerics.checks import check_count, check_key
from ...numerics.compile import jitted
from ...numerics.statistics import Estimate
from ..learning import LinearLearning, bath_temperature, ground_state, has_curvature
from ._boltzmann import AbstractRoute, Boltzmann, Weighted, virial

_TAIL = 5  # degrees of freedom of the proposal: its tails are heavier than any e^{-|θ|}
_ROUNDS = 5
_CHUNK = 512
ENOUGH = 200.0  # effective samples


class Importance(AbstractRoute):
    r"""Linear models of any energy, by weighted samples about the ground state.

    The proposal is a multivariate t, whose covariance follows the weighted samples of a few
    earlier rounds. It is held fixed under differentiation, which leaves the derivatives right:
    those of ln Z are averages of -∂E/τ. Good for tens of parameters.

    Args:
        n_samples: at least 1000.
        key: of the samples.

    Raises:
        ValueError: the weights rest on fewer than 200 effective samples.
        TypeError: no key, or a system that is not linear.

    Cost: O(n_samples · nd).

    Source: Owen 2013, Monte Carlo theory, methods and examples, chapters 9 and 10.
    """

    n_samples: int = eqx.field(static=True)
    key: Key[Array, ""] | None

    def __init__(self, n_samples: int = 100_000, *, key: Key[Array, ""] | None = None):
        self.n_samples = check_count("n_samples", n_samples, 1000)
        self.key = check_key(key, "samples")

    def find(self, system):
        if not isinstance(system, LinearLearning):
            raise TypeError(
                f"Importance needs a LinearLearning, got {type(system).__name__}; use Switching"
            )
        key = check_key(self.key, "samples")
        mode = held(ground_state(held(system)).parameters)
        proposal = held(_adapted(held(system), mode, jax.random.split(key, _ROUNDS + 1)[1:]))
        state, effective = _sampled(system, proposal, mode.shape, key, self.n_samples)
        if is_concrete(effective) and not float(effective) >= ENOUGH:
            raise ValueError(
                f"importance sampling reaches only {float(effective):.0f} effective samples of "
                f"{self.n_samples} for {system.n_parameters} parameters; take more samples, a "
                "higher temperature, a stiffer prior, or Switching"
            )
        return state


class _Proposal(NamedTuple):
    """A multivariate t distribution: its centre, and the Cholesky root of its scale."""

    mean: Float[Array, " d"]
    scale: Float[Array, "d d"]

    def sample(
        self, key: Key[Array, ""], count: int
    ) -> tuple[Float[Array, "sample d"], Float[Array, " sample"]]:
        """Samples, and the logarithm of their density."""
        size, dtype = self.mean.size, self.mean.dtype
        g, h = jnp.split(jax.random.normal(key, (count, size + _TAIL), dtype), [size], axis=1)
        chi = jnp.sum(h**2, axis=1, keepdims=True)
        points = self.mean[None, :] + g @ self.scale.T * jnp.sqrt(_TAIL / chi)
        squares = jnp.sum(g**2, axis=1) * _TAIL / chi[:, 0]
        half = jnp.asarray([(_TAIL + size) / 2, _TAIL / 2], dtype)
        constant = (
            gammaln(half[0])
            - gammaln(half[1])
            - size / 2 * jnp.log(jnp.asarray(_TAIL * jnp.pi, dtype))
        )
        determinant = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(self.scale))))
        return points, constant - determinant - half[0] * jnp.log1p(squares / _TAIL)


def _energies(
    system: LinearLearning, points: Float[Array, "sample d"], shape: tuple[int, ...]
) -> Float[Array, " sample"]:
    return lax.map(lambda x: system.total_energy(x.reshape(shape)), points, batch_size=_CHUNK)


@jitted
def _adapted(held: LinearLearning, mode: Array, keys: Key[Array, " round"]) -> _Proposal:
    """The proposal after a few rounds of weighted samples."""
    size, dtype = mode.size, mode.dtype
    temperature = bath_temperature(held).astype(dtype)

    def improve(proposal, key):
        points, log_density = proposal.sample(key, 16 * _CHUNK)
        exponents = -_energies(held, points, mode.shape) / temperature - log_density
        # Tempered until the weights rest on enough samples to estimate a covariance
        power = lax.while_loop(
            lambda p: (_effective(p * exponents) < 10 * size) & (p > 1e-3),
            lambda p: p * 0.8,
            jnp.ones((), dtype),
        )
        weights = jax.nn.softmax(power * exponents)
        mean = weights @ points
        away = points - mean[None, :]
        covariance = (away * weights[:, None]).T @ away
        covariance = covariance + 1e-6 * jnp.diag(jnp.diagonal(covariance))
        return _Proposal(mean, jnp.linalg.cholesky(covariance)), None

    first = _Proposal(mode.reshape(-1), _first_scale(held, mode, temperature))
    return lax.scan(improve, first, keys)[0]


@jitted
def _sampled(
    system: LinearLearning,
    proposal: _Proposal,
    shape: tuple[int, ...],
    key: Key[Array, ""],
    n_samples: int,
) -> tuple[Boltzmann, Float[Array, ""]]:
    """The Boltzmann distribution by weighted samples, and how many they amount to."""
    dtype = proposal.mean.dtype
    temperature = bath_temperature(system).astype(dtype)
    n_samples = math.ceil(n_samples / _CHUNK) * _CHUNK
    points, log_density = proposal.sample(jax.random.split(key, _ROUNDS + 1)[0], n_samples)
    energies = _energies(system, points, shape)
    exponents = -energies / temperature - log_density
    log_partition = logsumexp(exponents) - jnp.log(jnp.asarray(n_samples, dtype))
    effective = _effective(exponents)
    weighted = Weighted(points.reshape((n_samples, *shape)), jax.nn.softmax(exponents))
    energy = weighted.mean(energies)
    # S = Σ w E/τ + ln Z: both terms vary with the same weights
    surprise = (energies - energy.mean) / temperature + 1
    spread = jnp.sqrt(jnp.sum((weighted.weights * surprise - 1 / n_samples) ** 2))
    free_error = temperature * jnp.sqrt(jnp.maximum(1 / effective - 1 / n_samples, 0))
    return Boltzmann(
        energy,
        Estimate(energy.mean / temperature + log_partition, spread),
        Estimate(-temperature * log_partition, free_error),
        weighted.heat_capacity(energies, temperature),
        weighted.mean_of(lambda state: virial(system, state)),
        None,
        weighted,
    ), effective


def _effective(exponents: Array) -> Array:
    """The effective number of samples, (Σw)²/Σw²."""
    return jnp.exp(2 * logsumexp(exponents) - logsumexp(2 * exponents))


def _first_scale(
    system: LinearLearning, mode: Array, temperature: Float[Array, ""]
) -> Float[Array, "d d"]:
    """A first guess of the covariance's root: Laplace's, where the loss is curved.

    Elsewhere E grows like |θ - θ̂|·x beyond the residuals at the minimum; its covariance is that of
    squares of the same size.
    """
    size = mode.size
    eye = jnp.eye(size, dtype=mode.dtype)
    spread = jnp.maximum(system.data_energy(mode), temperature * size)
    blocks = jnp.eye(size // system.features.shape[1], dtype=mode.dtype)
    squares = jnp.kron(blocks, system.second_moments) / spread + system.prior_stiffness * eye
    hessian = jax.hessian(lambda x: system.total_energy(x.reshape(mode.shape)))(mode.reshape(-1))
    curved = has_curvature(system, mode) & (jnp.linalg.eigvalsh(hessian)[0] > 0)
    curvature = jnp.where(curved, hessian, squares)
    curvature = curvature + 1e-6 * jnp.trace(curvature) / size * eye
    return jnp.linalg.cholesky(jnp.linalg.inv(curvature) * temperature)
