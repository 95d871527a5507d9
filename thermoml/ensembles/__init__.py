"""Ensembles: one loop over saves, chunks and devices for every kind of trajectory."""

from ..numerics.public import publish as _publish
from ._adjoints import (
    AbstractAdjoint as AbstractAdjoint,
    Direct as Direct,
    ForwardMode as ForwardMode,
    RecursiveCheckpoint as RecursiveCheckpoint,
)
from ._checkpoints import AbstractCheckpoint as AbstractCheckpoint
from ._clock import Clock as Clock, Saves as Saves, with_known_times as with_known_times
from ._divergence import (
    SimulationDiverged as SimulationDiverged,
    raise_if_diverged as raise_if_diverged,
)
from ._keys import (
    INITIAL as INITIAL,
    INPUTS as INPUTS,
    MINIBATCHES as MINIBATCHES,
    MOMENTUM as MOMENTUM,
    NOISE as NOISE,
    SAMPLE as SAMPLE,
    TEACHER as TEACHER,
    WEIGHTS as WEIGHTS,
)
from ._layout import (
    Division as Division,
    Footprint as Footprint,
    Layout as Layout,
    gather as gather,
)
from ._operations import (
    can_be_one_function as can_be_one_function,
    is_plain as is_plain,
    widest_array as widest_array,
)
from ._process import AbstractProcess as AbstractProcess
from ._progress import progress_meter as progress_meter
from ._run import Run as Run, run as run

_publish(globals())
