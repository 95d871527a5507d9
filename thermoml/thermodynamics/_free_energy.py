"""Free energy differences from work done out of equilibrium: Jarzynski and Bennett."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import is_concrete
from ..numerics.results import AbstractResult
from ..numerics.roots import newton_root
from ..numerics.statistics import Estimate
from ..numerics.types import Numbers
from ._samples import check_samples, check_temperature, log_mean_exp, weight_quality


class FreeEnergyWarning(UserWarning):
    """An exponential average rests on too few samples to be trusted."""


class FreeEnergy(AbstractResult):
    """A free energy difference, in units of the work.

    Attributes:
        free_energy_difference, standard_error: ΔF, and its error to first order in 1/n, which is
            too small if the estimate is not trustworthy.
        effective_sample_size: (Σw)²/Σw² of the samples' weights w (Kish); of two ensembles the
            smaller.
        trustworthy: whether that is at least 50, or at least half of fewer than 100 samples.
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
    average is dominated by rare trajectories that dissipate little: if the dissipated work is many
    T no sample contains them, and `trustworthy` is False; then use `bennett` with reverse runs. At
    a finite dt Euler-Maruyama violates the equality by O(dt); `ExactLinear` in a harmonic trap does
    not.

    Args:
        work: of each trajectory, `(trajectory,)`, at least two.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in work and temperature.

    Raises:
        ValueError: too few works, works that are not finite, or T <= 0.
        FreeEnergyWarning: a warning, if the estimate cannot be trusted.

    Cost: O(trajectories).

    Source: Jarzynski 1997, Phys. Rev. Lett. 78, 2690.
    """
    temperature = check_temperature(temperature)
    exponents = -check_samples("work", work) / temperature
    quality = weight_quality(exponents)
    difference = -temperature * log_mean_exp(exponents)
    error = temperature * jnp.sqrt(quality.variance)
    estimate = FreeEnergy(difference, error, quality.effective, quality.sufficient)
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

    $$\sum_{i=1}^{n_F}\frac1{1+e^{M+(W_i-\Delta F)/T}} =
      \sum_{j=1}^{n_R}\frac1{1+e^{-M+(W_j+\Delta F)/T}}, \qquad M = \ln\frac{n_F}{n_R},$$

    the estimate of least variance from both ensembles. Each begins in equilibrium at its own end;
    reverse runs follow the protocol, and any sequence of inputs, backwards.

    Args:
        work_forward, work_reverse: the work done on the system in each trajectory, `(forward,)` and
            `(reverse,)`, at least two of each.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in works and temperature.

    Raises:
        ValueError: too few works, works that are not finite, or T <= 0.
        FreeEnergyWarning: a warning, if the ensembles hardly overlap.

    Cost: O(trajectories) for each of some ten Newton steps.

    Source: Bennett 1976, J. Comput. Phys. 22, 245; Shirts et al. 2003, Phys. Rev. Lett. 91, 140601.
    """
    temperature = check_temperature(temperature)
    forward = check_samples("work_forward", work_forward) / temperature
    reverse = check_samples("work_reverse", work_reverse) / temperature
    estimate = _bennett(forward, reverse, temperature)
    _warn_unless_trustworthy(
        estimate, "use a slower protocol, stages between its ends, or more trajectories"
    )
    return estimate


@eqx.filter_jit
def _bennett(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    temperature: Float[Array, ""],
) -> FreeEnergy:
    root = bennett_root(forward, reverse)
    ahead, back = (weight_quality(x) for x in _acceptances(forward, reverse, root))
    return FreeEnergy(
        temperature * root,
        temperature * jnp.sqrt(ahead.variance + back.variance),
        jnp.minimum(ahead.effective, back.effective),
        ahead.sufficient & back.sufficient,
    )


def bennett_root(
    forward: Float[Array, " forward"], reverse: Float[Array, " reverse"]
) -> Float[Array, ""]:
    """ΔF/T from works in units of T."""

    def mismatch(difference: Array) -> Array:  # its slope lies between 0 and 2 everywhere
        ahead, back = _acceptances(forward, reverse, difference)
        return logsumexp(ahead) - logsumexp(back)

    return newton_root(mismatch, (jnp.mean(forward) - jnp.mean(reverse)) / 2)


def _acceptances(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    difference: Float[Array, ""],
) -> tuple[Float[Array, " forward"], Float[Array, " reverse"]]:
    """Logarithms of Bennett's weights in both ensembles."""
    imbalance = float(np.log(forward.shape[0] / reverse.shape[0]))
    return (
        -jax.nn.softplus(imbalance + forward - difference),
        -jax.nn.softplus(-imbalance + reverse + difference),
    )


def _warn_unless_trustworthy(estimate: FreeEnergy, remedy: str) -> None:
    if is_concrete(estimate) and not bool(estimate.trustworthy):
        warnings.warn(
            f"the estimate rests on {float(estimate.effective_sample_size):.2g} effective samples "
            f"and cannot be trusted, nor can its standard error; {remedy}",
            FreeEnergyWarning,
            stacklevel=3,
        )
