import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


class Largest(tml.langevin.AbstractObserver):
    """The largest |x| so far and when."""

    def init(self, x, control, t):
        return jnp.max(jnp.abs(x)), t

    def update(self, carry, x, control, t):
        size = jnp.max(jnp.abs(x))
        return jax.tree.map(lambda a, b: jnp.where(size > carry[0], a, b), (size, t), carry)

    def result(self, carry):
        return {"size": carry[0], "time": carry[1]}


edges = np.linspace(-1, 1.5, 6)
signal = lambda x, k, t: {"kx": k * x, "t": t}


@pytest.fixture
def streamed_and_saved(dtype, key, trap):
    system = tml.Langevin(trap, control=tml.Ramp(1.0, 2.0))
    options = {"t1": 1.2, "dt": 0.1, "key": key, "n_trajectories": 3}
    state = jnp.zeros(4, dtype)
    streamed = tml.simulate(
        system,
        state,
        save_every=4,
        observables={
            "mean": tml.langevin.Mean(signal),
            "variance": tml.langevin.Variance(signal),
            "histogram": tml.langevin.Histogram(lambda x, k, t: x, edges),
            "largest": Largest(),
        },
        **options,
    )
    saved = tml.simulate(
        system, state, save_every=1, observables={"s": signal, "x": lambda x, k, t: x}, **options
    )
    return (
        streamed.observables,
        jax.tree.map(np.asarray, saved.observables),
        np.asarray(saved.times),
    )


def test_streaming_statistics_are_those_of_every_step(streamed_and_saved):
    streamed, saved, times = streamed_and_saved
    for save, count in ((0, 1), (1, 5), (3, 13)):
        for name in ("kx", "t"):
            values = saved["s"][name][:, :count].astype(float)
            for statistic in ("mean", "variance"):
                expected = {"mean": np.mean, "variance": np.var}[statistic](values, axis=1)
                got = streamed[statistic][name][:, save]
                np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)
        x = saved["x"][:, :count]
        for trajectory in range(3):
            np.testing.assert_array_equal(
                streamed["histogram"][trajectory, save], np.histogram(x[trajectory], edges)[0]
            )
        sizes = np.abs(x).max(-1)
        np.testing.assert_array_equal(streamed["largest"]["size"][:, save], sizes.max(1))
        np.testing.assert_array_equal(streamed["largest"]["time"][:, save], times[sizes.argmax(1)])


def test_states_are_recorded_at_saves_in_their_own_structure(key):
    start = {"a": jnp.ones(2), "b": jnp.zeros(())}
    run = tml.simulate(
        tml.Langevin(lambda x, _: jnp.sum(x["a"] ** 2) + x["b"] ** 2),
        start,
        t1=0.4,
        dt=0.1,
        key=key,
        n_trajectories=3,
        save_every=2,
        observables={"state": tml.langevin.State(), "by_hand": lambda x, control, t: x},
    )
    states = run.observables["state"]
    assert jax.tree.structure(states) == jax.tree.structure(start)
    for leaf, by_hand, first, last in zip(
        *map(jax.tree.leaves, (states, run.observables["by_hand"], start, run.final_state)),
        strict=True,
    ):
        np.testing.assert_array_equal(leaf, by_hand)
        np.testing.assert_array_equal(leaf[:, 0], jnp.broadcast_to(first, (3, *first.shape)))
        np.testing.assert_array_equal(leaf[:, -1], last)
    assert tml.langevin.State() == tml.langevin.State()  # nothing compiles again
    assert jax.tree.leaves(tml.langevin.State()) == []


def test_histogram_bins_hold_their_lower_edge_and_the_last_both():
    histogram = tml.langevin.Histogram(lambda x, control, t: x, [0.0, 1.0, 2.0])
    x = jnp.array([-0.1, 0.0, 0.5, 1.0, 2.0, 2.1, jnp.nan])
    np.testing.assert_array_equal(histogram.init(x, None, jnp.zeros(())), [2, 2])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        *[(bad, "at least two ascending") for bad in ([1.0], [0.0, 0.0], [1.0, 0.0])],
        ([0.0, np.nan], "finite"),
        ([[0.0, 1.0]], "a vector"),
    ],
)
def test_edges_that_do_not_ascend_are_refused(bad, words):
    with pytest.raises(ValueError, match=f"^edges must be {words}"):
        tml.langevin.Histogram(lambda x, control, t: x, bad)


def test_truths_and_whole_numbers_have_means_and_variances(key):
    observers = {
        "positive": lambda x, control, t: x[0] > 0,
        "count": lambda x, control, t: jnp.sum(x > 0),
    }
    run = tml.simulate(
        tml.Langevin(lambda x, control: jnp.sum(x**2) / 2),
        jnp.zeros(3),
        t1=0.6,
        dt=0.1,
        key=key,
        n_trajectories=4,
        save_every=1,
        observables=observers
        | {f"mean {name}": tml.langevin.Mean(f) for name, f in observers.items()}
        | {f"variance {name}": tml.langevin.Variance(f) for name, f in observers.items()}
        | {"histogram": tml.langevin.Histogram(observers["count"], [-0.5, 0.5, 1.5, 2.5, 3.5])},
    ).observables
    for name in observers:
        values = np.asarray(run[name], float)
        np.testing.assert_allclose(run[f"mean {name}"][:, -1], values.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(run[f"variance {name}"][:, -1], values.var(axis=1), atol=1e-6)
    counts = np.stack([np.sum(np.asarray(run["count"]) == k, axis=1) for k in range(4)], axis=1)
    np.testing.assert_array_equal(run["histogram"][:, -1], counts)


@pytest.mark.parametrize("observer", [tml.langevin.Mean, tml.langevin.Variance])
def test_statistics_in_float32_go_on_beyond_two_to_the_24_steps(observer):
    """After 2^25 states of value 1, as many of value 3: mean 2, variance 1."""
    streaming = observer(lambda x, control, t: x)
    carry = streaming.init(jnp.float32(1.0), None, 0.0)
    grow = lambda count, *sums: (jnp.int32(2**25), *(jax.tree.map(lambda x: x * 2**25, sums)))
    count, *sums = grow(*carry)

    @jax.jit
    def observe_threes(carry):
        step = lambda carry, _: (streaming.update(carry, jnp.float32(3.0), None, 0.0), None)
        return jax.lax.scan(step, carry, length=2**20)[0]

    result = streaming.result(observe_threes((count, *sums)))
    share = 2**20 / (2**20 + 2**25)
    expected = 1 + 2 * share if observer is tml.langevin.Mean else 4 * share * (1 - share)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
