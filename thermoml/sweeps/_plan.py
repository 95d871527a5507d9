"""The cut of a sweep into work units: blocks of points times blocks of trajectories."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import SupportsIndex

import numpy as np

_TRIAL = 2**16  # trajectories of a unit that is always small enough to be compiled
_MOST_UNITS = 10**6


@dataclasses.dataclass(frozen=True)
class Unit:
    """A part of a sweep that is run in one call and becomes one chunk of the store.

    Attributes:
        number: its place in the order of units.
        region: its points, as a slice along each axis of the grid.
        points: the same as indices of points, row-major; the last repeated up to the full size.
        block: the index of the block of trajectories, which starts at `first_trajectory` and has
            `n_trajectories` of them.
    """

    number: int
    region: tuple[slice, ...]
    points: tuple[tuple[int, ...], ...]
    block: int
    first_trajectory: int
    n_trajectories: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points along each axis."""
        return tuple(part.stop - part.start for part in self.region)

    @property
    def n_points(self) -> int:
        """The number of points, repetitions not counted."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The regular cut of a grid and its trajectories.

    Attributes:
        grid_shape: points along each axis.
        n_trajectories: at each point.
        points: the number of points of a unit along each axis.
        trajectories: the number of trajectories of each point in a unit.
        replicates: name of the store's dimension of trajectories.
    """

    grid_shape: tuple[int, ...]
    n_trajectories: int
    points: tuple[int, ...]
    trajectories: int
    replicates: str = "trajectory"

    @property
    def n_blocks(self) -> int:
        """Blocks of trajectories at each point."""
        return -(-self.n_trajectories // self.trajectories)

    @property
    def n_points(self) -> int:
        """Points of a unit."""
        return math.prod(self.points)

    @property
    def size(self) -> int:
        """Trajectories of a unit, of all its points together."""
        return self.n_points * self.trajectories

    @property
    def _parts(self) -> tuple[int, ...]:
        return tuple(-(-n // k) for n, k in zip(self.grid_shape, self.points, strict=True))

    def __len__(self) -> int:
        return math.prod(self._parts) * self.n_blocks

    def unit(self, number: int) -> Unit:
        """Units are numbered row-major over blocks of points, the trajectory block last."""
        place, block = divmod(number, self.n_blocks)
        part = np.unravel_index(place, self._parts) if self._parts else ()
        region = tuple(
            slice(int(i) * k, min((int(i) + 1) * k, n))
            for i, k, n in zip(part, self.points, self.grid_shape, strict=True)
        )
        points = list(itertools.product(*(range(s.start, s.stop) for s in region)))
        points += [points[-1]] * (self.n_points - len(points))
        first = block * self.trajectories
        count = min(self.trajectories, self.n_trajectories - first)
        return Unit(number, region, tuple(points), block, first, count)

    def unit_at(self, point: Sequence[SupportsIndex]) -> Unit:
        """The unit of a point's first trajectories."""
        part = tuple(int(i) // k for i, k in zip(point, self.points, strict=True))
        place = int(np.ravel_multi_index(part, self._parts)) if part else 0
        return self.unit(place * self.n_blocks)

    def siblings(self, number: int) -> range:
        """All units with the same points, one for each block of trajectories."""
        start = number - number % self.n_blocks
        return range(start, start + self.n_blocks)


def make_plan(
    groups: np.ndarray,
    n_trajectories: int,
    per_unit: int,
    memory: int,
    estimate: Callable[[Plan, Sequence[int]], int],
    *,
    replicates: str = "trajectory",
) -> Plan:
    """The largest units with at most `per_unit` trajectories in total and at most `memory` bytes.

    Points of one unit share their compiled code: `groups`, shaped like the grid, numbers the codes.
    `estimate(plan, point)` is the memory that a unit needs whose first point is `point`.

    Raises:
        MemoryError: one trajectory of one point needs more.
        ValueError: there would be more than a million units.
    """
    firsts = [np.unravel_index(i, groups.shape) for i in np.unique(groups, return_index=True)[1]]

    def cut(most: int) -> Plan:
        points = _fill(groups, max(1, most // n_trajectories))
        block = _balanced(n_trajectories, most)
        return Plan(groups.shape, n_trajectories, points, block, replicates)

    if cut(per_unit).size > _TRIAL:  # compiling what is far too large takes memory itself
        trial = cut(_TRIAL)
        needed = max(estimate(trial, point) for point in firsts)
        if needed:
            per_unit = min(per_unit, max(1, trial.size * memory // needed))
    block = _balanced(n_trajectories, per_unit)
    capacity = max(1, per_unit // n_trajectories)
    while True:
        plan = Plan(groups.shape, n_trajectories, _fill(groups, capacity), block, replicates)
        needed = max(estimate(plan, point) for point in firsts)
        if needed <= memory:
            return _checked(plan)
        if plan.n_points == block == 1:
            raise MemoryError(
                f"one trajectory of one point needs {size_text(needed)}, more than the memory of "
                f"{size_text(memory)}; raise memory"
            )
        capacity = max(1, plan.n_points // -(-needed // memory))
        # Memory scales at least in proportion to the block: sizes that are known to be too large
        # are skipped, not compiled.
        block = _balanced(n_trajectories, max(1, block // -(-needed // (memory * plan.n_points))))


def _checked(plan: Plan) -> Plan:
    """The plan; ValueError if it has so many units that nobody could store them."""
    if len(plan) > _MOST_UNITS:
        raise ValueError(
            f"the sweep is cut into {len(plan)} units, and at most {_MOST_UNITS} can be kept; "
            "raise per_unit or memory, or take fewer trajectories"
        )
    return plan


def _balanced(total: int, largest: int) -> int:
    """The block size that cuts `total` into as few and as equal blocks of at most `largest`."""
    return -(-total // -(-total // largest))


def _fill(groups: np.ndarray, capacity: int) -> tuple[int, ...]:
    """Points along each axis, at most `capacity` in all, that never mix groups."""
    points = [1] * groups.ndim
    for axis in reversed(range(groups.ndim)):
        if (groups == groups.take([0], axis)).all():
            points[axis] = _balanced(groups.shape[axis], capacity)
            capacity //= points[axis]
    return tuple(points)


def parse_size(memory: float | str) -> int:
    """Bytes of `500MB`, `2 GB`, `1.5GiB` or a plain number.

    Raises:
        ValueError: it is none of these, or not positive.
    """
    units = {"": 1, "b": 1}
    units |= {f"{p}b": 1000**i for i, p in enumerate("kmgt", 1)}
    units |= {f"{p}ib": 1024**i for i, p in enumerate("kmgt", 1)}
    text = str(memory).strip().lower()
    digits = text.rstrip("kmgtib ")
    try:
        size = float(digits) * units[text[len(digits) :].strip()]
    except (ValueError, KeyError):
        size = 0.0
    if not 1 <= size < math.inf:
        raise ValueError(f"memory must be a size such as 500MB or 2GiB, got {memory!r}")
    return int(size)


def size_text(size: float) -> str:
    """`1.5 GB`."""
    for prefix in ("", "k", "M", "G"):
        if size < 999.5:
            return f"{size:.3g} {prefix}B"
        size /= 1000
    return f"{size:.3g} TB"
