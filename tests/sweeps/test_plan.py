"""The cut into units: every trajectory once, within bounds, and in memory."""

import itertools
import math

import numpy as np
import pytest

from thermoml.sweeps import parse_size
from thermoml.sweeps._plan import Plan, make_plan, size_text


def random_cases(n=60):
    """Groups that change along some axes, trajectories and per_unit."""
    rng = np.random.default_rng(7)
    for _ in range(n):
        shape = tuple(rng.integers(1, 8, rng.integers(0, 4)))
        groups = np.zeros(shape, int)
        for axis, size in enumerate(shape):
            if rng.random() < 0.4:  # this parameter fixes shapes, at some of its values
                steps = rng.integers(0, 3, size).reshape(-1, *[1] * (len(shape) - axis - 1))
                groups = 3 * groups + steps
        yield groups, int(rng.integers(1, 50)), int(rng.choice([1, 3, 10, 40, 200, 5000]))


def plans():
    for groups, n_trajectories, per_unit in random_cases():
        plan = make_plan(groups, n_trajectories, per_unit, 1, lambda plan, point: 0)
        yield plan, groups, per_unit


def units_of(plan):
    return [plan.unit(number) for number in range(len(plan))]


def allowed_sizes(groups, n_trajectories, per_unit):
    """(points, trajectories) of all regular cuts that keep groups apart and heed per_unit."""
    along = [
        range(1, size + 1) if (groups == groups.take([0], axis)).all() else (1,)
        for axis, size in enumerate(groups.shape)
    ]
    for points in {math.prod(points) for points in itertools.product(*along)}:
        blocks = (n_trajectories,) if points > 1 else range(1, n_trajectories + 1)
        yield from ((points, block) for block in blocks if points * block <= per_unit)


def test_units_cover_each_trajectory_once():
    for plan, groups, _ in plans():
        count = np.zeros((*groups.shape, plan.n_trajectories), int)
        for number, unit in enumerate(units_of(plan)):
            last = unit.first_trajectory + unit.n_trajectories
            count[(*unit.region, slice(unit.first_trajectory, last))] += 1
            own = list(itertools.product(*(range(part.start, part.stop) for part in unit.region)))
            assert unit.number == number
            assert unit.shape == tuple(part.stop - part.start for part in unit.region)
            assert list(unit.points) == own + own[-1:] * (plan.n_points - len(own))
        assert (count == 1).all()


def test_units_do_not_mix_groups():
    for plan, groups, _ in plans():
        assert all(len({groups[point] for point in unit.points}) == 1 for unit in units_of(plan))


def test_units_have_at_most_per_unit_trajectories_and_not_needlessly_few():
    for plan, groups, per_unit in plans():
        size = plan.n_points * plan.trajectories
        assert size <= per_unit
        assert all(1 <= unit.n_trajectories <= plan.trajectories for unit in units_of(plan))
        largest = max(math.prod(x) for x in allowed_sizes(groups, plan.n_trajectories, per_unit))
        assert size >= largest / 3


def test_siblings_and_unit_at():
    for plan, *_ in plans():
        for start in range(0, len(plan), plan.n_blocks):
            siblings = [plan.unit(number) for number in plan.siblings(start)]
            assert [unit.block for unit in siblings] == list(range(plan.n_blocks))
            assert all(unit.region == siblings[0].region for unit in siblings)
            assert all(plan.siblings(unit.number) == plan.siblings(start) for unit in siblings)
            assert all(plan.unit_at(point) == siblings[0] for point in siblings[0].points)


def test_plan_in_memory_and_not_needlessly_small():
    rng = np.random.default_rng(11)
    for groups, n_trajectories, per_unit in random_cases():
        fixed, each = int(rng.integers(0, 1000)), int(rng.integers(1, 1000))

        def estimate(plan, point, fixed=fixed, each=each):
            return fixed + each * plan.n_points * plan.trajectories

        memory = int((fixed + each) * rng.choice([1, 1.5, 4, 30, 1000]))
        plan = make_plan(groups, n_trajectories, per_unit, memory, estimate)
        assert estimate(plan, None) <= memory
        sizes = [math.prod(x) for x in allowed_sizes(groups, n_trajectories, per_unit)]
        fitting = max(size for size in sizes if fixed + each * size <= memory)
        assert plan.n_points * plan.trajectories >= fitting / 3
        assert plan.n_points * plan.trajectories <= per_unit


def test_the_dearest_group_counts():
    groups = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])
    asked = set()

    def estimate(plan, point):
        asked.add(tuple(map(int, point)))
        return (10, 100)[groups[tuple(point)]] * plan.n_points

    plan = make_plan(groups, 1, 1000, 200, estimate)
    assert (plan.points, asked) == ((1, 2), {(0, 0), (1, 0)})


def test_one_trajectory_that_does_not_fit():
    with pytest.raises(MemoryError, match=r"one trajectory of one point needs 3 GB.* of 1 GB; "):
        make_plan(np.zeros((4, 4), int), 100, 50, 10**9, lambda plan, point: 3 * 10**9)


def test_plan_of_no_axes():
    plan = Plan((), 10, (), 4)
    assert (len(plan), plan.n_points, plan.n_blocks) == (3, 1, 3)
    assert [unit.n_trajectories for unit in units_of(plan)] == [4, 4, 2]
    assert plan.unit_at(()).points == ((),)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("500MB", 500 * 1000**2),
        ("2 GB", 2 * 1000**3),
        ("1.5GiB", 3 * 1024**3 // 2),
        (" 1kb ", 1000),
        ("1 KiB", 1024),
        ("3TiB", 3 * 1024**4),
        ("64 B", 64),
        ("1e3", 1000),
        ("17", 17),
        (17, 17),
        (1e9, 10**9),
    ],
)
def test_sizes(given, size):
    assert parse_size(given) == size


@pytest.mark.parametrize(
    "given",
    ["", "MB", "lots", "1 EB", "1 MBB", "1Mi", "1,5 GB", "-1GB", "0", "inf", "nan GB"],
)
def test_texts_that_are_no_size(given):
    with pytest.raises(ValueError, match="memory must be a size such as 500MB or 2GiB, got"):
        parse_size(given)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("given", [0, 0.5, -3, float("nan"), float("inf"), None, True, [1]])
def test_numbers_that_are_no_size(given):
    with pytest.raises(ValueError, match="memory must be a size such as 500MB or 2GiB, got"):
        parse_size(given)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1.5e9, "1.5 GB"),
        (12345678, "12.3 MB"),
        (5e14, "500 TB"),
        (999_999, "1 MB"),
    ],
)
def test_sizes_in_words(size, text):
    assert size_text(size) == text
