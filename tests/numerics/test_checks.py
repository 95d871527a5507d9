import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.numerics.checks import check_bound, check_count, count_saves, count_steps


@pytest.mark.parametrize(
    ("t0", "t1", "dt", "steps"),
    [(0, 1, 0.1, 10), (0.0, 3.0, 0.3, 10), (1.5, 2.0, 1e-3, 500), (0, 1, 1 / 3, 3), (-1, 1, 2, 1)],
)
def test_steps_are_counted(t0, t1, dt, steps):
    assert count_steps(t0, t1, dt, np.float32) == steps
    assert count_steps(np.float64(t0), jnp.float32(t1), np.asarray(dt), np.float64) == steps


@pytest.mark.parametrize(("t0", "t1", "dt"), [(0, 1, 0.3), (0, 10, 0.7), (2, 3, 1.5), (0, 1, 3e-4)])
def test_a_dt_that_does_not_divide_is_refused_and_both_suggestions_are_accepted(t0, t1, dt):
    with pytest.raises(ValueError, match=rf"^dt must divide .*got dt = {dt:g}") as caught:
        count_steps(t0, t1, dt, np.float64)
    suggested = re.search(r"; dt = (\S+) or (\S+) would", str(caught.value)).groups()
    counts = [count_steps(t0, t1, float(value), np.float64) for value in suggested]
    assert counts[1] - counts[0] in (0, 1)
    assert abs(counts[0] - (t1 - t0) / dt) <= 1


@pytest.mark.parametrize(
    ("t0", "t1", "dt", "message"),
    [
        (0.0, 1.0, 0.0, "^dt must be finite and > 0, got 0"),
        (0.0, 1.0, -0.1, "^dt must be finite and > 0"),
        (0.0, 1.0, np.nan, "^dt must be finite"),
        (0.0, np.inf, 0.1, "^t1 must be finite"),
        (np.nan, 1.0, 0.1, "^t0 must be finite"),
        (1.0, 1.0, 0.1, "^t1 must be later than t0 = 1, got 1"),
        (1.0, 0.0, 0.1, "^t1 must be later"),
        (
            0.0,
            1e6,
            1e-3,
            "^dt = 0.001 is lost to rounding when .* t = 1e.06 in float32.*float64",
        ),
        (0.0, 1e-47, 1e-48, "^dt = 1e-48 is lost to rounding"),
    ],
)
def test_times_that_make_no_run_are_refused(t0, t1, dt, message):
    with pytest.raises(ValueError, match=message):
        count_steps(t0, t1, dt, np.float32)


@pytest.mark.parametrize("value", ["1", [0.1, 0.2], jnp.ones(2)])
def test_a_dt_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="^dt must be a number"):
        count_steps(0.0, 1.0, value, np.float32)


def test_a_traced_dt_is_refused():
    with pytest.raises(TypeError, match="^dt fixes the number of steps"):
        jax.jit(lambda dt: count_steps(0.0, 1.0, dt, np.float32))(0.1)


def test_saves_are_counted():
    assert count_saves(12, None) == 1
    assert count_saves(12, 4) == 3
    assert count_saves(12, 12) == 1


@pytest.mark.parametrize(("steps", "every", "nearest"), [(12, 5, 4), (12, 100, 12), (97, 50, 97)])
def test_a_save_every_that_does_not_divide_is_refused_and_the_nearest_accepted(
    steps, every, nearest
):
    with pytest.raises(
        ValueError, match=rf"^save_every must divide the {steps} .* got {every}"
    ) as e:
        count_saves(steps, every)
    suggested = int(str(e.value).rsplit(" ", 1)[1])
    assert abs(suggested - every) <= abs(nearest - every)
    assert count_saves(steps, suggested) == steps // suggested


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (0, ValueError, "^n must be at least 1, got 0; try more"),
        (-3, ValueError, "^n must be at least 1"),
        (1.5, TypeError, "^n must be a whole number, got 1.5; try more"),
        (True, TypeError, "^n must be a whole number"),
        ("3", TypeError, "^n must be a whole number"),
    ],
)
def test_counts_are_checked(value, kind, message):
    with pytest.raises(kind, match=message):
        check_count("n", value, remedy="try more")
    assert check_count("n", np.int64(3)) == 3


def test_bounds_are_checked_element_by_element():
    check_bound("T", np.array([0.0, 1.0]), ">=", 0.0)
    with pytest.raises(ValueError, match="^T must be finite and >= 0"):
        check_bound("T", [1.0, -1.0], ">=", 0.0)
    with pytest.raises(ValueError, match="^T must be finite and >= 0, got inf; cool it"):
        check_bound("T", np.inf, ">=", 0.0, "cool it")
    with pytest.raises(TypeError, match="^T must be a number or an array .*, got 'hot'"):
        check_bound("T", "hot", ">=", 0.0)
    jax.jit(lambda T: check_bound("T", T, ">=", 0.0))(-1.0)  # traced: checked where it is used
