"""The noise of `simulate`: which normal is whose, and where its bits come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml
from thermoml.ensembles import NOISE
from thermoml.numerics.random import row_numbers, trajectory_streams

DT, KEY = 0.25, jax.random.key(3)


def flat(x, control):
    return 0.0 * jax.tree.reduce(jnp.add, jax.tree.map(jnp.sum, x))


@pytest.mark.parametrize("generator", ["hash", *exhaustive("threefry")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elements_of_all_leaves_are_numbered_one_after_the_other(generator, dtype):
    """A free particle's moves over √(2 dt) are the normals of its stream."""
    with jax.enable_x64(dtype == "float64"):
        start = {"a": jnp.zeros((2, 3), dtype), "b": jnp.zeros((), dtype)}
        solution = tml.simulate(
            tml.Langevin(flat),
            start,
            t1=2 * DT,
            dt=DT,
            key=KEY,
            n_trajectories=3,
            first_trajectory=5,
            generator=generator,
        )
        streams = trajectory_streams(KEY, jnp.arange(5, 8), NOISE, generator)
        normals = sum(streams.at(step).normals(row_numbers(7), jnp.dtype(dtype)) for step in (0, 1))
        end = solution.final_state
        moved = np.concatenate([end["a"].reshape(3, 6), end["b"][:, None]], axis=1)
        np.testing.assert_allclose(moved, (2 * DT) ** 0.5 * normals.T, rtol=1e-5)


def test_stages_of_a_step_have_normals_of_their_own():
    """A free particle with two O: its moves are independent, and those of one step as well."""
    system = tml.Underdamped(tml.Langevin(flat), friction=1e3)  # forgets its momentum in each O
    solution = tml.simulate(
        system,
        jnp.zeros(2),
        t1=2 * DT,
        dt=DT,
        key=KEY,
        n_trajectories=20_000,
        integrator=tml.Splitting("OAOAB"),
        save_every=1,
        observables={"x": lambda state, control, t: state.position},
    )
    moves = np.diff(solution.observables["x"], axis=1).reshape(20_000, 4)
    covariance = np.cov(moves.T) / (2 * (DT / 2) ** 2)  # of two momenta of variance 1
    np.testing.assert_allclose(covariance, np.eye(4), atol=0.04)


def test_a_generator_without_that_name_is_refused():
    with pytest.raises(ValueError, match='generator must be "hash" or "threefry"'):
        tml.simulate(tml.Langevin(flat), 0.0, t1=1.0, dt=DT, key=KEY, generator="mt19937")
