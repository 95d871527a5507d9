"""Free energy differences from work done out of equilibrium."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from ..numerics.arrays import is_concrete
from ..numerics.roots import newton_root
from ._samples import check_samples, check_temperature, log_mean_exp, weight_quality


class FreeEnergyWarning(UserWarning):
    """An exponential average rests on too few samples to be believed."""


class FreeEnergy(eqx.Module):
    """A free energy difference, in units of the work.

    Attributes:
        free_energy_difference, standard_error: ΔF, and its error to first order in 1/n, which is
            too small where the estimate is not trustworthy.
        effective_sample_size: (Σw)²/Σw² of the weights w with which samples count (Kish); of two
            ensembles the smaller.
        trustworthy: whether that is at least 50, or half of the samples where there are fewer.
    """

    free_energy_difference: Float[Array, ""]
    standard_error: Float[Array, ""]
    effective_sample_size: Float[Array, ""]
    trustworthy: Bool[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.free_energy_difference):
            return "FreeEnergy (traced)"
        doubt = "" if self.trustworthy else ", not to be trusted"
        return (
            f"ΔF = {float(self.free_energy_difference):.6g} ± {float(self.standard_error):.2g} "
            f"({float(self.effective_sample_size):.0f} effective samples{doubt})"
        )


def jarzynski(work: Float[Array, " trajectory"], temperature: Any) -> FreeEnergy:
    r"""Free energy difference by Jarzynski's equality.

    $$\langle e^{-W/T}\rangle = e^{-\Delta F/T}$$

    for runs that begin in equilibrium of U(·, λ₀) at one temperature T, whatever the protocol. The
    average lives on rare trajectories that dissipate little: once the dissipated work is many T no
    sample holds them, which `trustworthy` tells; then use `bennett` with reverse runs. At a finite
    dt Euler-Maruyama violates the equality by O(dt); `ExactLinear` in a harmonic trap does not.

    Args:
        work: of each trajectory, `(trajectory,)`, at least two.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in work and temperature.

    Raises:
        ValueError: too few works or such that are not finite, T <= 0.
        FreeEnergyWarning: a warning, where the estimate cannot be trusted.

    Cost: O(trajectories).

    Source: Jarzynski 1997, Phys. Rev. Lett. 78, 2690.
    """
    temperature = check_temperature(temperature)
    exponents = -check_samples("work", work) / temperature
    variance, effective, good = weight_quality(exponents)
    difference = -temperature * log_mean_exp(exponents)
    found = FreeEnergy(difference, temperature * jnp.sqrt(variance), effective, good)
    return _doubted(found, "use bennett with reverse runs, a slower protocol, or more trajectories")


def bennett(
    work_forward: Float[Array, " forward"],
    work_reverse: Float[Array, " reverse"],
    temperature: Any,
) -> FreeEnergy:
    r"""Free energy difference by Bennett's acceptance ratio, from runs in both directions.

    The solution ΔF of

    $$\sum_{i=1}^{n_F}\frac1{1+e^{M+(W_i-\Delta F)/T}} =
      \sum_{j=1}^{n_R}\frac1{1+e^{-M+(W_j+\Delta F)/T}}, \qquad M = \ln\frac{n_F}{n_R},$$

    the estimate of least variance from both ensembles. Each begins in equilibrium at its own end;
    reverse runs take the protocol, and any sequence of inputs, backwards, and their work too is
    what is done on the system.

    Args:
        work_forward, work_reverse: of each trajectory, `(forward,)` and `(reverse,)`.
        temperature: T > 0, scalar.

    Returns:
        A `FreeEnergy`; differentiable in works and temperature.

    Raises:
        ValueError: too few works or such that are not finite, T <= 0.
        FreeEnergyWarning: a warning, where the ensembles hardly overlap.

    Cost: O(trajectories), some ten times.

    Source: Bennett 1976, J. Comput. Phys. 22, 245; Shirts et al. 2003, Phys. Rev. Lett. 91, 140601.
    """
    temperature = check_temperature(temperature)
    forward = check_samples("work_forward", work_forward) / temperature
    reverse = check_samples("work_reverse", work_reverse) / temperature
    found = _bennett(forward, reverse, temperature)
    return _doubted(found, "use a slower protocol, stages between its ends, or more trajectories")


@eqx.filter_jit
def _bennett(forward: Array, reverse: Array, temperature: Array) -> FreeEnergy:
    root = bennett_root(forward, reverse)
    there, back = (weight_quality(x) for x in _acceptances(forward, reverse, root))
    return FreeEnergy(
        temperature * root,
        temperature * jnp.sqrt(there[0] + back[0]),
        jnp.minimum(there[1], back[1]),
        there[2] & back[2],
    )


def bennett_root(
    forward: Float[Array, " forward"], reverse: Float[Array, " reverse"]
) -> Float[Array, ""]:
    """ΔF/T of works in units of T."""

    def mismatch(difference: Array) -> Array:
        there, back = _acceptances(forward, reverse, difference)
        return logsumexp(there) - logsumexp(back)

    # Of a slope between 0 and 2 everywhere.
    return newton_root(mismatch, (jnp.mean(forward) - jnp.mean(reverse)) / 2)


def _acceptances(forward: Array, reverse: Array, difference: Array) -> tuple[Array, Array]:
    """Logarithms of Bennett's weights in both ensembles."""
    imbalance = float(np.log(forward.shape[0] / reverse.shape[0]))
    return (
        -jax.nn.softplus(imbalance + forward - difference),
        -jax.nn.softplus(-imbalance + reverse + difference),
    )


def _doubted(found: FreeEnergy, remedy: str) -> FreeEnergy:
    if is_concrete(found) and not bool(found.trustworthy):
        warnings.warn(
            f"the estimate rests on {float(found.effective_sample_size):.2g} effective samples and "
            f"cannot be trusted, nor its standard error; {remedy}",
            FreeEnergyWarning,
            stacklevel=3,
        )
    return found
