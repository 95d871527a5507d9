"""Learning curves, the same from every level of description, and their checkpoints."""

import abc
import dataclasses
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Int

from ..ensembles import AbstractCheckpoint, Clock
from ..numerics import Estimate
from ..numerics.labels import Labelled, to_dataset
from ..numerics.results import AbstractResult
from ..numerics.statistics import text_at_end
from ..numerics.sums import CompensatedSum
from ..numerics.types import AnyArray
from .problem import LearningProblem, safe_root, wrong_fraction

if TYPE_CHECKING:
    import xarray

TIME_UNIT = "1/(mobility · stiffness)"

# name: (unit with k_B = 1, name in words)
QUANTITIES = {
    "overlap": ("", "overlap R = T·w/N"),
    "norm": ("", "norm Q = |w|²/N"),
    "error": ("", "generalization error ε"),
    "heat": ("energy/weight", "heat into the bath per weight"),
    "work": ("energy/weight", "work of the learning force per weight"),
    "energy": ("energy/weight", "energy per weight"),
    "system_entropy": ("nat/weight", "entropy the weights gained, per weight"),
    "environment_entropy": ("nat/weight", "entropy the bath gained, per weight"),
    "entropy_production": ("nat/weight", "entropy of weights and bath gained, per weight"),
    "information": ("nat/weight", "information of the weights about the teacher, per weight"),
    "information_gain": ("nat/weight", "information gained since the start, per weight"),
    "scale_separation": ("", "input noise per step over bath noise"),
    "training_error": ("", "fraction of the training set that is wrong"),
    "test_error": ("", "fraction of the test set that is wrong"),
}


class AbstractLearningCheckpoint(AbstractCheckpoint):
    """Where M students stand: all that is needed to go on as if they had never stopped.

    Attributes:
        work: the ledger so far, per weight.
        stiffness: k of the last run; a change of it at the next one is work.
    """

    work: eqx.AbstractVar[CompensatedSum]
    stiffness: eqx.AbstractVar[Float[Array, ""]]

    @property
    @abc.abstractmethod
    def norm(self) -> Float[Array, " trajectory"]:
        """Q = |w|²/N."""


class WeightsCheckpoint(AbstractLearningCheckpoint):
    """A checkpoint of the microscopic level: all weights."""

    weights: Float[Array, "trajectory N"]
    work: CompensatedSum
    diverged_step: Int[AnyArray, " trajectory"]
    stiffness: Float[Array, ""]
    step: Int[AnyArray, ""]
    clock: Clock
    first_trajectory: Int[AnyArray, ""]

    @property
    def norm(self) -> Float[Array, " trajectory"]:
        return jnp.sum(self.weights**2, axis=1) / self.weights.shape[1]


class PlaneCheckpoint(AbstractLearningCheckpoint):
    """A checkpoint of the other levels: R and P = √(Q - R²), w/√N along the teacher and across."""

    plane: Float[Array, "trajectory 2"]
    work: CompensatedSum
    diverged_step: Int[AnyArray, " trajectory"]
    stiffness: Float[Array, ""]
    step: Int[AnyArray, ""]
    clock: Clock
    first_trajectory: Int[AnyArray, ""]

    @property
    def norm(self) -> Float[Array, " trajectory"]:
        return jnp.sum(self.plane**2, axis=1)


class LearningCurve(AbstractResult):
    r"""Trajectories of learning, `[trajectory, save]`; extensive quantities are per weight.

    k_B = 1; heat is positive into the bath, work positive on the weights, both cumulative.

    Attributes:
        times: `(save,)`.
        overlap: R = T·w/N with |T|² = N. `norm`: Q = |w|²/N.
        transverse: P² = Q - R², kept for itself because the difference cancels.
        error: ε = arctan2(P, R)/π, the generalization error; 1/2 for zero weights, which predict
            +1 always.
        heat, work, energy: per weight; energy is kQ/2 and dU = δW - δQ.
        information: I/N = ½ ln(Q/P²), the information of the weights on the teacher (N → ∞); 0 for
            zero weights.
        system_entropy: ½ ln(Q_t/Q_0), the change of the weights' entropy, averaged over teachers
            (N → ∞); infinite from the start on if that is zero weights, which have none.
        environment_entropy: heat/T, the entropy gained by the bath. NaN at T = 0.
        entropy_production: their sum, in nats per weight.
        information_gain: I_t - I_0.
        efficiency: information_gain/entropy_production of each trajectory, 0 at the start. It is
            not bounded, since one trajectory may produce no entropy or less, and its mean says
            little; a sweep keeps the means of both terms instead.
        mean_efficiency: `(save,)`, an `Estimate` of the ratio of the means, which is at most 1.
        scale_separation: dt |f|²/(2NT), f the learning force of a step, averaged over the steps
            since the last save (save 0: up to the first): the diffusion caused by the inputs of a
            step, relative to that of the bath. 0 when time scales separate.
        heat_rate_bias: `(save,)`, the heat per weight and time that a rule with jumps J of F at
            s = κ loses to the finite step, the sum of -(ν̃²N/B) J² √(2T dt/2π) p(κ), leading order
            in √dt; p is the density of s at the means of R and Q over trajectories,
            p(0) = 1/√(2π⟨Q⟩). 0 without a jump, -inf for α < 0.
        training_error, test_error: fractions counted on the sets; None without them.
        initial: norm, energy and information at the very start, each `(trajectory,)`: save 0,
            unless the curve continues another.
        weights: final students, `(trajectory, N)`, and `teacher`, `(N,)` or `(trajectory, N)`; None
            at levels that know no weights.
        checkpoint: continue with `learn(problem, level, weights=curve, ...)`.
        diverged_step: the step at which a trajectory turned non-finite, -1 for none.
    """

    times: Float[AnyArray, " save"]
    overlap: Float[Array, "trajectory save"]
    norm: Float[Array, "trajectory save"]
    transverse: Float[Array, "trajectory save"]
    work: Float[Array, "trajectory save"]
    scale_separation: Float[Array, "trajectory save"]
    jump_loss: Float[Array, ""]  # heat_rate_bias of the jump at 0, at ⟨Q⟩ = 1
    stiffness: Float[Array, ""]
    temperature: Float[Array, ""]
    initial: dict[str, Float[Array, " trajectory"]]
    diverged_step: Int[AnyArray, " trajectory"]
    teacher: Float[Array, "..."] | None
    checkpoint: AbstractLearningCheckpoint | None
    training_error: Float[Array, "trajectory save"] | None = None
    test_error: Float[Array, "trajectory save"] | None = None
    kinks: Float[Array, " kink"] | None = None  # of the rule, besides 0
    kink_losses: Float[Array, " kink"] | None = None  # heat_rate_bias where p(κ) = 1/√(2π)

    @property
    def weights(self) -> Float[Array, "*batch trajectory N"] | None:
        checkpoint = self.checkpoint
        return checkpoint.weights if isinstance(checkpoint, WeightsCheckpoint) else None

    @property
    @jax.jit
    def heat_rate_bias(self) -> Float[Array, "*batch save"]:
        norm, overlap, square = (
            jnp.nanmean(x, axis=0) for x in (self.norm, self.overlap, self.transverse)
        )
        bias = self.jump_loss / jnp.sqrt(norm)
        if self.kinks is None or self.kink_losses is None:
            return bias

        def lost(place, loss):
            y = place / jnp.sqrt(norm)
            density = 2 * jnp.exp(-(y**2) / 2) * ndtr(y * overlap / jnp.sqrt(square))
            return jnp.where(loss == 0, 0, loss / jnp.sqrt(norm) * density)

        return bias + jnp.sum(jax.vmap(lost)(self.kinks, self.kink_losses), axis=0)

    @property
    @jax.jit
    def error(self) -> Float[Array, "*batch trajectory save"]:
        return wrong_fraction(safe_root(self.transverse), self.overlap)

    @property
    @jax.jit
    def energy(self) -> Float[Array, "*batch trajectory save"]:
        return self.stiffness * self.norm / 2

    @property
    @jax.jit
    def heat(self) -> Float[Array, "*batch trajectory save"]:
        return self.work - (self.energy - self.initial["energy"][:, None])

    @property
    @jax.jit
    def information(self) -> Float[Array, "*batch trajectory save"]:
        blank = (self.transverse == 0) & (self.overlap == 0)
        return jnp.log1p(self.overlap**2 / jnp.where(blank, 1, self.transverse)) / 2

    @property
    @jax.jit
    def system_entropy(self) -> Float[Array, "*batch trajectory save"]:
        start = self.initial["norm"][:, None]
        unchanged = self.norm == start  # 0/0 for zero weights
        return jnp.log(jnp.where(unchanged, 1, self.norm) / jnp.where(unchanged, 1, start)) / 2

    @property
    @jax.jit
    def environment_entropy(self) -> Float[Array, "*batch trajectory save"]:
        heated = self.temperature > 0
        return jnp.where(heated, self.heat / jnp.where(heated, self.temperature, 1), jnp.nan)

    @property
    @jax.jit
    def entropy_production(self) -> Float[Array, "*batch trajectory save"]:
        return self.system_entropy + self.environment_entropy

    @property
    @jax.jit
    def information_gain(self) -> Float[Array, "*batch trajectory save"]:
        return self.information - self.initial["information"][:, None]

    @property
    @jax.jit
    def efficiency(self) -> Float[Array, "*batch trajectory save"]:
        produced = self.entropy_production
        idle = produced == 0
        return jnp.where(idle, 0, self.information_gain / jnp.where(idle, 1, produced))

    @property
    @jax.jit
    def mean_efficiency(self) -> Estimate:
        """Mean information gained over mean entropy produced, with its error; 0 at the start."""
        produced = self.entropy_production
        idle = jnp.mean(produced, axis=0, keepdims=True) == 0
        return Estimate.ratio(
            jnp.where(idle, 0, self.information_gain), jnp.where(idle, 1, produced)
        )

    def at_start(self) -> dict[str, Float[Array, " trajectory"]]:
        """Norm, energy and information at save 0."""
        names = ("norm", "energy", "information")
        return {name: getattr(self, name)[:, 0] for name in names}

    def light(self) -> "LearningCurve":
        """This curve without the weights: all observables, but it cannot be continued."""
        return dataclasses.replace(self, teacher=None, checkpoint=None)

    def quantities(self) -> dict[str, Float[Array, "trajectory save"]]:
        """All observables by name, `[trajectory, save]`."""
        values = {name: getattr(self, name) for name in QUANTITIES}
        return {name: value for name, value in values.items() if value is not None}

    def _summary(self):
        n_trajectories, n_saves = self.overlap.shape
        rows = {"time": f"{float(self.times[0]):g} to {float(self.times[-1]):g}"}
        for name in ("error", "heat", "work", "energy", "scale_separation"):
            rows[name] = text_at_end(getattr(self, name))
        return f"LearningCurve of {n_trajectories} trajectories at {n_saves} saves", rows

    def labelled(self) -> dict[str, Labelled]:
        """The observables and their coordinates, with units and names in words."""
        variables = {
            name: Labelled(("trajectory", "time"), value, *QUANTITIES[name])
            for name, value in self.quantities().items()
        }
        return variables | {"time": Labelled(("time",), self.times, TIME_UNIT, "time")}

    def to_xarray(self) -> "xarray.Dataset":
        """The observables as a Dataset over `trajectory` and `time`, and both efficiencies."""
        mean, error = self.mean_efficiency
        words = "mean information gained per mean entropy produced"
        single = "information gained per entropy produced, of each trajectory"
        efficiencies = {
            "efficiency": Labelled(("trajectory", "time"), self.efficiency, "", single),
            "mean_efficiency": Labelled(("time",), mean, "", words),
            "mean_efficiency_standard_error": Labelled(
                ("time",), error, "", f"standard error of {words}"
            ),
        }
        return to_dataset(self.labelled() | efficiencies)


def curve_of(
    problem: LearningProblem,
    records: dict[str, Float[Array, "trajectory save"]],
    *,
    times: Float[AnyArray, " save"],
    scale_separation: Float[Array, "trajectory save"],
    jump_loss: Float[Array, ""],
    diverged_step: Int[AnyArray, " trajectory"],
    initial: dict[str, Float[Array, " trajectory"]] | None = None,
    checkpoint: AbstractLearningCheckpoint | None = None,
    kinks: Float[Array, " kink"] | None = None,
    kink_losses: Float[Array, " kink"] | None = None,
) -> LearningCurve:
    """A curve from what was recorded: overlap, norm, transverse, work, counted errors.

    `initial` is left out unless another curve is continued: then save 0 is the start.
    """
    curve = LearningCurve(
        **records,
        times=times,
        scale_separation=scale_separation,
        jump_loss=jump_loss,
        kinks=kinks,
        kink_losses=kink_losses,
        stiffness=problem.stiffness,
        temperature=problem.temperature,
        initial={},
        diverged_step=diverged_step,
        teacher=None,
        checkpoint=checkpoint,
    )
    return dataclasses.replace(curve, initial=curve.at_start() if initial is None else initial)
