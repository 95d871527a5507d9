"""The interface of a process: how the trajectories of an ensemble start, move and are recorded."""

import abc
from typing import ClassVar, Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Int, PyTree

from ._layout import Footprint

Walkers = TypeVar("Walkers")  # between two runs: trajectory axis first, with `diverged_step`
Held = TypeVar("Held")  # constant during a run
Moving = TypeVar("Moving")  # between two steps


class AbstractProcess(eqx.Module, Generic[Walkers, Held, Moving]):
    """The dynamics of an ensemble: start, step and record of one chunk of trajectories.

    `run` cuts the ensemble into chunks, shares them over the devices and loops over saves. All
    methods see one chunk, whose arrays have the trajectory axis
    at `trajectory_axis` (0 or -1) during the steps.

    Attributes:
        trajectory_axis: where the arrays of `Held` and `Moving` have their trajectory axis.
    """

    trajectory_axis: ClassVar[int]

    @abc.abstractmethod
    def footprint(self, walkers: Walkers) -> Footprint:
        """The limits of the number of trajectories side by side, of the whole ensemble."""

    @abc.abstractmethod
    def init(
        self,
        indices: Int[Array, " trajectory"],
        walkers: Walkers,
        own: PyTree[Array],
        step: Int[Array, ""],
    ) -> tuple[Held, Moving]:
        """The constant and the moving part of a chunk, after `step` steps.

        Args:
            indices: numbers of the trajectories.
            walkers: rows of the ensemble, trajectory axis first.
            own: rows of the data that each trajectory keeps, such as its teacher.
            step: number of steps made.
        """

    @abc.abstractmethod
    def step(self, held: Held, moving: Moving, step: Int[Array, ""]) -> Moving:
        """One step further; `step` is its number."""

    @abc.abstractmethod
    def record(
        self, held: Held, moving: Moving, step: Int[Array, ""], n_steps: int
    ) -> tuple[Moving, PyTree[Array]]:
        """The record of a save, trajectory axis first, and what moves on from it.

        Args:
            held, moving: the chunk after `step` steps.
            step: number of steps made.
            n_steps: steps since the last save, 1 at the start.
        """

    @abc.abstractmethod
    def final(self, moving: Moving) -> Walkers:
        """The walkers at the end, trajectory axis first."""
