"""Fluctuation relations, estimated with standard errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import default_float, is_concrete
from ..numerics.results import AbstractResult
from ..numerics.roots import newton_root
from ..numerics.statistics import Estimate
from ..numerics.types import Numbers
from ._free_energy import bennett_root
from ._samples import check_samples, check_temperature, log_mean_exp, weight_quality


class Crooks(AbstractResult):
    """A fit of Crooks' relation, which holds if `slope` is 1 within its error.

    Attributes:
        slope, slope_error: of ln[P_F(W)/P_R(-W)] against W/T.
        free_energy_difference, standard_error: the work at which P_F(W) and P_R(-W) cross.
    """

    slope: Float[Array, ""]
    slope_error: Float[Array, ""]
    free_energy_difference: Float[Array, ""]
    standard_error: Float[Array, ""]

    def _summary(self):
        return "Crooks' relation", {
            "slope": Estimate(self.slope, self.slope_error),
            "free_energy_difference": Estimate(self.free_energy_difference, self.standard_error),
        }


class IntegralFluctuation(AbstractResult):
    """The average ⟨exp(-Δs)⟩, 1 by theory, and its standard error; the rest as in `FreeEnergy`."""

    average: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective_sample_size: Float[Array, ""]
    trustworthy: Bool[Array, ""]

    def _summary(self):
        return "Integral fluctuation theorem, ⟨exp(-Δs)⟩ = 1", {
            "average": Estimate(self.average, self.standard_error),
            "effective_sample_size": self.effective_sample_size,
            "trustworthy": self.trustworthy,
        }


class UncertaintyProduct(AbstractResult):
    """Var(J) Σ/⟨J⟩², bounded below by 2, and its standard error."""

    product: Float[Array, ""]
    standard_error: Float[Array, ""]

    def _summary(self):
        product = Estimate(self.product, self.standard_error)
        return "Thermodynamic uncertainty relation, Var(J) Σ/⟨J⟩² >= 2", {"product": product}


def crooks(
    work_forward: Numbers,
    work_reverse: Numbers,
    temperature: Numbers,
) -> Crooks:
    r"""Test of Crooks' fluctuation theorem by work in both directions.

    $$\ln\frac{P_F(W)}{P_R(-W)} = a\,\frac{W-\Delta F}T, \qquad a = 1,$$

    with the a and ΔF of greatest likelihood, from every sample and without a histogram: the
    logistic regression of a work's ensemble on the work. Conditions as for `bennett`.

    Args:
        work_forward, work_reverse: the work done on the system in each trajectory, `(forward,)` and
            `(reverse,)`, at least two of each.
        temperature: T > 0, scalar.

    Returns:
        A `Crooks`; differentiable in works and temperature.

    Raises:
        ValueError: too few works, works that are not finite, T <= 0, or ensembles without overlap.

    Cost: O(trajectories) for each of some ten Newton steps.

    Source: Crooks 1999, Phys. Rev. E 60, 2721; standard errors by Prentice and Pyke 1979,
    Biometrika 66, 403, for ensembles of fixed size.
    """
    temperature = check_temperature(temperature)
    forward = check_samples("work_forward", work_forward) / temperature
    reverse = check_samples("work_reverse", work_reverse) / temperature
    if is_concrete((forward, reverse)):
        ahead, back = np.asarray(forward), -np.asarray(reverse)
        if ahead.min() > back.max() or ahead.max() < back.min():
            raise ValueError(
                "work_forward and -work_reverse must overlap, but their ranges are disjoint; "
                "use a slower protocol, stages between its ends, or more trajectories"
            )
    return _crooks_fit(forward, reverse, temperature)


@eqx.filter_jit
def _crooks_fit(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    temperature: Float[Array, ""],
) -> Crooks:
    counts = forward.shape[0], reverse.shape[0]
    imbalance = float(np.log(counts[0] / counts[1]))

    def log_likelihood(fit: Float[Array, " 2"]) -> Float[Array, ""]:
        """Of slope and offset."""
        of_forward = imbalance + fit[0] * forward - fit[1]
        of_reverse = imbalance - fit[0] * reverse - fit[1]
        sums = jnp.sum(jax.nn.log_sigmoid(of_forward)), jnp.sum(jax.nn.log_sigmoid(-of_reverse))
        return sums[0] + sums[1]

    start = jnp.stack([jnp.ones_like(temperature), bennett_root(forward, reverse)])
    total = counts[0] + counts[1]
    fit = newton_root(lambda x: jax.grad(log_likelihood)(x) / total, start)
    covariance = jnp.linalg.inv(-jax.hessian(log_likelihood)(fit))
    covariance = covariance - jnp.diag(jnp.asarray([0, 1 / counts[0] + 1 / counts[1]], fit.dtype))
    crossing = fit[1] / fit[0]
    lever = jnp.stack([-crossing, jnp.ones_like(crossing)]) / fit[0]
    return Crooks(
        fit[0],
        jnp.sqrt(covariance[0, 0]),
        temperature * crossing,
        temperature * jnp.sqrt(lever @ covariance @ lever),
    )


def integral_fluctuation(
    entropy_production: Numbers,
) -> IntegralFluctuation:
    r"""Test of the integral fluctuation theorem.

    $$\langle e^{-\Delta s}\rangle = 1, \qquad
      \Delta s = \ln\frac{p(x_0,0)}{p(x_t,t)} + \sum_l\frac{Q_l}{T_l}$$

    for any start, protocol, drive and number of baths (`entropy_flow` of a `Solution` is the sum).
    An exponential average: see `jarzynski` on when it can be trusted. If the start has less than
    half the variance of the end, the variance of the average is infinite, and no sample shows it.

    Args:
        entropy_production: Δs of each trajectory in nats, `(trajectory,)`, at least two.

    Returns:
        An `IntegralFluctuation`; differentiable.

    Raises:
        ValueError: too few values, or values that are not finite.

    Cost: O(trajectories).

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602.
    """
    exponents = -check_samples("entropy_production", entropy_production)
    quality = weight_quality(exponents)
    average = jnp.exp(log_mean_exp(exponents))
    error = average * jnp.sqrt(quality.variance)
    return IntegralFluctuation(average, error, quality.effective, quality.sufficient)


def uncertainty_product(current: Numbers, entropy_production: Numbers) -> UncertaintyProduct:
    r"""Test of the thermodynamic uncertainty relation.

    $$\frac{\mathrm{Var}(J)}{\langle J\rangle^2}\,\Sigma \ge 2$$

    for any current J in a steady state that is homogeneous in time; not for inputs drawn anew at
    fixed times, nor under a protocol.

    Args:
        current: J, the current of each trajectory integrated over some time, `(trajectory,)`, at
            least three.
        entropy_production: Σ in nats in that time: of each trajectory, `(trajectory,)`, or its
            mean, a scalar.

    Returns:
        An `UncertaintyProduct`, with the standard error of the jackknife; differentiable.

    Raises:
        ValueError: too few values, values that are not finite, or shapes that differ.

    Cost: O(trajectories).

    Source: Barato and Seifert 2015, Phys. Rev. Lett. 114, 158101; Gingrich et al. 2016, Phys. Rev.
    Lett. 116, 120601.
    """
    current = check_samples("current", current, least=3)
    produced = jnp.asarray(entropy_production, default_float())
    if produced.shape not in ((), current.shape):
        raise ValueError(
            f"entropy_production must be a scalar or have shape {current.shape}, got "
            f"{produced.shape}"
        )
    produced = check_samples("entropy_production", jnp.broadcast_to(produced, current.shape))
    count = current.shape[0]
    mean, total = jnp.mean(current), jnp.mean(produced)
    square = jnp.sum((current - mean) ** 2)

    def product(mean: Array, square: Array, total: Array, number: int) -> Array:
        return square / (number - 1) * total / mean**2

    # The product of all trajectories but one, for each of them
    away = current - mean
    without = product(
        mean - away / (count - 1),
        square - away**2 * count / (count - 1),
        total - (produced - total) / (count - 1),
        count - 1,
    )
    spread = jnp.sum((without - jnp.mean(without)) ** 2) * (count - 1) / count
    return UncertaintyProduct(product(mean, square, total, count), jnp.sqrt(spread))
