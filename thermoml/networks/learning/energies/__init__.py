"""Energies, one in a file with its closed forms for linear models."""

from ....numerics.public import publish as _publish
from .cross_entropy import CrossEntropy as CrossEntropy
from .mean_absolute_error import MeanAbsoluteError as MeanAbsoluteError
from .mean_squared_error import MeanSquaredError as MeanSquaredError

_publish(globals())
