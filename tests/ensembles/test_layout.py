"""Layouts of an ensemble: chunks as wide as caches like, and the same trajectories in each."""

import pickle

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.ensembles import Footprint, Layout
from thermoml.langevin import SimulationDiverged

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


def divide(layout, count, numbers, **limits):
    return layout.here().divide(count, Footprint(lambda: numbers, **limits))


def test_chunks_have_room_and_are_alike():
    """On each device as many trajectories as 2^20 numbers allow on a CPU."""
    assert jax.local_device_count() == 2
    chunk, mesh = divide(Layout(), 64, 100_000)
    assert (chunk, mesh.size) == (16, 2)  # 4 chunks of 8 for each device, not 3 of 10
    assert divide(Layout(), 64, 5_000_000)[0] == 2  # one at least
    assert divide(Layout(), 64, 1)[0] == 64
    assert divide(Layout(), 65, 1)[0] == 66
    assert divide(Layout(), 31, 1) == (31, None)
    assert divide(Layout(platform="gpu"), 64, 1_000_000)[0] == 64


def test_chunks_are_whole_vectors_and_no_wider_than_a_core_likes():
    vectors = {"vector": 16, "widest": 256, "alone": 2**12}
    assert divide(Layout(), 37, 10, **vectors) == divide(Layout(chunk=64), 37, 10, **vectors)
    assert divide(Layout(), 37, 10, **vectors)[0] == 64
    assert divide(Layout(n_devices=1), 1000, 10, **vectors) == (256, None)
    assert divide(Layout(), 1, 10, **vectors) == (16, None)
    assert divide(Layout(), 1, 1000, **vectors) == (1, None)
    assert divide(Layout(chunk=3), 100, 10, **vectors)[0] == 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"n_devices": 0}, "n_devices must be at least 1, got 0"),
        ({"n_devices": 3}, "n_devices must not exceed the 2 local devices, got 3"),
        ({"platform": "abacus"}, "platform must be one of cpu, gpu, tpu, got 'abacus'"),
    ],
)
def test_what_there_is_not_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Layout(**options).here()


@pytest.fixture(scope="module")
def whole():
    return run()


LAYOUTS = [Layout(chunk=6), Layout(chunk=6, n_devices=1), Layout(chunk=70, n_devices=1)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_trajectories_are_the_same_in_every_layout(whole, layout):
    """In 12 chunks or one, the last filled up: to rounding, for loops of other lengths."""
    parts = run(layout=layout)
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
    assert parts.heat.shape == (M, 5)


@pytest.mark.optimised
@pytest.mark.parametrize("level", [tml.Microscopic(0.02), tml.Reduced(0.02)], ids=["all", "plane"])
def test_students_are_the_same_in_every_layout_bit_for_bit(level):
    problem = tml.LearningProblem(tml.AlphaTron(0.5), learning_rate=1.0, n_inputs=20, batch=5)
    options = {"t1": 0.2, "key": jax.random.key(1), "n_trajectories": 70, "save_every": 5}
    curves = [tml.learn(problem, level, **options, layout=layout) for layout in (None, *LAYOUTS)]
    for curve in curves[1:]:
        for a, b in zip(jax.tree.leaves(curve), jax.tree.leaves(curves[0]), strict=True):
            np.testing.assert_array_equal(a, b)


class Heard(list):
    """A list that may be part of a program: equal to itself alone."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class Recorder(diffrax.AbstractProgressMeter):
    """Keeps the progress that it hears of."""

    heard: Heard = eqx.field(static=True)

    def init(self):
        return jnp.zeros(())

    def step(self, state, progress):
        jax.debug.callback(lambda x: self.heard.append(float(x)), progress, ordered=False)
        return state

    def close(self, state):
        pass


def test_progress_goes_on_from_chunk_to_chunk():
    meter = Recorder(Heard())
    jax.block_until_ready(run(progress=meter, layout=Layout(chunk=36)).heat)
    jax.effects_barrier()
    np.testing.assert_allclose(sorted(meter.heard), np.arange(1, 9) / 8, rtol=1e-6)


@pytest.mark.slow
def test_chunks_have_derivatives():
    """By reverse mode, through 12 chunks."""

    def mean_heat(temperature, layout):
        system = tml.Langevin(wide, temperature=temperature)
        options = {"t1": 0.5, "dt": 0.05, "key": jax.random.key(0), "n_trajectories": M}
        solution = tml.simulate(system, jnp.ones(2), layout=layout, **options)
        return jnp.mean(solution.heat[:, -1])

    plain, cut = (jax.grad(mean_heat)(0.5, layout) for layout in (None, Layout(chunk=6)))
    np.testing.assert_allclose(cut, plain, rtol=1e-4)


@pytest.mark.parametrize("solution", [{"heat": 1.0}, lambda: 1])
def test_a_divergence_crosses_to_another_process(solution):
    error = pickle.loads(pickle.dumps(SimulationDiverged("at step 3; use a smaller dt", solution)))
    assert str(error) == "at step 3; use a smaller dt"
    assert error.solution == (None if callable(solution) else solution)
