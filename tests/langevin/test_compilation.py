import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture(scope="module")
def count_traces(key):
    """Run once with other parameters and count how often the potential was traced."""
    traces = []

    def potential(x, k):
        traces.append(None)
        return k * jnp.sum(x**2) / 2

    def run(T, k, dt):
        before = len(traces)
        system = tml.Langevin(potential, control=tml.Ramp(1.0, k), temperature=T, mobility=T)
        integrator = tml.ExactLinear(k)
        tml.simulate(system, jnp.ones(2), t1=10 * dt, dt=dt, key=key, integrator=integrator)
        return len(traces) - before

    assert run(1.0, 2.0, 0.1) > 1
    return run


@pytest.mark.parametrize(
    ("T", "k", "dt"),
    [
        (0.5, 3.0, 0.2),
        (np.float64(0.5), np.float64(3.0), np.float64(0.3)),
        (jnp.asarray(0.7), jnp.asarray(4.0), jnp.float32(0.125)),
        (2, 3, 1),
    ],
    ids=["float", "float64", "array", "int"],
)
def test_other_numbers_of_any_kind_compile_nothing_new(count_traces, T, k, dt):
    assert count_traces(T, k, dt) <= 1  # the check of shapes, made anew each time


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_steps(key, trap):
    def temporaries(n):
        def end(x):
            system = tml.Langevin(trap, control=tml.Ramp(1.0, 2.0))
            run = tml.simulate(
                system,
                x,
                t1=n * 0.125,
                dt=0.125,
                key=key,
                n_trajectories=64,
                observables={"m": tml.langevin.Mean(lambda x, k, t: x)},
            )
            return run.work[:, -1], run.observables["m"]

        return jax.jit(end).lower(jnp.ones(8)).compile().memory_analysis().temp_size_in_bytes

    few, many = temporaries(100), temporaries(10_000)
    # The list of step numbers is all that may grow: a word for each
    assert many - few <= 8 * 10_000
