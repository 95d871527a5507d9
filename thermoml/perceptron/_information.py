"""The second law of learning: what is learned costs at least as much entropy."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..numerics.arrays import cast_floats
from ..numerics.statistics import Estimate
from ._curve import LearningCurve
from .problem import LearningProblem, label_information
from .theory import moments

_ERRORS = 4.0  # standard errors beyond which a violation is one
_SEPARATED = 0.1  # scale separation up to which the inputs are no bath of their own


class SecondLawWarning(UserWarning):
    """More was learned than the entropy produced allows: a bug in the library."""


class InformationBound(eqx.Module):
    r"""$I_t - I_0 \le \Delta S(w) + \Delta Q/T$ along a run, per weight in nats, at each save.

    Means over the trajectories; `*_error` are their standard errors (NaN for one trajectory).

    Attributes:
        times: `(save,)`.
        information, information_error: $I_t - I_0$ with $I/N = \tfrac12\ln[Q/(Q-R^2)]$, what the
            weights learned about the teacher.
        label_information: $\ln 2 - H_b(\varepsilon)$ per label at the mean error, at most what the
            weights know.
        entropy_production, entropy_production_error: ½ ln(Q_t/Q_0) + heat/T as measured, the heat
            of the inputs' fluctuations (the excess) included.
        averaged_entropy_production: the same with the heat of the averaged force alone,
            $\bar V_0 - \bar V_t$ with $\bar V = kQ/2 - \tilde\nu E[\Phi]$ at each R and Q: the
            tighter bound. Where the excess goes on at rest, the other loosens with time.
        efficiency, efficiency_error: gained information over entropy production, 0 at the start.
        averaged_efficiency: the same without the excess.
    """

    times: Float[Array, " save"]
    information: Float[Array, " save"]
    information_error: Float[Array, " save"]
    label_information: Float[Array, " save"]
    entropy_production: Float[Array, " save"]
    entropy_production_error: Float[Array, " save"]
    averaged_entropy_production: Float[Array, " save"]
    efficiency: Float[Array, " save"]
    efficiency_error: Float[Array, " save"]
    averaged_efficiency: Float[Array, " save"]


@eqx.filter_jit
def averaged_entropy_production(
    problem: LearningProblem, curve: LearningCurve
) -> Float[Array, "trajectory save"]:
    """½ ln(Q_t/Q_0) + (V̄_0 - V̄_t)/T, what the averaged force alone produces along each run."""
    problem = cast_floats(problem, curve.norm.dtype)

    def potential(overlap, norm):
        found = moments(problem.rule, overlap, norm).potential
        return problem.stiffness * norm / 2 - problem.learning_rate * found

    height = jax.vmap(jax.vmap(potential))(curve.overlap, curve.norm)
    gained = jnp.log(curve.norm / curve.norm[:, :1]) / 2
    return gained + (height[:, :1] - height) / curve.temperature


def _ratio(part: Array, whole: Array) -> Array:
    return jnp.where(whole == 0, 0, part / jnp.where(whole == 0, 1, whole))


def information_bound(problem: LearningProblem, curve: LearningCurve) -> InformationBound:
    """What was learned along a run against what it cost, with and without the excess heat.

    Args:
        problem: the problem that the curve is of.
        curve: of any level, from its very start (save 0), at T > 0.

    Returns:
        An `InformationBound`.

    Raises:
        ValueError: T = 0.

    Source: Goldt and Seifert 2017, arXiv:1611.09428; for the weights and without the excess
    thermoml.
    """
    if not float(problem.temperature) > 0:
        raise ValueError("temperature must be > 0: without a bath entropy is not defined, got 0")
    dtype = curve.norm.dtype

    def mean(values):
        return (jnp.asarray(x, dtype) for x in Estimate.of(values))

    gained = curve.information - curve.information[:, :1]
    produced = curve.entropy_production - curve.entropy_production[:, :1]
    information, information_error = mean(gained)
    entropy, entropy_error = mean(produced)
    averaged = jnp.mean(averaged_entropy_production(problem, curve), axis=0)
    efficiency = _ratio(information, entropy)
    # The error of a ratio of means, from the deviation of each trajectory.
    _, error = mean(_ratio(gained - efficiency[None] * produced, entropy[None]))
    return InformationBound(
        curve.times,
        information,
        information_error,
        label_information(curve.error.mean(axis=0)),
        entropy,
        entropy_error,
        averaged,
        efficiency,
        error,
        _ratio(information, averaged),
    )


@jax.jit
def _slack(curve: LearningCurve) -> Float[Array, "trajectory save"]:
    return curve.entropy_production - curve.information


def check_second_law(curve: LearningCurve) -> None:
    """A SecondLawWarning where a concrete curve learned more than it paid for, beyond error."""
    start = np.asarray(curve.initial["information"], float)[:, None]
    slack = np.asarray(_slack(curve), float)
    slack = slack[:, np.asarray(curve.scale_separation).mean(axis=0) < _SEPARATED]
    if slack.size == 0 or not (np.isfinite(slack).all() and np.isfinite(start).all()):
        return
    slack = slack + start
    mean, error = Estimate.of(slack)
    exact = bool((np.asarray(curve.scale_separation) == 0).all())
    # Per weight the formulas for the entropies hold up to O(1/N), and N is not known here.
    rounding = 1e-4 if exact else 1e-2
    error = np.zeros_like(mean) if exact else error
    broken = mean < -_ERRORS * error - rounding
    if broken.any():
        place = int(np.argmax(broken))
        warnings.warn(
            f"{-mean[place]:.3g} ± {error[place]:.2g} nats per weight were learned that no entropy "
            "production paid for: this must not be; please report it as a bug of thermoml",
            SecondLawWarning,
            stacklevel=4,
        )
