"""Fluctuation relations, estimated with standard errors."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import as_parameter, default_float, is_concrete
from ..numerics.compile import jitted
from ..numerics.results import AbstractResult
from ..numerics.roots import newton_root
from ..numerics.statistics import Estimate
from ..numerics.types import Numbers
from ._acceptances import ACCEPTED, acceptances, bennett_root, overlap_of, scaled_pair
from ._samples import check_samples, check_temperature, exponential_average


class Crooks(AbstractResult):
    """A fit of Crooks' relation, which holds if `slope` is 1 within its error.

    Attributes:
        slope, slope_error: of ln[P_F(W)/P_R(-W)] against W/T.
        free_energy_difference, standard_error: the work at which P_F(W) and P_R(-W) cross.
        trustworthy: whether the works overlap as `bennett` asks, and are 100 of each or as good;
            None of a file of version 0.1. Without, the errors mean nothing. A slope that is not 1
            is for you to judge.
    """

    slope: Float[Array, ""]
    slope_error: Float[Array, ""]
    free_energy_difference: Float[Array, ""]
    standard_error: Float[Array, ""]
    trustworthy: Bool[Array, ""] | None = None

    def _summary(self):
        trust = {} if self.trustworthy is None else {"trustworthy": self.trustworthy}
        return "Crooks' relation", {
            "slope": Estimate(self.slope, self.slope_error),
            "free_energy_difference": Estimate(self.free_energy_difference, self.standard_error),
            **trust,
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
    logistic regression of a work's ensemble on the work. Conditions as for `bennett`, which is the
    better estimate of ΔF: `trustworthy` asks for 25 expected acceptances as there, and for so many
    works, 100 of each, that these are half of those without any dissipation or less.

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
    forward = check_samples("work_forward", work_forward)
    reverse = check_samples("work_reverse", work_reverse)
    if is_concrete((forward, reverse)) and not _overlap(forward, reverse):
        raise ValueError(
            "work_forward and -work_reverse must overlap, but their ranges are disjoint; "
            "use a slower protocol, stages between its ends, or more trajectories"
        )
    return _crooks_fit(forward, reverse, temperature)


def _overlap(
    forward: Float[Array, " forward"], reverse: Float[Array, " reverse"]
) -> Bool[Array, ""]:
    """Whether the ranges of W_F and -W_R overlap; False if any is NaN."""
    back = -reverse
    return (jnp.min(forward) <= jnp.max(back)) & (jnp.max(forward) >= jnp.min(back))


@jitted
def _crooks_fit(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    temperature: Float[Array, ""],
) -> Crooks:
    counts = forward.shape[0], reverse.shape[0]
    pair = scaled_pair(forward, reverse, temperature)

    def log_likelihood(fit: Float[Array, " 2"]) -> Float[Array, ""]:
        """Of slope and offset."""
        of_forward = pair.imbalance + fit[0] * pair.forward - fit[1]
        of_reverse = pair.imbalance - fit[0] * pair.reverse - fit[1]
        sums = jnp.sum(jax.nn.log_sigmoid(of_forward)), jnp.sum(jax.nn.log_sigmoid(-of_reverse))
        return sums[0] + sums[1]

    root = bennett_root(pair)
    start = pair.unit * jnp.stack([jnp.ones_like(temperature), root])
    total = counts[0] + counts[1]
    fit = newton_root(lambda x: jax.grad(log_likelihood)(x) / total, start)
    fit = jnp.where(_overlap(forward, reverse), fit, jnp.nan)
    covariance = jnp.linalg.inv(-jax.hessian(log_likelihood)(fit))
    covariance = covariance - jnp.diag(jnp.asarray([0, 1 / counts[0] + 1 / counts[1]], fit.dtype))
    crossing = fit[1] / fit[0]
    lever = jnp.stack([-crossing, jnp.ones_like(crossing)]) / fit[0]
    scale = temperature * pair.unit
    return Crooks(
        fit[0] / pair.unit,
        jnp.sqrt(covariance[0, 0]) / pair.unit,
        pair.centre + scale * crossing,
        scale * jnp.sqrt(lever @ covariance @ lever),
        overlap_of(pair, *acceptances(pair, root)).sufficient
        & (counts[0] * counts[1] >= 2 * ACCEPTED * total),
    )


def integral_fluctuation(
    entropy_production: Numbers,
) -> IntegralFluctuation:
    r"""Test of the integral fluctuation theorem.

    $$\langle e^{-\Delta s}\rangle = 1, \qquad
      \Delta s = \ln\frac{p(x_0,0)}{p(x_t,t)} + \sum_l\frac{Q_l}{T_l}$$

    for any start, protocol, drive and number of baths (`entropy_flow` of a `Solution` is the sum).
    An exponential average: `jarzynski` says when it is trustworthy, by the spread of Δs (for normal
    Δs the mean must not exceed ¼ ln(n/15)), and that no sample can show rare values that it lacks.
    If the start has less than half the variance of the end, the variance of the average is
    infinite; the skewness of Δs tells this if it is large.

    Args:
        entropy_production: Δs of each trajectory in nats, `(trajectory,)`, at least two.

    Returns:
        An `IntegralFluctuation`; differentiable.

    Raises:
        ValueError: too few values, or values that are not finite.

    Cost: O(trajectories).

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602.
    """
    logarithmic = exponential_average(-check_samples("entropy_production", entropy_production))
    average = jnp.exp(logarithmic.logarithm)
    return IntegralFluctuation(
        average, average * logarithmic.standard_error, logarithmic.effective, logarithmic.sufficient
    )


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
        An `UncertaintyProduct` without the part of the bias that falls like 1/n, and with the
        jackknife's standard error times 1 + 6/n, since variances of few samples are skewed: 95 %
        intervals cover 90 % from ten trajectories on, if ⟨J⟩ is at least three of its own standard
        errors. Differentiable.

    Raises:
        ValueError: too few values, values that are not finite, or shapes that differ.

    Cost: O(trajectories).

    Source: Barato and Seifert 2015, Phys. Rev. Lett. 114, 158101; Gingrich et al. 2016, Phys. Rev.
    Lett. 116, 120601.
    """
    current = check_samples("current", current, least=3)
    produced = as_parameter(entropy_production, "entropy_production").astype(default_float())
    if produced.shape not in ((), current.shape):
        raise ValueError(
            f"entropy_production must be a scalar or have shape {current.shape} like current, "
            f"got {produced.shape}"
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
    rest = jnp.mean(without)
    spread = jnp.sqrt(jnp.sum((without - rest) ** 2) * (count - 1) / count)
    value = product(mean, square, total, count)
    return UncertaintyProduct(value + (count - 1) * (value - rest), spread * (1 + 6 / count))
