"""What `thermoml bench` runs: the same work by this library and by others, side by side."""

from ._programs import PROGRAMS
from ._report import Report, against, growth, measure
from ._workload import Workload, usual_steps

__all__ = ["PROGRAMS", "Report", "Workload", "against", "growth", "measure", "usual_steps"]
