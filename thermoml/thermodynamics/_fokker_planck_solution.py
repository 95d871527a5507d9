"""Results of a Fokker-Planck equation: a density in time with its ledger, and transport."""

from jaxtyping import Array, Float

from ..numerics.results import AbstractResult


class FokkerPlanckSolution(AbstractResult):
    """A density in time and its ledger; all axes begin with `save`.

    Attributes:
        times: `(save,)`.
        density: `(save, cells…)`; its integral is `survival`.
        energy, entropy: U and S of what is there, `(save,)`.
        work, heat: since the start, `(save,)`.
        heat_by_axis: heat since the start into the bath of each axis, `(save, axis)`.
        entropy_flow, entropy_production: since the start in nats, `(save,)`.
        survival: probability that nothing was absorbed, `(save,)`; 1 without an absorbing end. Who
            is absorbed takes the energy of the last cell along, without work or heat, and the
            entropy production is that of the jumps between cells.
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
    survival: Float[Array, " save"]

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


class Spectrum(AbstractResult):
    """The slowest modes of a Fokker-Planck equation, `(mode,)`.

    Attributes:
        rates: decay per unit of time, the smallest first.
        frequencies: angular frequency, 0 in detailed balance; a pair of modes shares one rate.
    """

    rates: Float[Array, " mode"]
    frequencies: Float[Array, " mode"]

    def _summary(self):
        return "Spectrum", {"rates": self.rates, "frequencies": self.frequencies}
