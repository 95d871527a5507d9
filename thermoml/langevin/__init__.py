"""Langevin dynamics with its ledger of work, heat and entropy flow."""

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
    Baths as Baths,
)
from ._chords import (
    HeatWarning as HeatWarning,
)
from ._controls import (
    AbstractControl as AbstractControl,
    Constant as Constant,
    PiecewiseLinear as PiecewiseLinear,
    Ramp as Ramp,
)
from ._heat_rate import (
    HeatRate as HeatRate,
)
from ._integrators import (
    AbstractIntegrator as AbstractIntegrator,
    AbstractPathIntegrator as AbstractPathIntegrator,
    EulerMaruyama as EulerMaruyama,
    ExactLinear as ExactLinear,
    Heun as Heun,
    LeimkuhlerMatthews as LeimkuhlerMatthews,
    StepContext as StepContext,
)
from ._kinetic import (
    KineticTemperature as KineticTemperature,
    kinetic_temperature as kinetic_temperature,
)
from ._ledger import (
    Exchange as Exchange,
    Ledger as Ledger,
    Shadow as Shadow,
)
from ._momentum import (
    Inertia as Inertia,
    PhaseState as PhaseState,
    Underdamped as Underdamped,
    acting as acting,
    by_part as by_part,
    position_of as position_of,
)
from ._observers import (
    AbstractObserver as AbstractObserver,
    Histogram as Histogram,
    Mean as Mean,
    State as State,
    Variance as Variance,
)
from ._parameters import (
    as_vector as as_vector,
)
from ._potentials import (
    FromControl as FromControl,
    HarmonicPotential as HarmonicPotential,
    LinearForce as LinearForce,
    QuadraticPotential as QuadraticPotential,
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
from ._splittings import (
    BAOAB as BAOAB,
    OBABO as OBABO,
    Splitting as Splitting,
    default_integrator as default_integrator,
)
from ._stepper import (
    Stepper as Stepper,
    Walker as Walker,
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
