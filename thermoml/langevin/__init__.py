"""Overdamped Langevin dynamics with its ledger of work, heat and entropy flow."""

from ..ensembles import (
    AbstractAdjoint as AbstractAdjoint,
    Direct as Direct,
    ForwardMode as ForwardMode,
    Layout as Layout,
    RecursiveCheckpoint as RecursiveCheckpoint,
    SimulationDiverged as SimulationDiverged,
)
from ..numerics.public import publish as _publish
from ._baths import (
    check_bath_shapes as check_bath_shapes,
    check_baths as check_baths,
    spread as spread,
)
from ._controls import (
    Constant as Constant,
    PiecewiseLinear as PiecewiseLinear,
    Ramp as Ramp,
)
from ._integrators import (
    AbstractIntegrator as AbstractIntegrator,
    EulerMaruyama as EulerMaruyama,
    ExactLinear as ExactLinear,
    Heun as Heun,
)
from ._ledger import (
    Ledger as Ledger,
)
from ._observers import (
    AbstractObserver as AbstractObserver,
    Histogram as Histogram,
    Mean as Mean,
    Variance as Variance,
)
from ._simulate import (
    simulate as simulate,
)
from ._solution import (
    Batch as Batch,
    Checkpoint as Checkpoint,
    Result as Result,
    Solution as Solution,
)
from ._systems import (
    AbstractSystem as AbstractSystem,
    Langevin as Langevin,
)

_publish(globals())
