"""Numerical tools below the physics: casts and checks, sums, quadrature, random streams."""

from .compile import CompilationWarning as CompilationWarning
from .normal_uniform import Widths as Widths
from .public import publish as _publish
from .results import AbstractResult as AbstractResult
from .statistics import Estimate as Estimate
from .sums import CompensatedSum as CompensatedSum

_publish(globals())
