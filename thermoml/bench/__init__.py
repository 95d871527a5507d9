"""Benchmarks behind `thermoml bench`: one workload by this library and by others, in turns."""

from ..numerics.public import publish as _publish
from ._programs import PROGRAMS as PROGRAMS
from ._report import (
    Report as Report,
    against as against,
    growth as growth,
    measure as measure,
)
from ._timing import (
    Timings as Timings,
    in_turns as in_turns,
    machine as machine,
    range_text as range_text,
    timed as timed,
)
from ._workload import (
    Workload as Workload,
    usual_steps as usual_steps,
)

_publish(globals())
