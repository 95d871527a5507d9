"""Results of a Fokker-Planck equation: a density in time with its ledger, and transport."""

from jaxtyping import Array, Float

from ..numerics.results import AbstractResult


class FokkerPlanckSolution(AbstractResult):
    """A density in time and its ledger; all axes begin with `save`.

    Attributes:
        times: `(save,)`.
        density: `(save, cells…)`, integrates to 1.
        energy, entropy: U and S, `(save,)`.
        work, heat: since the start, `(save,)`.
        heat_by_axis: heat since the start into the bath of each axis, `(save, axis)`.
        entropy_flow, entropy_production: since the start in nats, `(save,)`.
    """

    times: Float[Array, " save"]
    density: Float[Array, "save ..."]
    energy: Float[Array, " save"]
    entropy: Float[Array, " save"]
    work: Float[Array, " save"]
    heat: Float[Array, " save"]
    heat_by_axis: Float[Array, "save axis"]
    entropy_flow: Float[Array, " save"]
    entropy_production: Float[Array, " save"]

    def _summary(self):
        names = ("work", "heat", "energy", "entropy", "entropy_flow", "entropy_production")
        heading = f"FokkerPlanckSolution at t = {float(self.times[-1]):g}"
        return heading, {name: getattr(self, name)[-1] for name in names}


class Transport(AbstractResult):
    """Long-time transport along a ring: mean velocity and effective diffusion coefficient."""

    velocity: Float[Array, ""]
    diffusion: Float[Array, ""]

    def _summary(self):
        return "Transport", {"velocity": self.velocity, "diffusion": self.diffusion}
