"""A teacher and a student of ten inputs, and the student's overlap and norm."""

import numpy as np

TEACHER = np.array([1.0, -0.4, 0.3, 1.1, 0.8, -0.2, 0.1, 2.0, -1.0, 0.5])
STUDENT = np.array([0.5, 1.0, 0.2, 0.0, 2.0, -0.3, -1.2, 0.4, 0.1, 0.9])
GIVEN = {"weights": STUDENT, "teacher": TEACHER}
START = STUDENT @ TEACHER / (10 * TEACHER @ TEACHER) ** 0.5, STUDENT @ STUDENT / 10
