import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

DT = 0.25
free = lambda x, control: 0.0 * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(x))


@pytest.fixture(scope="module")
def kick(key):
    """One step of free diffusion from 0: √(2μT dt) z with the same z for every bath."""

    def run(**baths):
        state = {"a": jnp.zeros(2), "b": {"c": jnp.zeros((2, 3)), "d": jnp.zeros(())}}
        system = tml.Langevin(free, **baths)
        end = tml.simulate(system, state, t1=DT, dt=DT, key=key, n_trajectories=2).final_state
        return end["a"], end["b"]["c"], end["b"]["d"]

    return run


@pytest.fixture(scope="module")
def unit_kick(kick):
    return kick()


@pytest.mark.parametrize(
    ("bath", "a", "c", "d"),
    [
        (2.0, 2.0, 2.0, 2.0),
        (np.float64(2.0), 2.0, 2.0, 2.0),
        ({"a": 2.0, "b": 3.0}, 2.0, 3.0, 3.0),
        (
            {"a": jnp.array([1.0, 4.0]), "b": {"c": np.array([1.0, 2.0, 3.0]), "d": 0.5}},
            np.array([[1.0, 4.0]]),
            np.array([[[1.0, 2.0, 3.0]]]),
            0.5,
        ),
        (lambda t: 1 + 4 * t, 2.0, 2.0, 2.0),  # at the end of the step, t = 1/4
        ({"a": lambda t: 8 * t, "b": tml.Ramp(1.0, 5.0)}, 2.0, 2.0, 2.0),
        (tml.langevin.Constant(2.0), 2.0, 2.0, 2.0),
    ],
    ids=["number", "float64", "prefix", "arrays", "function", "prefix-functions", "Constant"],
)
def test_each_bath_kicks_its_own_part(kick, unit_kick, bath, a, c, d):
    ends = kick(temperature=bath, mobility=bath)
    for end, unit, factor in zip(ends, unit_kick, (a, c, d), strict=True):
        np.testing.assert_allclose(end, factor * unit, rtol=1e-6)  # √(T μ) with μ = T
        assert (np.abs(unit) > 1e-6).all()


def test_temperature_and_mobility_kick_by_their_roots(kick, unit_kick):
    for end, unit in zip(kick(temperature=9.0, mobility=0.25), unit_kick, strict=True):
        np.testing.assert_allclose(end, 1.5 * unit, rtol=1e-6)


class Parts(eqx.Module):
    """A state that may be called, so that only its type tells it from a function of time."""

    a: jax.Array | float
    b: jax.Array | float

    def __call__(self, t):
        raise AssertionError("part of the structure")


def test_baths_at_one_time_are_like_the_state(dtype):
    like = {"a": jnp.zeros(2, dtype), "b": [jnp.zeros((2, 3), dtype), jnp.zeros((), dtype)]}
    baths = tml.Baths(
        {"a": jnp.array([1.0, 4.0]), "b": lambda t: t + 1}, mobility=lambda t: {"a": t, "b": 5}
    )
    now = baths.at(2.0, like)
    assert jax.tree.structure(now.temperature) == jax.tree.structure(like)
    np.testing.assert_array_equal(now.temperature["a"], [1, 4])
    assert [float(x) for x in now.temperature["b"]] == [3, 3]
    assert [float(x) for x in jax.tree.leaves(now.mobility)] == [2, 5, 5]
    assert {x.dtype for x in jax.tree.leaves(now)} == {dtype}
    for again, first in zip(*map(jax.tree.leaves, (now.at(9.0, like), now)), strict=True):
        np.testing.assert_array_equal(again, first)
    whole = tml.Baths(Parts(2.0, 3.0), 0.5).at(0.0, Parts(jnp.zeros(2), jnp.zeros(())))
    assert (float(whole.temperature.a), float(whole.temperature.b)) == (2, 3)


@pytest.mark.usefixtures("unchecked")
def test_baths_in_one_value_are_the_temperature_and_mobility_of_the_system(key):
    temperature, mobility = {"a": 2.0, "b": tml.Ramp(1.0, 2.0)}, 0.7
    one = tml.Langevin(free, temperature=temperature, mobility=mobility)
    other = tml.Langevin(free, baths=tml.Baths(temperature, mobility))
    for system in (one, other):
        assert isinstance(system.baths, tml.Baths)
    state = {"a": jnp.ones(2), "b": jnp.ones(())}
    ends = [tml.simulate(s, state, t1=0.5, dt=0.1, key=key).heat_by_leaf for s in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *ends)
    with pytest.raises(TypeError, match="^baths stand for temperature and mobility"):
        tml.Langevin(free, mobility=1.0, baths=tml.Baths(2.0))
    with pytest.raises(TypeError, match="^baths must be Baths"):
        tml.Langevin(free, baths=2.0)


def test_baths_inside_a_trace_that_are_known_are_checked_there():
    never = lambda: pytest.fail("no bath depends on time")

    def out_of_range(temperature):
        assert tml.Baths(2.0, {"a": 1.0, "b": 0.5}).check({"a": 0.0, "b": 0.0}, never) is None
        return tml.Baths(temperature).check(0.0, never)

    assert jax.jit(out_of_range)(-1.0)
    assert not jax.jit(out_of_range)(1.0)
    with pytest.raises(ValueError, match="^mobility must be finite and >= 0"):
        jax.jit(lambda: tml.Baths(2.0, {"a": 1.0, "b": -0.5}).check({"a": 0.0, "b": 0.0}, never))()
    late = tml.Baths(lambda t: 1 - t)
    assert late.check(0.0, lambda: jnp.linspace(0, 1, 3)) is None
    with pytest.raises(ValueError, match="^temperature must be finite and >= 0"):
        late.check(0.0, lambda: jnp.linspace(0, 2, 3))


@pytest.mark.slow
def test_two_baths_keep_two_temperatures_and_pass_the_heat_between_them(x64, key, assert_mean):
    # Two coupled traps K = [[2, -1], [-1, 2]], EM covariance from its discrete Lyapunov equation
    hot, cold, dt = 2.0, 0.5, 0.05
    system = tml.Langevin(
        lambda x, _: x["h"] ** 2 + x["c"] ** 2 - x["h"] * x["c"],
        temperature={"h": hot, "c": cold},
    )
    state = {"h": 0.0, "c": 0.0}
    rest = tml.simulate(system, state, t1=8.0, dt=dt, key=key, n_trajectories=4000)
    run = tml.simulate(system, rest, t1=9.0, dt=dt, key=key)
    K = np.array([[2.0, -1], [-1, 2]])
    step, noise = np.eye(2) - K * dt, np.diag([2 * hot * dt, 2 * cold * dt])
    covariance = np.linalg.solve(np.eye(4) - np.kron(step, step), noise.ravel()).reshape(2, 2)
    assert_mean(run.final_state["h"] ** 2, covariance[0, 0])
    assert_mean(run.final_state["c"] ** 2, covariance[1, 1])
    # F∘dx of the hot leaf with F' = -K x': the midpoint of the discrete process
    exchange = K @ (np.eye(2) + step) / 2 @ covariance @ (np.eye(2) - step).T - K @ noise / 2
    heats = {name: q[:, 1] - q[:, 0] for name, q in run.heat_by_leaf.items()}
    assert_mean(heats["h"], exchange[0, 0] / dt)
    assert_mean(heats["c"], exchange[1, 1] / dt)
    assert np.mean(heats["h"]) < 0 < np.mean(heats["c"])
    flow = run.entropy_flow[:, 1] - run.entropy_flow[:, 0]
    np.testing.assert_allclose(flow, heats["h"] / hot + heats["c"] / cold, atol=1e-10)
