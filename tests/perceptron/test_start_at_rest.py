"""Students that begin where learning comes to rest, at every level."""

import jax
import numpy as np
import pytest

import thermoml as tml

KEY = jax.random.key(4)
PROBLEM = tml.LearningProblem(tml.AdaTron(), learning_rate=0.8, n_inputs=30, batch=4)


@pytest.fixture(scope="module")
def state():
    return tml.steady_state(PROBLEM)


@pytest.mark.slow
@pytest.mark.parametrize("level", [tml.Reduced(0.01), tml.Microscopic(0.01), tml.MeanField()])
def test_overlap_and_norm_are_those_of_rest(level, state):
    many = {} if isinstance(level, tml.MeanField) else {"n_trajectories": 8, "teachers": "ensemble"}
    curve = tml.learn(PROBLEM, level, t1=0.02, key=KEY, weights=state, save_every=1, **many)
    np.testing.assert_allclose(curve.overlap[:, 0], state.overlap, rtol=1e-5)
    np.testing.assert_allclose(curve.norm[:, 0], state.norm, rtol=1e-5)
    if not many:  # ... where the mean field stays
        np.testing.assert_allclose(curve.overlap[:, -1], state.overlap, rtol=1e-5)
        np.testing.assert_allclose(curve.norm[:, -1], state.norm, rtol=1e-5)


@pytest.mark.slow
def test_beside_the_teacher_weights_lie_anywhere(state):
    """What is orthogonal to the teacher is isotropic: independent of one student to the next."""
    run = {"t1": 0.01, "key": KEY, "weights": state, "n_trajectories": 400, "save_every": 1}
    fixed = np.ones(30, np.float32)
    curve = tml.learn(PROBLEM, tml.Microscopic(0.01), teacher=fixed, **run)
    across = np.asarray(curve.weights) - np.asarray(curve.overlap)[:, -1:] * fixed
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    # The mean of 400 unit vectors has the square 1/400 on average; 29 χ² components, 5 deviations
    assert np.sum(across.mean(axis=0) ** 2) * 400 < 1 + 5 * (2 / 29) ** 0.5
    cosines = across @ across.T
    assert np.abs(cosines[np.triu_indices(400, 1)]).max() < 0.95
