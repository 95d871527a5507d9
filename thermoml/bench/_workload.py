"""Workload of the comparison: perceptrons that learn by the α-tron, with their heat."""

import dataclasses
from functools import cached_property

import numpy as np

_PRODUCTS = 6e8  # of an input and a weight; the fixed cost of a call is small relative to it
ALPHA, STIFFNESS, TEMPERATURE, RATE, DT = 0.5, 1.0, 1.0, 1.0, 0.001


def usual_steps(n_trajectories: int, n_inputs: int, batch: int) -> int:
    """Number of steps for a workload of 6e8 products, between 20 and 1000."""
    return min(max(round(_PRODUCTS / (n_trajectories * n_inputs * batch)), 20), 1000)


@dataclasses.dataclass(frozen=True)
class Workload:
    """M students of N weights, S steps of dt = 0.001 with B fresh ±1 inputs each, in float32.

    α = 1/2, ν̃ = k = T = 1. Each program returns R, Q and heat of every student at the end.
    """

    n_trajectories: int = 1024
    n_inputs: int = 1000
    batch: int = 30
    steps: int = 20

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    @property
    def elements(self) -> int:
        """Products of one input and one weight: trajectories · steps · weights · inputs."""
        return self.n_trajectories * self.steps * self.n_inputs * self.batch

    @cached_property
    def weights(self) -> np.ndarray:
        """Initial weights of all students, `(M, N)`, standard normal."""
        shape = (self.n_trajectories, self.n_inputs)
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    @cached_property
    def teacher(self) -> np.ndarray:
        """One teacher for all, `(N,)` with |T|² = N."""
        drawn = np.random.default_rng(1).standard_normal(self.n_inputs, np.float32)
        return drawn * np.float32(self.n_inputs**0.5) / np.linalg.norm(drawn)

    def grown(self, name: str) -> list["Workload"]:
        """Workloads with a quarter, a half and the whole of one size; the others do not change."""
        whole = getattr(self, name)
        sizes = sorted({max(1, whole // 4), max(1, whole // 2), whole})
        return [dataclasses.replace(self, **{name: size}) for size in sizes]
