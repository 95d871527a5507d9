"""The second law of learning: information gained against entropy produced."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..numerics import AbstractResult, Estimate
from ..numerics.arrays import cast_floats
from ..numerics.compile import jitted
from ._curve import LearningCurve
from .problem import LearningProblem, label_information
from .theory import moments

_FALSE_ALARM = 3e-5  # probability of a false report at a save: 4 standard errors of many runs
_SEPARATED = 0.1  # scale separation up to which the inputs are not a second bath


class SecondLawWarning(UserWarning):
    """More information gained than the entropy produced allows: a bug in the library."""


class InformationBound(AbstractResult):
    r"""$I_t - I_0 \le \Delta S(w) + \Delta Q/T$ along a run, per weight in nats, at each save.

    Means over the trajectories; `*_error` are their standard errors (NaN for one trajectory).

    Attributes:
        times: `(save,)`.
        information, information_error: $I_t - I_0$ with $I/N = \tfrac12\ln[Q/(Q-R^2)]$, the
            information that the weights gained about the teacher.
        label_information: $\ln 2 - H_b(\varepsilon)$ per label at the mean error; at most that of
            the weights.
        entropy_production, entropy_production_error: ½ ln(Q_t/Q_0) + heat/T as measured, including
            the heat of the inputs' fluctuations (the excess).
        averaged_entropy_production: the same with the heat of the averaged force alone,
            $\bar V_0 - \bar V_t$ with $\bar V = kQ/2 - \tilde\nu E[\Phi]$ at each R and Q: the
            tighter bound. The excess goes on in the steady state, and loosens the other with time.
        efficiency, efficiency_error: information gained over entropy production, 0 at the start.
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

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Information, entropy production and efficiency with their errors, at each save."""
        return {
            "information": Estimate(self.information, self.information_error),
            "entropy_production": Estimate(self.entropy_production, self.entropy_production_error),
            "efficiency": Estimate(self.efficiency, self.efficiency_error),
        }

    def _summary(self):
        names = ("label_information", "averaged_entropy_production", "averaged_efficiency")
        rows = {
            name: Estimate(x.mean[-1], x.standard_error[-1]) for name, x in self.estimates.items()
        } | {name: getattr(self, name)[-1] for name in names}
        heading = f"InformationBound at {len(self.times)} saves; per weight at t = "
        return heading + f"{float(self.times[-1]):g}", rows


@jitted
def averaged_entropy_production(
    problem: LearningProblem, curve: LearningCurve
) -> Float[Array, "trajectory save"]:
    """½ ln(Q_t/Q_0) + (V̄_0 - V̄_t)/T, the entropy production of the averaged force alone.

    Args:
        problem: the problem of the curve.
        curve: of any level, from its very start (save 0), at T > 0.

    Returns:
        Nats per weight at each save of each trajectory.

    Cost: O(1) for each of them, a Gaussian average of the rule.
    """
    problem = cast_floats(problem, curve.norm.dtype)

    def height(overlap, norm):
        potential = moments(problem.rule, overlap, norm).potential
        return problem.stiffness * norm / 2 - problem.learning_rate * potential

    heights = jax.vmap(jax.vmap(height))(curve.overlap, curve.norm)
    system_entropy = jnp.log(curve.norm / curve.norm[:, :1]) / 2
    return system_entropy + (heights[:, :1] - heights) / curve.temperature


def information_bound(problem: LearningProblem, curve: LearningCurve) -> InformationBound:
    """Information gained along a run against entropy produced, with and without the excess heat.

    Args:
        problem: the problem of the curve.
        curve: of any level, from its very start (save 0), at T > 0.

    Returns:
        An `InformationBound`.

    Raises:
        ValueError: T = 0.

    Source: Goldt and Seifert 2017, arXiv:1611.09428, for labels; thermoml for the weights and
    without the excess.
    """
    if not float(problem.temperature) > 0:
        raise ValueError("temperature must be > 0: without a bath entropy is not defined, got 0")
    gained = jnp.asarray(curve.information - curve.information[:, :1])
    produced = jnp.asarray(curve.entropy_production - curve.entropy_production[:, :1])
    information, entropy = Estimate.of(gained), Estimate.of(produced)
    averaged = jnp.mean(averaged_entropy_production(problem, curve), axis=0)

    def ratio(above, below):
        """0 where nothing is produced, as at the start."""
        idle = jnp.mean(below, axis=0, keepdims=True) == 0
        return Estimate.ratio(jnp.where(idle, 0, above), jnp.where(idle, 1, below))

    efficiency = ratio(gained, produced)
    return InformationBound(
        times=curve.times,
        information=information.mean,
        information_error=information.standard_error,
        label_information=label_information(curve.error.mean(axis=0)),
        entropy_production=entropy.mean,
        entropy_production_error=entropy.standard_error,
        averaged_entropy_production=averaged,
        efficiency=efficiency.mean,
        efficiency_error=efficiency.standard_error,
        averaged_efficiency=ratio(information.mean[None], averaged[None]).mean,
    )


@jax.jit
def _slack(curve: LearningCurve) -> Float[Array, "trajectory save"]:
    return curve.entropy_production - curve.information


def check_second_law(curve: LearningCurve) -> None:
    """A SecondLawWarning if the information gained exceeds the entropy produced, beyond error.

    Args:
        curve: concrete.
    """
    from scipy import special

    start = np.asarray(curve.initial["information"], float)[:, None]
    slack = np.asarray(_slack(curve), float)
    slack = slack[:, np.asarray(curve.scale_separation).mean(axis=0) < _SEPARATED]
    if slack.size == 0 or not (np.isfinite(slack).all() and np.isfinite(start).all()):
        return
    mean, error = Estimate.of(slack + start)
    exact = bool((np.asarray(curve.scale_separation) == 0).all())
    # The formulas for the entropies per weight hold up to O(1/N), and N is not known here.
    rounding = 1e-4 if exact else 1e-2
    error = np.zeros_like(mean) if exact else error
    multiple = -special.stdtrit(max(len(slack) - 1, 1), _FALSE_ALARM)  # Student's t
    broken = mean < -multiple * error - rounding
    if broken.any():
        place = int(np.argmax(broken))
        warnings.warn(
            f"the weights gained {-mean[place]:.3g} ± {error[place]:.2g} nats each beyond the "
            "entropy production, which violates the second law; please report this as a bug in "
            "thermoml",
            SecondLawWarning,
            stacklevel=4,
        )
