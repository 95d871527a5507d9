"""Overdamped Langevin dynamics with its ledger of work, heat and entropy flow."""

from ..numerics.public import publish as _publish
from ._adjoints import (
    DIFFRAX as DIFFRAX,
    AbstractAdjoint as AbstractAdjoint,
    Direct as Direct,
    ForwardMode as ForwardMode,
    RecursiveCheckpoint as RecursiveCheckpoint,
)
from ._baths import (
    Baths as Baths,
)
from ._controls import (
    AbstractControl as AbstractControl,
    Constant as Constant,
    PiecewiseLinear as PiecewiseLinear,
    Ramp as Ramp,
)
from ._integrators import (
    AbstractIntegrator as AbstractIntegrator,
    EulerMaruyama as EulerMaruyama,
    ExactLinear as ExactLinear,
    Heun as Heun,
    StepContext as StepContext,
)
from ._ledger import (
    Ledger as Ledger,
)
from ._observers import (
    AbstractObserver as AbstractObserver,
    Histogram as Histogram,
    Mean as Mean,
    State as State,
    Variance as Variance,
)
from ._potentials import (
    FromControl as FromControl,
    HarmonicPotential as HarmonicPotential,
    LinearForce as LinearForce,
    QuadraticPotential as QuadraticPotential,
)
from ._progress import (
    progress_meter as progress_meter,
)
from ._simulate import (
    simulate as simulate,
)
from ._solution import (
    Batch as Batch,
    Checkpoint as Checkpoint,
    Clock as Clock,
    Result as Result,
    SimulationDiverged as SimulationDiverged,
    Solution as Solution,
    raise_if_diverged as raise_if_diverged,
)
from ._systems import (
    AbstractSystem as AbstractSystem,
    Langevin as Langevin,
)
from ._types import (
    StateTree as StateTree,
    Time as Time,
)

_publish(globals())
