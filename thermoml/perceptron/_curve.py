"""What learning returns, the same from every level of description."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..numerics._arrays import is_concrete
from ..numerics._labels import Labelled, to_dataset

if TYPE_CHECKING:
    import xarray

# name: (unit with k_B = 1, name in words)
QUANTITIES = {
    "overlap": ("", "overlap R = T·w/N"),
    "norm": ("", "norm Q = |w|²/N"),
    "error": ("", "generalization error ε"),
    "heat": ("energy/weight", "heat into the bath per weight"),
    "work": ("energy/weight", "work of the learning force per weight"),
    "energy": ("energy/weight", "energy per weight"),
    "entropy_production": ("nat/weight", "entropy of weights and bath gained, per weight"),
    "information": ("nat/weight", "information of the weights about the teacher, per weight"),
    "efficiency": ("", "information gained per entropy produced"),
    "scale_separation": ("", "input noise per step over bath noise"),
    "training_error": ("", "fraction of the training set that is wrong"),
    "test_error": ("", "fraction of the test set that is wrong"),
}


class LearningCurve(eqx.Module):
    r"""Trajectories of learning, `[trajectory, save]`; what is extensive is per weight.

    k_B = 1; heat is positive into the bath, work positive on the weights, both cumulative.

    Attributes:
        times: `(save,)`.
        overlap: R = T·w/N with |T|² = N. `norm`: Q = |w|²/N.
        transverse: P² = Q - R², kept for itself because the difference cancels.
        error: ε = arctan2(P, R)/π, the generalization error.
        heat, work, energy: per weight; energy is kQ/2 and dU = δW - δQ.
        information: I/N = ½ ln(Q/P²), what the weights tell about the teacher (N → ∞).
        entropy_production: ½ ln(Q_t/Q_0) + heat/T, the entropy of the weights to one who does not
            know the teacher, plus that of the bath. NaN at T = 0.
        efficiency: (I_t - I_0)/entropy_production, at most 1 on average; 0 at the start.
        scale_separation: dt |f|²/(2NT), f the learning force of a step, averaged over the steps
            since the last save (save 0: up to the first): what the inputs of a step add to
            the weights' diffusion, beside the bath's. 0 when time scales separate.
        heat_rate_bias: `(save,)`, the heat per weight and time that a rule with a jump J of F at
            s = 0 loses to the finite step, -(ν̃²N/B) J² √(2T dt/2π)/√(2π⟨Q⟩), leading order in
            √dt; ⟨Q⟩ is the mean over trajectories. 0 without a jump, -inf for α < 0.
        training_error, test_error: counted on the sets, where there are any; else None.
        weights: final students, `(trajectory, N)`; `teacher`: `(N,)` or `(trajectory, N)`.
        diverged_step: the step at which a trajectory turned non-finite, -1 for none.
    """

    times: Float[Array, " save"]
    overlap: Float[Array, "trajectory save"]
    transverse: Float[Array, "trajectory save"]
    work: Float[Array, "trajectory save"]
    scale_separation: Float[Array, "trajectory save"]
    jump_loss: Float[Array, ""]  # heat_rate_bias at ⟨Q⟩ = 1
    stiffness: Float[Array, ""]
    temperature: Float[Array, ""]
    weights: Float[Array, "trajectory N"]
    teacher: Float[Array, "..."]
    diverged_step: Int[Array, " trajectory"]
    training_error: Float[Array, "trajectory save"] | None = None
    test_error: Float[Array, "trajectory save"] | None = None

    @property
    def norm(self) -> Float[Array, "trajectory save"]:
        return self.overlap**2 + self.transverse

    @property
    def heat_rate_bias(self) -> Float[Array, " save"]:
        return self.jump_loss / jnp.sqrt(jnp.nanmean(self.norm, axis=0))

    @property
    def error(self) -> Float[Array, "trajectory save"]:
        return jnp.arctan2(jnp.sqrt(self.transverse), self.overlap) / jnp.pi

    @property
    def energy(self) -> Float[Array, "trajectory save"]:
        return self.stiffness * self.norm / 2

    @property
    def heat(self) -> Float[Array, "trajectory save"]:
        return self.work - (self.energy - self.energy[:, :1])

    @property
    def information(self) -> Float[Array, "trajectory save"]:
        return jnp.log1p(self.overlap**2 / self.transverse) / 2

    @property
    def entropy_production(self) -> Float[Array, "trajectory save"]:
        norm = self.norm
        heated = self.temperature > 0
        flow = self.heat / jnp.where(heated, self.temperature, 1)
        return jnp.log(norm / norm[:, :1]) / 2 + jnp.where(heated, flow, jnp.nan)

    @property
    def efficiency(self) -> Float[Array, "trajectory save"]:
        produced = self.entropy_production
        gained = self.information - self.information[:, :1]
        return jnp.where(produced == 0, 0, gained / jnp.where(produced == 0, 1, produced))

    def quantities(self) -> dict[str, Float[Array, "trajectory save"]]:
        """All observables by name, `[trajectory, save]`."""
        values = {name: getattr(self, name) for name in QUANTITIES}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        n_trajectories, n_saves = self.overlap.shape
        lines = [f"LearningCurve of {n_trajectories} trajectories at {n_saves} saves"]
        if not is_concrete(self.overlap):
            return lines[0] + " (traced)"
        lines.append(f"  time            {float(self.times[0]):g} to {float(self.times[-1]):g}")
        for name in ("error", "heat", "work", "energy", "scale_separation"):
            final = np.asarray(getattr(self, name))[:, -1]
            spread = f" ± {final.std(ddof=1) / len(final) ** 0.5:.2g}" if len(final) > 1 else ""
            lines.append(f"  {name:<15} {final.mean():.5g}{spread} (mean at the end)")
        return "\n".join(lines)

    def to_xarray(self) -> "xarray.Dataset":
        """The observables as a Dataset over `trajectory` and `time`."""
        variables = {
            name: Labelled(("trajectory", "time"), value, *QUANTITIES[name])
            for name, value in self.quantities().items()
        }
        trajectories = np.arange(self.overlap.shape[0])
        coordinates = {
            "time": Labelled(("time",), self.times, "1/(mobility · stiffness)", "time"),
            "trajectory": Labelled(("trajectory",), trajectories, "", "trajectory index"),
        }
        return to_dataset(variables, coordinates)
