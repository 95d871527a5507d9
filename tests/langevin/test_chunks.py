"""Ensembles in chunks: as wide as caches like, and the same trajectories as without."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.langevin import _chunks
from thermoml.langevin._chunks import layout, widest_array

M = 70


def wide(x, control):
    """A trap whose energy goes by way of 300 numbers."""
    return jnp.mean(jnp.sin(jnp.linspace(0.0, 1.0, 300) * x[0])) + jnp.sum(x**2)


def run(**options):
    system = tml.Langevin(wide, temperature=0.5)
    settings = {"t1": 1.0, "dt": 0.05, "key": jax.random.key(0), "n_trajectories": M}
    observables = {"x": lambda x, c, t: x, "mean": tml.langevin.Mean(lambda x, c, t: x[0])}
    settings |= {"save_every": 5, "observables": observables} | options
    return tml.simulate(system, jnp.ones(2), **settings)


def test_the_widest_array_is_found_inside_loops_and_calls():
    def function(x):
        def body(total, i):
            return total + jnp.sum(jnp.outer(x, jnp.arange(7.0) * i)), None

        return jax.lax.scan(body, 0.0, jnp.arange(3.0))[0] + jax.jit(jnp.sum)(x)

    assert widest_array(function, jnp.ones(5)) == 35
    assert widest_array(lambda x: x, jnp.ones(5)) == 1


def test_chunks_have_room_and_are_alike(monkeypatch):
    monkeypatch.setitem(_chunks._ROOM, "cpu", 1000)
    assert jax.local_device_count() == 2
    chunk, mesh = layout(lambda: 100, 64)
    assert (chunk, mesh is None) == (16, False)  # 4 chunks of 8 for each device, not 3 of 10
    assert layout(lambda: 5000, 64)[0] == 2  # one at least
    assert layout(lambda: 1, 64)[0] == 64
    assert layout(lambda: 1, 65)[0] == 66
    few = lambda: pytest.fail("not asked")
    assert layout(few, 31) == (31, None)


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.mark.parametrize("room", [3000, 10_000])
def test_trajectories_are_the_same_in_chunks(whole, monkeypatch, room):
    """In 12 chunks or 2, the last filled up: to rounding, for loops of other lengths."""
    monkeypatch.setitem(_chunks._ROOM, "cpu", room)
    jax.clear_caches()
    parts = run()
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
    assert parts.heat.shape == (M, 5)


class Told(list):
    """A list that may be part of a program: equal to itself alone."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class Recorder(diffrax.AbstractProgressMeter):
    """Keeps the progress that it is told."""

    told: Told = eqx.field(static=True)

    def init(self):
        return jnp.zeros(())

    def step(self, state, progress):
        jax.debug.callback(lambda x: self.told.append(float(x)), progress, ordered=False)
        return state

    def close(self, state):
        pass


def test_progress_goes_on_from_chunk_to_chunk(monkeypatch):
    monkeypatch.setitem(_chunks._ROOM, "cpu", 10_000)
    jax.clear_caches()
    meter = Recorder(Told())
    jax.block_until_ready(run(progress=meter).heat)
    jax.effects_barrier()
    np.testing.assert_allclose(sorted(meter.told), np.arange(1, 9) / 8, rtol=1e-6)
    jax.clear_caches()


def test_chunks_have_derivatives(monkeypatch):
    """By reverse mode, through 12 chunks."""

    def mean_heat(temperature):
        system = tml.Langevin(wide, temperature=temperature)
        options = {"t1": 0.5, "dt": 0.05, "key": jax.random.key(0), "n_trajectories": M}
        return jnp.mean(tml.simulate(system, jnp.ones(2), **options).heat[:, -1])

    plain = jax.grad(mean_heat)(0.5)
    monkeypatch.setitem(_chunks._ROOM, "cpu", 3000)
    jax.clear_caches()
    np.testing.assert_allclose(jax.grad(mean_heat)(0.5), plain, rtol=1e-4)
    jax.clear_caches()
