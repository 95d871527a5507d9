"""What `thermoml bench` runs: the same work by this library and by others, side by side."""

from ..numerics.public import publish as _publish
from ._programs import PROGRAMS
from ._report import Report, against, growth, measure
from ._workload import Workload, usual_steps

__all__ = ["PROGRAMS", "Report", "Workload", "against", "growth", "measure", "usual_steps"]

_publish(globals())
