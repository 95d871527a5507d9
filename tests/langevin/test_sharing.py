"""Trajectories shared out over the devices are those of a single device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


def potential(x, centre):
    return jnp.sum((x - centre) ** 2) / 2 + jnp.sum(x**4) / 8


@pytest.fixture(scope="module")
def ensemble(key):
    """`count, first -> Solution` of ten steps along a ramp, or on from a solution."""

    def run(count=1, first=0, end=1.5, state=None, t1=1.0):
        return tml.simulate(
            tml.Langevin(potential, control=tml.Ramp(0.0, end), temperature=0.5),
            (lambda key: jax.random.normal(key, (2,), float)) if state is None else state,
            t1=t1,
            dt=0.1,
            key=key,
            n_trajectories=count,
            first_trajectory=first,
            save_every=5,
            observables={
                "x": lambda x, centre, t: x,
                "mean": tml.langevin.Mean(lambda x, centre, t: x),
            },
        )

    return run


@pytest.fixture(scope="module")
def whole(ensemble):
    """`count -> Solution`, each run once, in float64."""
    known = {}

    def run(count):
        if count not in known:
            with jax.enable_x64(True):
                known[count] = ensemble(count)
        return known[count]

    return run


def inside(ensemble, *arguments, **options):
    """The states at the end as the program leaves them, on the devices that have shared it."""
    return jax.jit(lambda: ensemble(*arguments, **options).final_state)()


def devices_of(array):
    return len(array.sharding.device_set)


def numbers(solution):
    """What has a row for each trajectory."""
    names = ("work", "heat", "energy", "entropy_flow", "heat_by_leaf", "observables")
    return {name: getattr(solution, name) for name in names}


def assert_same(whole, *parts):
    """The same numbers to round-off, at the saves that the parts have."""
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *map(numbers, parts))
    saves = joined["work"].shape[1]
    for ours, theirs in (
        (jax.tree.map(lambda leaf: leaf[:, -saves:], numbers(whole)), joined),
        (whole.final_state, np.concatenate([part.final_state for part in parts])),
    ):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11), ours, theirs
        )
    assert (whole.result == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("count", "cut", "devices"), [(40, 20, (1, 1)), (41, 32, (2, 1))])
def test_a_shared_ensemble_is_the_ensemble_run_in_parts(x64, ensemble, whole, count, cut, devices):
    parts = [ensemble(cut, 0), ensemble(count - cut, cut)]
    assert devices_of(inside(ensemble, count - cut, cut)) == devices[1]
    assert devices_of(inside(ensemble, cut, 0)) == devices[0]
    assert devices_of(inside(ensemble, count)) == 2
    assert whole(count).final_state.shape == (count, 2)
    assert len(np.unique(whole(count).final_state)) == 2 * count
    assert_same(whole(count), *parts)


def test_each_device_holds_its_half_of_the_trajectories(x64, ensemble):
    shards = inside(ensemble, 40).addressable_shards
    assert {shard.device for shard in shards} == set(jax.devices())
    assert sorted(shard.index[0].indices(40)[:2] for shard in shards) == [(0, 20), (20, 40)]
    assert {shard.data.shape for shard in shards} == {(20, 2)}


@pytest.mark.slow
def test_no_cpu_device_is_left_to_wait_for_another(whole, ensemble):
    """Two sums over arrays that CPU devices share, in flight at once, can wait forever."""
    solution = whole(40)
    arrays = [leaf for leaf in jax.tree.leaves(solution) if isinstance(leaf, jax.Array)]
    assert {devices_of(array) for array in arrays} == {1}
    seen = []

    def work(end):
        solution = ensemble(40, end=end)
        for array in (solution.work, solution.heat, solution.final_state):
            jax.debug.inspect_array_sharding(array, callback=seen.append)
        return jnp.mean(solution.work)

    jax.grad(work)(1.5)
    assert len(seen) == 3
    assert {len(sharding.device_set) for sharding in seen} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, 41])
def test_the_loop_over_steps_runs_on_parts_of_the_states(x64, ensemble, count):
    """Each device's program steps half of the trajectories (an odd one is filled up by a copy)."""
    text = jax.jit(lambda end: ensemble(count, end=end).final_state).lower(1.5).compile().as_text()
    assert "num_partitions=2" in text
    part = -(-count // 2)
    loops = [line for line in text.splitlines() if " while(" in line]
    assert any(f"f64[{part},2]" in line for line in loops)
    assert not any(f"f64[{size},2]" in line for line in loops for size in (count, 2 * part))


@pytest.mark.slow
def test_an_odd_ensemble_goes_on(x64, ensemble, whole):
    start = ensemble(41, t1=0.5)
    rest = ensemble(state=start)
    assert devices_of(inside(ensemble, state=start)) == 2
    assert_same(whole(41), rest)


@pytest.mark.slow
def test_gradients_of_a_shared_ensemble_are_those_of_its_parts(x64, ensemble):
    def work(end, count, first):
        return jnp.sum(ensemble(count, first, end=end).work[:, -1])

    slope = jax.jit(jax.grad(work), static_argnums=1)
    shared, low, high = (slope(1.5, *part) for part in ((41, 0), (20, 0), (21, 20)))
    np.testing.assert_allclose(shared, low + high, rtol=1e-11)
    assert abs(low / 20 - high / 21) > 0.01  # they are different trajectories
