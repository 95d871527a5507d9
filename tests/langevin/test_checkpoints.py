import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture
def system():
    return tml.Langevin(
        lambda x, k: k * jnp.sum(x**2) / 2 + jnp.sum(jnp.cos(x)),
        control=lambda t: 1 + jnp.sin(3 * t) ** 2,
        temperature=lambda t: 1 + t,
    )


@pytest.fixture
def simulate(system, key):
    def run(state=None, system=system, **options):
        return tml.simulate(
            system,
            jnp.ones(3) if state is None else state,
            **{"t1": 2.0, "dt": 0.1, "key": key, "save_every": 5, **options},
        )

    return run


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_start_and_noise_of_a_trajectory_are_the_same_in_any_ensemble_bit_by_bit(simulate, free):
    system, draw = tml.Langevin(free), lambda key: jax.random.normal(key, (3,))
    many, few = (simulate(draw, system=system, n_trajectories=n).final_state for n in (37, 3))
    equal(many[:3], few)
    assert len(np.unique(many)) == 37 * 3


def test_a_trajectory_is_the_same_in_any_ensemble_to_round_off(x64, simulate):
    many, few = simulate(n_trajectories=37), simulate(n_trajectories=3)
    for name in ("work", "heat", "energy", "entropy_flow", "final_state"):
        ours, theirs = getattr(many, name)[:3], getattr(few, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_a_continued_run_is_one_long_run_bit_by_bit(simulate):
    seen = {
        "mean": tml.langevin.Mean(lambda x, k, t: k * x),
        "variance": tml.langevin.Variance(lambda x, k, t: x),
        "histogram": tml.langevin.Histogram(lambda x, k, t: x, [-1.0, 0.0, 1.0]),
        "x": lambda x, k, t: x,
    }
    options = {"observables": seen, "n_trajectories": 3}
    whole = simulate(**options)
    first = simulate(**options, t1=1.0)
    second = simulate(first, **options)
    joined = lambda a, b: np.concatenate([a, b[:, 1:]], 1)
    for name in ("work", "heat", "energy", "entropy_flow"):
        equal(getattr(whole, name), joined(getattr(first, name), getattr(second, name)))
    equal(whole.observables, jax.tree.map(joined, first.observables, second.observables))
    equal(whole.times, np.concatenate([first.times, second.times[1:]]))
    equal(whole.checkpoint.state, second.checkpoint.state)
    equal(whole.checkpoint.ledger, second.checkpoint.ledger)
    assert whole.checkpoint.step == second.checkpoint.step == 20


def test_changing_the_potential_between_runs_is_work(x64, key):
    trap = lambda x, k: k * x**2 / 2
    runs = [
        tml.Langevin(trap, control=tml.langevin.Constant(k), temperature=0.5) for k in (1.0, 3.0)
    ]
    first = tml.simulate(runs[0], 1.0, t1=0.5, dt=0.1, key=key, n_trajectories=4)
    second = tml.simulate(runs[1], first, t1=1.0, dt=0.1, key=key)
    np.testing.assert_allclose(second.work[:, 1], first.final_state**2, rtol=1e-13)
    np.testing.assert_allclose(
        second.work[:, 1] - second.heat[:, 1], second.energy[:, 1] - 0.5, rtol=1e-12
    )


def test_a_continued_run_may_change_dt_and_observers(simulate):
    first = simulate(t1=1.0, observables={"m": tml.langevin.Mean(lambda x, k, t: x)})
    second = simulate(
        first, t1=1.5, dt=0.05, observables={"v": tml.langevin.Variance(lambda x, k, t: t)}
    )
    np.testing.assert_allclose(second.times, [1.0, 1.25, 1.5], rtol=1e-6)
    times = 1 + 0.05 * np.arange(11)
    np.testing.assert_allclose(second.observables["v"][0, -1], times.var(), rtol=1e-4)


def test_a_run_that_starts_later_sees_later_times(simulate):
    late = simulate(t0=1.0, observables={"t": lambda x, k, t: t, "k": lambda x, k, t: k})
    np.testing.assert_allclose(late.times, [1.0, 1.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(late.observables["t"], [[1.0, 1.5, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(
        late.observables["k"][0], 1 + np.sin(3 * np.array([1.0, 1.5, 2.0])) ** 2, rtol=1e-5
    )


def test_a_checkpoint_survives_serialisation(simulate, tmp_path):
    first = simulate(t1=1.0, n_trajectories=2)
    eqx.tree_serialise_leaves(tmp_path / "run.eqx", first)
    again = eqx.tree_deserialise_leaves(tmp_path / "run.eqx", first)
    equal(jax.tree.leaves(first), jax.tree.leaves(again))
    assert jax.tree.structure(first) == jax.tree.structure(again)
