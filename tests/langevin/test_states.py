import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


class Pair(eqx.Module):
    a: jax.Array
    b: jax.Array


total = lambda x, _: sum(jnp.sum(leaf**2) / 2 for leaf in jax.tree.leaves(x))


@pytest.mark.parametrize(
    "state",
    [
        1.5,
        {"w": np.ones(2), "b": 0.5},
        [jnp.ones(2), (1.0,)],
        Pair(jnp.ones(2), jnp.zeros(())),
    ],
    ids=["number", "dict", "nested", "module"],
)
def test_any_tree_of_floats_is_a_state_and_keeps_its_structure(key, state):
    run = tml.simulate(
        tml.Langevin(total), state, t1=0.2, dt=0.1, key=key, n_trajectories=3, save_every=1
    )
    assert jax.tree.structure(run.final_state) == jax.tree.structure(state)
    assert jax.tree.structure(run.heat_by_leaf) == jax.tree.structure(state)
    assert all(heat.shape == (3, 3) for heat in jax.tree.leaves(run.heat_by_leaf))
    for leaf, end in zip(jax.tree.leaves(state), jax.tree.leaves(run.final_state), strict=True):
        assert end.shape == (3, *np.shape(leaf))
        assert end.dtype == run.work.dtype


def test_functions_of_a_key_and_batches_start_each_trajectory_elsewhere(key):
    show = {"t1": 0.1, "dt": 0.1, "key": key, "observables": {"x": lambda x, control, t: x}}
    system = tml.Langevin(total)
    drawn = tml.simulate(system, jax.random.normal, n_trajectories=4, **show)
    starts = drawn.observables["x"][:, 0]
    assert len(np.unique(starts)) == 4
    batch = tml.simulate(system, tml.langevin.Batch(starts), **show)
    np.testing.assert_array_equal(batch.observables["x"], drawn.observables["x"])


def test_a_method_of_a_distribution_starts_each_trajectory_elsewhere(key):
    start = tml.NormalState([1.0, -2.0], [[0.5, 0.0], [0.0, 0.0]])
    run = tml.simulate(
        tml.Langevin(total),
        start.sample,
        t1=0.1,
        dt=0.1,
        key=key,
        n_trajectories=8,
        observables={"x": lambda x, control, t: x},
    )
    x = np.asarray(run.observables["x"][:, 0])
    assert len(np.unique(x[:, 0])) == 8
    assert (np.abs(x[:, 0] - 1) < 4 * 0.5**0.5).all()
    np.testing.assert_allclose(x[:, 1], -2, rtol=1e-6)


def test_float32_and_float64_leaves_meet_in_the_wider(x64, key):
    state = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float64)}
    run = tml.simulate(tml.Langevin(total), state, t1=0.1, dt=0.1, key=key)
    assert {leaf.dtype for leaf in jax.tree.leaves((run.final_state, run.work))} == {
        jnp.dtype("float64")
    }


def test_float32_states_stay_float32_beside_float64_parameters(x64, key):
    system = tml.Langevin(
        lambda x, k: k["k"] * jnp.sum(x**2),
        control=tml.Ramp({"k": np.float64(1.0)}, {"k": 2.0}),
        temperature=np.float64(0.5),
        mobility=jnp.array(2.0),
    )
    run = tml.simulate(system, jnp.ones(2, jnp.float32), t1=0.2, dt=0.1, key=key)
    assert run.heat.dtype == run.final_state.dtype == run.times.dtype == jnp.float32
