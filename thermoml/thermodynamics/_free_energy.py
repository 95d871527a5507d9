"""Free energy differences from work done out of equilibrium: Jarzynski and Bennett."""

import warnings

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import is_concrete
from ..numerics.compile import jitted
from ..numerics.results import AbstractResult
from ..numerics.statistics import Estimate
from ..numerics.types import Numbers
from ._acceptances import (
    SCORE_LIMIT,
    acceptances,
    bennett_root,
    crooks_score,
    overlap_of,
    scaled_pair,
)
from ._samples import check_samples, check_temperature, exponential_average


class FreeEnergyWarning(UserWarning):
    """An exponential average rests on too few samples to be trusted."""


class FreeEnergy(AbstractResult):
    """A free energy difference, in units of the work.

    Attributes:
        free_energy_difference, standard_error: ΔF, and its error to first order in 1/n, too small
            if the estimate is not trustworthy. Of a trustworthy one ΔF ± 1.96 errors is a 95 %
            interval.
        effective_sample_size: number of works that count, as the functions define it.
        trustworthy: whether the works show that they suffice, as the functions define it; never
            with fewer than 20 works, or with works that are all equal.
    """

    free_energy_difference: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective_sample_size: Float[Array, ""]
    trustworthy: Bool[Array, ""]

    def _summary(self):
        return "Free energy difference", {
            "free_energy_difference": Estimate(self.free_energy_difference, self.standard_error),
            "effective_sample_size": self.effective_sample_size,
            "trustworthy": self.trustworthy,
        }


def jarzynski(work: Numbers, temperature: Numbers) -> FreeEnergy:
    r"""Free energy difference by Jarzynski's equality.

    $$\langle e^{-W/T}\rangle = e^{-\Delta F/T}$$

    for runs that begin in equilibrium of U(·, λ₀) at one temperature T, whatever the protocol. The
    average is dominated by rare trajectories that dissipate little: those that dissipate D =
    ⟨W⟩ - ΔF on average must be about e^{D/T} before one of these is among them, and more for an
    error. With R = ⟨w²⟩/⟨w⟩² of the weights w = e^{-W/T} the estimate is trustworthy if n >= 15 R²;
    for normal works R = e^{2D/T} with D = Var(W)/2T, so the condition reads D <= (T/4) ln(n/15). R
    is that of the sample or, if larger, of a gamma law with the variance and skewness of the works;
    works skewed towards low values need a standard deviation of at most 0.4 T (n/100 of that below
    100) over their skewness as well. Near these limits the error is widened, up to √5 times, since
    luck decides there which samples pass. `effective_sample_size` is n/R.

    **No sample in one direction can show what it lacks**: if all trajectories stay behind a
    barrier (hysteresis), or the rare ones that count are a population of their own, the works look
    as those of a good protocol. `trustworthy` cannot see this; `bennett` with reverse runs can.

    At a finite dt the work alone violates the equality by the order of the integrator. The
    discretisation does work too, and with it, `solution.total_work[:, -1]`, the equality holds at
    any dt; `ExactLinear` in a harmonic trap needs none.

    Args:
        work: of each trajectory, `(trajectory,)`, at least two.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in work and temperature.

    Raises:
        ValueError: too few works, works that are not finite, or T <= 0.
        FreeEnergyWarning: a warning, if the estimate cannot be trusted.

    Cost: O(trajectories).

    Source: Jarzynski 1997, Phys. Rev. Lett. 78, 2690; the number of trajectories: Jarzynski 2006,
    Phys. Rev. E 73, 046105.
    """
    temperature = check_temperature(temperature)
    work = check_samples("work", work)
    middle = lax.stop_gradient(jnp.median(work))  # which no single trajectory moves far
    average = exponential_average(-(work - middle) / temperature)
    estimate = FreeEnergy(
        middle - temperature * average.logarithm,
        temperature * average.standard_error,
        average.effective,
        average.sufficient,
    )
    _warn_unless_trustworthy(
        estimate, "use bennett with reverse runs, a slower protocol, or more trajectories"
    )
    return estimate


def bennett(
    work_forward: Numbers,
    work_reverse: Numbers,
    temperature: Numbers,
) -> FreeEnergy:
    r"""Free energy difference by Bennett's acceptance ratio, from runs in both directions.

    It is the solution ΔF of

    $$\sum_{i=1}^{n_F}f_i = \sum_{j=1}^{n_R}f_j, \qquad
      f_i = \frac1{1+e^{M+(W_i-\Delta F)/T}}, \quad f_j = \frac1{1+e^{-M+(W_j+\Delta F)/T}}, \quad
      M = \ln\frac{n_F}{n_R},$$

    the estimate of least variance from both ensembles. Each begins in equilibrium at its own end;
    reverse runs follow the protocol, and any sequence of inputs, backwards.

    Trustworthy if the works overlap, Σf >= 25 expected acceptances (or half of those without any
    dissipation, if that is less), and agree with Crooks' relation: the score test of its slope 1
    (99 %) refuses works of a wrong sign or temperature and pairs that violate the second law.
    `effective_sample_size` is 2Σf, or the smaller (Σf)²/Σf² (Kish) if that is less.

    Args:
        work_forward, work_reverse: the work done on the system in each trajectory, `(forward,)` and
            `(reverse,)`, at least two of each; that of `total_work` is right at any dt.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in works and temperature.

    Raises:
        ValueError: too few works, works that are not finite, or T <= 0.
        FreeEnergyWarning: a warning, if the estimate cannot be trusted, with the reason.

    Cost: O(trajectories) for each of some ten Newton steps.

    Source: Bennett 1976, J. Comput. Phys. 22, 245; Shirts et al. 2003, Phys. Rev. Lett. 91, 140601.
    """
    temperature = check_temperature(temperature)
    forward = check_samples("work_forward", work_forward)
    reverse = check_samples("work_reverse", work_reverse)
    estimate, score = _bennett(forward, reverse, temperature)
    contradicted = is_concrete(score) and abs(float(score)) > SCORE_LIMIT
    _warn_unless_trustworthy(
        estimate,
        "check the signs of the works and that both ensembles begin in equilibrium"
        if contradicted
        else "use a slower protocol, stages between its ends, or more trajectories",
        f"the works contradict Crooks' relation by {abs(float(score)):.2g} standard errors"
        if contradicted
        else "",
    )
    return estimate


@jitted
def _bennett(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    temperature: Float[Array, ""],
) -> tuple[FreeEnergy, Float[Array, ""]]:
    """The estimate, and the score of Crooks' relation in standard errors."""
    pair = scaled_pair(forward, reverse, temperature)
    root = bennett_root(pair)
    ahead, back = acceptances(pair, root)
    counts = forward.shape[0], reverse.shape[0]
    errors = [x.spread / float(np.sqrt(n - 1)) for n, x in zip(counts, (ahead, back), strict=True)]
    overlap, score = overlap_of(pair, ahead, back), crooks_score(pair, root)
    kish = [n / (1 + x.spread**2) for n, x in zip(counts, (ahead, back), strict=True)]
    return FreeEnergy(
        pair.centre + temperature * pair.unit * root,
        temperature * jnp.hypot(*errors),
        jnp.minimum(2 * overlap.expected, jnp.minimum(*kish)),
        overlap.sufficient & (jnp.abs(score) <= SCORE_LIMIT),
    ), score


def _warn_unless_trustworthy(estimate: FreeEnergy, remedy: str, reason: str = "") -> None:
    if is_concrete(estimate) and not bool(estimate.trustworthy):
        reason = reason or (
            f"the estimate rests on {float(estimate.effective_sample_size):.2g} effective samples"
        )
        warnings.warn(
            f"{reason} and cannot be trusted, nor can its standard error; {remedy}",
            FreeEnergyWarning,
            stacklevel=3,
        )
