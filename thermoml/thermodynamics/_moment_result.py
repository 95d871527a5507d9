"""The result of moment equations: distributions of a harmonic system in time, and its ledger."""

from jaxtyping import Array, Float, PyTree

from ..numerics.results import AbstractResult
from ._normal import NormalState


class Moments(AbstractResult):
    """The distribution of a harmonic system in time, and its mean ledger since the start.

    Attributes:
        times: `(save,)`.
        mean, covariance: `(save, …)`, of the start's shapes; `state(save)` returns both.
        energy, work, heat: means, `(save,)`; work and heat are cumulative, work - heat is the
            change of energy.
        heat_by_element: mean heat into the bath of each coordinate, `(save, d)`.
        entropy_flow: Σ ∫ δQ_i/T_i, `(save,)`, in nats; NaN once a bath has been at T = 0.
        control: λ at the times, a pytree with the axis `save` first.
        shadow_work: mean cumulative work of the discretisation; NaN for an integrator that has
            none, None in the limit dt → 0.
        free_energy_from_work, free_energy_from_total_work: -T ln⟨e^{-W/T}⟩ since the start, of the
            work and of work and shadow work, which `jarzynski` estimates; NaN where there are
            several temperatures, None in the limit dt → 0.

    With momentum a state is `(2d,)`, position first, the energy contains p²/2m, and heat is that of
    friction and noise, so that work + shadow_work - heat is the change of energy.
    """

    times: Float[Array, " save"]
    mean: Float[Array, "save ..."]
    covariance: Float[Array, "save ..."]
    energy: Float[Array, " save"]
    work: Float[Array, " save"]
    heat: Float[Array, " save"]
    heat_by_element: Float[Array, "save d"]
    entropy_flow: Float[Array, " save"]
    control: PyTree[Array]
    shadow_work: Float[Array, " save"] | None = None
    free_energy_from_work: Float[Array, " save"] | None = None
    free_energy_from_total_work: Float[Array, " save"] | None = None

    def state(self, save: int = -1) -> NormalState:
        """The distribution at one save, by default the last."""
        return NormalState(self.mean[save], self.covariance[save])

    def _summary(self):
        names = ("work", "heat", "energy", "entropy_flow")
        heading = f"Moments at t = {float(self.times[-1]):g}, means"
        return heading, {name: getattr(self, name)[-1] for name in names}
