"""The studies of small systems in baths: `dragged_trap`, `tilted_ring`, `two_baths`, …"""

from typing import Literal

from pydantic import Field, model_validator

from ..numerics.checks import count_steps
from ._ensemble import Kept
from ._numbers import Numbers, Positive


class Experiment(Kept):
    """Simulated trajectories, each of which is kept."""

    n_trajectories: int = Field(default=10_000, ge=10)
    dt: float = Field(default=0.01, gt=0, allow_inf_nan=False)

    def check_divides(self, *durations: float) -> None:
        """ValueError unless dt divides each of them."""
        for duration in durations:
            count_steps(0.0, duration, self.dt, self.precision)


class DraggedTrap(Experiment):
    """The study `dragged_trap`: work distributions of a moving trap, both ways."""

    study: Literal["dragged_trap"]
    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    distance: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    duration: Positive

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(*self.duration)
        return self


class TiltedRing(Experiment):
    """The study `tilted_ring`: a particle driven over the barriers of a ring."""

    study: Literal["tilted_ring"]
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    barrier: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    force: Numbers
    t1: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    settle: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    cells: int = Field(default=400, ge=3)

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(self.settle, self.t1)
        if 0 in self.force:
            raise ValueError("force must not be 0: there is no current to compare with")
        return self


class TwoBaths(Experiment):
    """The study `two_baths`: two coupled beads, each in a bath of its own."""

    study: Literal["two_baths"]
    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    coupling: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    cold: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    hot: Positive
    t1: float = Field(default=4.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(self.t1)
        return self


class StirlingEngine(Experiment):
    """An engine between two baths, with isothermal strokes of several durations."""

    compression: float = Field(default=4.0, gt=1, allow_inf_nan=False)
    cold: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    hot: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    duration: Positive
    isochore: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rounds: int = Field(default=10, ge=1)
    settle: int = Field(default=5, ge=0)

    @model_validator(mode="after")
    def _check_parts(self):
        self.check_divides(self.isochore, *self.duration)
        if self.hot <= self.cold:
            raise ValueError(f"hot must be above cold = {self.cold:g}, got {self.hot:g}")
        return self


class Stirling(StirlingEngine):
    """The study `stirling`: a harmonic Stirling engine, from fast to quasi-static."""

    study: Literal["stirling"]
    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class OptimalProtocol(Experiment):
    """The study `optimal_protocol`: the least work to move or to stiffen a trap in given time.

    `dt` is in units of the duration.
    """

    study: Literal["optimal_protocol"]
    task: Literal["move", "stiffen"] = "stiffen"
    amount: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    duration: Positive
    knots: int = Field(default=17, ge=2)
    ways: list[Literal["moment_equations", "simulated"]] = Field(
        default_factory=lambda: ["moment_equations", "simulated"], min_length=1
    )
    tuned_on: int = Field(default=1000, ge=2)

    @model_validator(mode="after")
    def _check_parts(self):
        self.check_divides(1.0)
        if self.task == "stiffen" and self.amount == 1:
            raise ValueError("amount must differ from 1, the stiffness at the start")
        return self
