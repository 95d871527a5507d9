"""Problems whose steady states are known."""

import numpy as np

import thermoml as tml

# ν̃, k, T; and the same with k = T = 1 and ν̃/√(kT), which is w → w√(T/k) where F has no scale.
POINTS = np.array([[1.5, 2.0, 0.5], [0.3, 0.5, 1.0], [2.5, 1.2, 2.0], [0.9, 0.8, 0.2]])
POINTS = np.vstack([POINTS, [[x / (k * t) ** 0.5, 1, 1] for x, k, t in POINTS]])
SIZES = {"n_inputs": 10, "batch": 2}


def problem(rule, point, **more):
    rate, k, bath = point
    return tml.LearningProblem(rule, learning_rate=rate, stiffness=k, temperature=bath, **more)
