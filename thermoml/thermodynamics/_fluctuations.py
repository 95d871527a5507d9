"""Fluctuation relations as estimates, each with its standard error."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import default_float, is_concrete
from ..numerics.roots import newton_root
from ._free_energy import bennett_root
from ._samples import check_samples, check_temperature, log_mean_exp, weight_quality


class Crooks(eqx.Module):
    """A fit of Crooks' relation; the relation holds where `slope` is 1 within its error.

    Attributes:
        slope, slope_error: of ln[P_F(W)/P_R(-W)] against W/T.
        free_energy_difference, standard_error: where P_F(W) and P_R(-W) cross, units of the work.
    """

    slope: Float[Array, ""]
    slope_error: Float[Array, ""]
    free_energy_difference: Float[Array, ""]
    standard_error: Float[Array, ""]


class IntegralFluctuation(eqx.Module):
    """⟨exp(-Δs)⟩, which is to be 1, and its standard error; the rest as in `FreeEnergy`."""

    average: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective_sample_size: Float[Array, ""]
    trustworthy: Bool[Array, ""]


class UncertaintyProduct(eqx.Module):
    """Var(J) Σ/⟨J⟩², which is to be 2 at least, and its standard error."""

    product: Float[Array, ""]
    standard_error: Float[Array, ""]


def crooks(
    work_forward: Float[Array, " forward"],
    work_reverse: Float[Array, " reverse"],
    temperature: Any,
) -> Crooks:
    r"""Whether work in both directions obeys Crooks' fluctuation theorem.

    $$\ln\frac{P_F(W)}{P_R(-W)} = a\,\frac{W-\Delta F}T, \qquad a = 1,$$

    with a and ΔF of greatest likelihood, from every sample and without a histogram: the logistic
    regression of which ensemble a work belongs to. Conditions as for `bennett`.

    Args:
        work_forward, work_reverse: of each trajectory, `(forward,)` and `(reverse,)`, done on the
            system.
        temperature: T > 0, scalar.

    Returns:
        A `Crooks`; differentiable in works and temperature.

    Raises:
        ValueError: too few works or such that are not finite, T <= 0, ensembles without overlap.

    Cost: O(trajectories), some ten times.

    Source: Crooks 1999, Phys. Rev. E 60, 2721; standard errors by Prentice and Pyke 1979,
    Biometrika 66, 403, for samples whose numbers are chosen.
    """
    temperature = check_temperature(temperature)
    forward = check_samples("work_forward", work_forward) / temperature
    reverse = check_samples("work_reverse", work_reverse) / temperature
    if is_concrete((forward, reverse)):
        there, back = np.asarray(forward), -np.asarray(reverse)
        if there.min() > back.max() or there.max() < back.min():
            raise ValueError(
                "work_forward and -work_reverse must overlap: no work was met in both directions; "
                "use a slower protocol, stages between its ends, or more trajectories"
            )
    return _crooks_fit(forward, reverse, temperature)


@eqx.filter_jit
def _crooks_fit(forward: Array, reverse: Array, temperature: Array) -> Crooks:
    counts = forward.shape[0], reverse.shape[0]
    imbalance = float(np.log(counts[0] / counts[1]))

    def likelihood(fit: Array) -> Array:
        """Its logarithm, of slope and offset."""
        of_forward = imbalance + fit[0] * forward - fit[1]
        of_reverse = imbalance - fit[0] * reverse - fit[1]
        sums = jnp.sum(jax.nn.log_sigmoid(of_forward)), jnp.sum(jax.nn.log_sigmoid(-of_reverse))
        return sums[0] + sums[1]

    start = jnp.stack([jnp.ones_like(temperature), bennett_root(forward, reverse)])
    total = counts[0] + counts[1]
    fit = newton_root(lambda x: jax.grad(likelihood)(x) / total, start)
    covariance = jnp.linalg.inv(-jax.hessian(likelihood)(fit))
    covariance = covariance - jnp.diag(jnp.asarray([0, 1 / counts[0] + 1 / counts[1]], fit.dtype))
    crossing = fit[1] / fit[0]
    lever = jnp.stack([-crossing, jnp.ones_like(crossing)]) / fit[0]
    return Crooks(
        fit[0],
        jnp.sqrt(covariance[0, 0]),
        temperature * crossing,
        temperature * jnp.sqrt(lever @ covariance @ lever),
    )


def integral_fluctuation(entropy_production: Float[Array, " trajectory"]) -> IntegralFluctuation:
    r"""The integral fluctuation theorem.

    $$\langle e^{-\Delta s}\rangle = 1, \qquad
      \Delta s = \ln\frac{p(x_0,0)}{p(x_t,t)} + \sum_l\frac{Q_l}{T_l}$$

    for any start, protocol, drive and number of baths (`entropy_flow` of a `Solution` is the sum).
    An exponential average: see `jarzynski` on when it can be trusted. From a start with less than
    half the variance of where it ends, that of the average is infinite, which no sample shows.

    Args:
        entropy_production: Δs of each trajectory in nats, `(trajectory,)`, at least two.

    Returns:
        An `IntegralFluctuation`; differentiable.

    Raises:
        ValueError: too few values, or such that are not finite.

    Cost: O(trajectories).

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602.
    """
    exponents = -check_samples("entropy_production", entropy_production)
    variance, effective, good = weight_quality(exponents)
    average = jnp.exp(log_mean_exp(exponents))
    return IntegralFluctuation(average, average * jnp.sqrt(variance), effective, good)


def uncertainty_product(
    current: Float[Array, " trajectory"], entropy_production: Any
) -> UncertaintyProduct:
    r"""The thermodynamic uncertainty relation.

    $$\frac{\mathrm{Var}(J)}{\langle J\rangle^2}\,\Sigma \ge 2$$

    for any current J in a steady state that is homogeneous in time; not where inputs are drawn anew
    by a clock, nor under a protocol.

    Args:
        current: J, what each trajectory gathered in some time, `(trajectory,)`, at least three.
        entropy_production: Σ in nats in that time: of each trajectory, `(trajectory,)`, or its
            mean, a scalar.

    Returns:
        An `UncertaintyProduct`, with the standard error of the jackknife; differentiable.

    Raises:
        ValueError: too few values, or such that are not finite, or shapes that differ.

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

    # The same with each trajectory left out
    away = current - mean
    without = product(
        mean - away / (count - 1),
        square - away**2 * count / (count - 1),
        total - (produced - total) / (count - 1),
        count - 1,
    )
    spread = jnp.sum((without - jnp.mean(without)) ** 2) * (count - 1) / count
    return UncertaintyProduct(product(mean, square, total, count), jnp.sqrt(spread))
