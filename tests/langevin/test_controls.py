import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture
def jumping():
    """0 -> 1 at t = 0, up to 2 at t = 1, down to -1 there, flat to t = 2, and 5 at the end."""
    return tml.PiecewiseLinear(jnp.array([0, 0, 1, 1, 2, 2]), jnp.array([0, 1, 2, -1, -1, 5]))


def test_piecewise_linear_interpolates_jumps_and_holds_outside(dtype, jumping):
    t = jnp.asarray([-1, 0, 1e-3, 0.5, 0.999, 1, 1.5, 1.999, 2, 3], dtype)
    expected = [0, 0, 1.001, 1.5, 1.999, -1, -1, -1, 5, 5]
    np.testing.assert_allclose(jax.vmap(jumping)(t), expected, rtol=1e-5)


def test_a_jump_is_found_at_times_made_of_steps(dtype, jumping):
    for dt in (0.1, 0.01, 0.001):
        n = round(1 / dt)
        for late in (n, 2 * n):
            t = jnp.asarray(late, dtype) * jnp.asarray(dt, dtype)
            assert jumping(t) == (-1 if late == n else 5)


def test_jumps_at_both_ends_are_work(x64, key, trap, jumping):
    run = tml.simulate(
        tml.Langevin(trap, control=jumping, mobility=0.0),
        2.0,
        t1=2.0,
        dt=0.1,
        key=key,
        save_every=5,
        observables={"control": lambda x, control, t: control},
    )
    np.testing.assert_allclose(run.observables["control"], [[0, 1.5, -1, -1, 5]], rtol=1e-12)
    np.testing.assert_allclose(run.work, 2 * run.observables["control"], rtol=1e-12)
    np.testing.assert_array_equal(run.heat, 0)


def test_between_two_ends_a_control_may_jump_at_both(dtype):
    control = tml.PiecewiseLinear.between(1.0, [2.0, 4.0, 3.0], 5.0, t0=1.0, t1=3.0)
    t = jnp.asarray([0, 1, 1 + 1e-3, 1.5, 2, 2.5, 3 - 1e-3, 3, 9], dtype)
    expected = [1, 1, 2.002, 3, 4, 3.5, 3.001, 5, 5]
    np.testing.assert_allclose(jax.vmap(control)(t), expected, rtol=1e-5)
    assert control(t[0]).dtype == dtype
    np.testing.assert_array_equal(control.breaks, [1, 1, 2, 3, 3])
    rows = tml.PiecewiseLinear.between(0, jnp.ones((2, 3), dtype), jnp.arange(3.0), t1=2)
    at = jnp.asarray([0, 1, 2], dtype)
    np.testing.assert_allclose(jax.vmap(rows)(at), [[0, 0, 0], [1, 1, 1], [0, 1, 2]])


def test_a_control_between_two_ends_differentiates_in_knots_and_time(x64):
    def value(inside, t1):
        return tml.PiecewiseLinear.between(0.0, inside, 9.0, t1=t1)(1.0)

    inside = jnp.array([1.0, 4.0])
    slopes = jax.grad(value, (0, 1))(inside, 4.0)
    np.testing.assert_allclose(slopes[0], [0.75, 0.25])
    np.testing.assert_allclose(slopes[1], -3 / 16)


def test_piecewise_linear_takes_trees_and_differentiates(x64):
    def value(height):
        values = {"a": jnp.stack([jnp.zeros(()), height]), "b": jnp.ones((2, 3))}
        control = tml.PiecewiseLinear(jnp.array([0.0, 2.0]), values)
        return control(0.5)["a"], control(0.5)["b"]

    (a, b), (da, db) = jax.jvp(value, (jnp.array(4.0),), (jnp.array(1.0),))
    assert (a, da) == (1.0, 0.25)
    np.testing.assert_array_equal(b, np.ones(3))
    np.testing.assert_array_equal(db, np.zeros(3))
    rising = tml.PiecewiseLinear(np.array([0.0, 1, 3]), np.array([0.0, 2, 3]))
    np.testing.assert_allclose(jax.grad(rising)(2.0), 0.5)


def test_ramp_and_constant(dtype):
    ramp = tml.Ramp({"k": 1.0}, {"k": 3.0}, t0=1.0, t1=2.0)
    t = jnp.asarray([0, 1, 1.25, 2, 9], dtype)
    np.testing.assert_allclose(jax.vmap(ramp)(t)["k"], [1, 1, 1.5, 3, 3], rtol=1e-6)
    constant = tml.langevin.Constant({"k": 2, "c": [1.0, 2.0]})
    assert constant(t[0])["k"] == 2.0
    assert all(jnp.issubdtype(leaf.dtype, dtype) for leaf in jax.tree.leaves((ramp, constant)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tml.Ramp(0, 1, t0=1.0, t1=1.0), "Ramp needs t1 > t0"),
        (lambda: tml.Ramp(0.0, {"k": 1.0}), "^end must have the structure of start"),
        (lambda: tml.Ramp({"k": 0.0}, {"c": 1.0}), "^end must have the structure of start"),
        (
            lambda: tml.PiecewiseLinear(np.zeros(1), np.zeros(1)),
            "times must hold at least two knots",
        ),
        (lambda: tml.PiecewiseLinear(np.array([0.0, 2, 1]), np.zeros(3)), "times must not descend"),
        (
            lambda: tml.PiecewiseLinear(np.arange(2.0), np.zeros(3)),
            "values must have one row for each",
        ),
    ],
)
def test_controls_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
