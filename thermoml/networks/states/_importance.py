"""Trained states of linear models that are not harmonic, by importance sampling."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Key

from ...numerics.arrays import is_concrete
from ...numerics.checks import check_count
from ..learning import CrossEntropy, LinearLearning, bath_temperature, first_key, ground_state
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
        key: without one `jax.random.key(0)`.

    Raises:
        ValueError: the weights rest on fewer than 200 effective samples.

    Cost: O(n_samples · nd).

    Source: Owen 2013, Monte Carlo theory, methods and examples, chapters 9 and 10.
    """

    n_samples: int = eqx.field(static=True, default=100_000)
    key: Key[Array, ""] | None = None

    def __check_init__(self):
        check_count("n_samples", self.n_samples, 1000)

    def find(self, system):
        if not isinstance(system, LinearLearning):
            raise TypeError(
                f"Importance needs a LinearLearning, got {type(system).__name__}; use Switching"
            )
        mode = ground_state(_held(system)).parameters
        found, effective = _sample(system, mode, first_key(self.key), self.n_samples)
        if is_concrete(effective) and not float(effective) >= ENOUGH:
            raise ValueError(
                f"importance sampling reaches only {float(effective):.0f} effective samples of "
                f"{self.n_samples} for {system.n_parameters} parameters; take more samples, a "
                "higher temperature, a stiffer prior, or Switching"
            )
        return found


@eqx.filter_jit
def _sample(
    system: LinearLearning, mode: Array, key: Key[Array, ""], n_samples: int
) -> tuple[Boltzmann, Float[Array, ""]]:
    shape, dtype, size = mode.shape, mode.dtype, mode.size
    temperature = bath_temperature(system).astype(dtype)
    n_samples = -(-n_samples // _CHUNK) * _CHUNK

    held, held_temperature = _held(system), lax.stop_gradient(temperature)

    def energies(points, system):
        return lax.map(lambda x: system.total_energy(x.reshape(shape)), points, batch_size=_CHUNK)

    def propose(key, mean, scale, count):
        g, h = jnp.split(jax.random.normal(key, (count, size + _TAIL), dtype), [size], axis=1)
        chi = jnp.sum(h**2, axis=1, keepdims=True)
        points = mean[None, :] + g @ scale.T * jnp.sqrt(_TAIL / chi)
        squares = jnp.sum(g**2, axis=1) * _TAIL / chi[:, 0]
        half = jnp.asarray([(_TAIL + size) / 2, _TAIL / 2], dtype)
        constant = (
            gammaln(half[0])
            - gammaln(half[1])
            - size / 2 * jnp.log(jnp.asarray(_TAIL * jnp.pi, dtype))
        )
        determinant = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(scale))))
        return points, constant - determinant - half[0] * jnp.log1p(squares / _TAIL)

    # Laplace's covariance where there is curvature, else that of squares of like size
    first = _width(held, mode, held_temperature)
    origin = mode.reshape(-1)

    def improve(carry, key):
        mean, scale = carry
        points, log_density = propose(key, mean, scale, 16 * _CHUNK)
        exponents = -energies(points, held) / held_temperature - log_density
        # Tempered until the weights rest on enough samples to estimate a covariance from
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
        return (mean, jnp.linalg.cholesky(covariance)), None

    keys = jax.random.split(key, _ROUNDS + 1)
    (mean, scale), _ = lax.scan(improve, (origin, first), keys[1:])
    points, log_density = propose(keys[0], mean, scale, n_samples)
    found = energies(points, system)
    exponents = -found / temperature - log_density
    log_partition = logsumexp(exponents) - jnp.log(jnp.asarray(n_samples, dtype))
    effective = _effective(exponents)
    weighted = Weighted(points.reshape((n_samples, *shape)), jax.nn.softmax(exponents))
    energy = weighted.mean(found)
    # S = Σ w E/τ + ln Z: both move with the same weights
    surprise = (found - energy[0]) / temperature + 1
    spread = jnp.sqrt(jnp.sum((weighted.weights * surprise - 1 / n_samples) ** 2))
    return Boltzmann(
        energy,
        (energy[0] / temperature + log_partition, spread),
        (
            -temperature * log_partition,
            temperature * jnp.sqrt(jnp.maximum(1 / effective - 1 / n_samples, 0)),
        ),
        weighted.heat_capacity(found, temperature),
        weighted.mean_of(lambda state: virial(system, state)),
        None,
        weighted,
    ), effective


def _held(system: LinearLearning) -> LinearLearning:
    """The system as a constant of differentiation."""
    return eqx.combine(lax.stop_gradient(eqx.filter(system, eqx.is_inexact_array)), system)


def _effective(exponents: Array) -> Array:
    return jnp.exp(2 * logsumexp(exponents) - logsumexp(2 * exponents))


def _width(system: LinearLearning, mode: Array, temperature: Array) -> Float[Array, "d d"]:
    """A first guess of the covariance's root."""
    size = mode.size
    eye = jnp.eye(size, dtype=mode.dtype)
    if isinstance(system.form, CrossEntropy):
        flat = mode.reshape(-1)
        curvature = jax.hessian(lambda x: system.total_energy(x.reshape(mode.shape)))(flat)
    else:  # E grows like |θ - θ̂|·x beyond the residuals at the minimum
        spread = jnp.maximum(system.data_energy(mode), temperature * size)
        blocks = jnp.eye(size // system.features.shape[1], dtype=mode.dtype)
        curvature = jnp.kron(blocks, system.second_moments) / spread
        curvature = curvature + system.prior_stiffness * eye
    curvature = curvature + 1e-6 * jnp.trace(curvature) / size * eye
    return jnp.linalg.cholesky(jnp.linalg.inv(curvature) * temperature)
