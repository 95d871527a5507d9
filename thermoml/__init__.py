"""thermoml: the thermodynamics of learning, differentiable and on accelerators.

Units: k_B = 1; energies, heat, work and temperatures share one unit; entropy in nats. Heat is
positive when it flows from the system into its bath, work when it is done on the system.

The most used names are at the top level, all others in the rooms: `thermoml.langevin`,
`thermoml.thermodynamics`, `thermoml.perceptron`, `thermoml.networks`, `thermoml.sweeps`,
`thermoml.studies` and `thermoml.plots`.
"""

import importlib as _importlib
from importlib.metadata import version as _version

from . import (
    langevin as langevin,
    networks as networks,
    perceptron as perceptron,
    sweeps as sweeps,
    thermodynamics as thermodynamics,
)
from .files import load as load, save as save
from .langevin import (
    BAOAB as BAOAB,
    OBABO as OBABO,
    AbstractSystem as AbstractSystem,
    Baths as Baths,
    EulerMaruyama as EulerMaruyama,
    ExactLinear as ExactLinear,
    Heun as Heun,
    Langevin as Langevin,
    LeimkuhlerMatthews as LeimkuhlerMatthews,
    PiecewiseLinear as PiecewiseLinear,
    Ramp as Ramp,
    SimulationDiverged as SimulationDiverged,
    Solution as Solution,
    Splitting as Splitting,
    Underdamped as Underdamped,
    simulate as simulate,
)
from .networks import (
    CrossEntropy as CrossEntropy,
    Data as Data,
    LinearLearning as LinearLearning,
    MeanAbsoluteError as MeanAbsoluteError,
    MeanSquaredError as MeanSquaredError,
    NetworkLearning as NetworkLearning,
    Switching as Switching,
    Thermometer as Thermometer,
    Trained as Trained,
    TypeI as TypeI,
    TypeII as TypeII,
    classify_engine as classify_engine,
    engine_chain as engine_chain,
    example_data as example_data,
    linear_temperature as linear_temperature,
    local_temperatures as local_temperatures,
    read_csv as read_csv,
    transition as transition,
    work_efficiency as work_efficiency,
)
from .numerics import Estimate as Estimate
from .perceptron import (
    AbstractRule as AbstractRule,
    AdaTron as AdaTron,
    AlphaTron as AlphaTron,
    Hebbian as Hebbian,
    LearningCurve as LearningCurve,
    LearningObjective as LearningObjective,
    LearningProblem as LearningProblem,
    MeanField as MeanField,
    Microscopic as Microscopic,
    OptimalRule as OptimalRule,
    Perceptron as Perceptron,
    PerceptronRule as PerceptronRule,
    Reduced as Reduced,
    TrainingSet as TrainingSet,
    dissipation_bound as dissipation_bound,
    information_bound as information_bound,
    learn as learn,
    steady_state as steady_state,
)
from .sweeps import Grid as Grid, sweep as sweep
from .thermodynamics import (
    Axis as Axis,
    Cycle as Cycle,
    FokkerPlanck as FokkerPlanck,
    LinearSystem as LinearSystem,
    NormalState as NormalState,
    Stroke as Stroke,
    bennett as bennett,
    crooks as crooks,
    entropy_production as entropy_production,
    integral_fluctuation as integral_fluctuation,
    jarzynski as jarzynski,
    moment_equations as moment_equations,
    step_size_bias as step_size_bias,
    uncertainty_product as uncertainty_product,
)
from .tuning import tune as tune

__version__ = _version("thermoml")


def __getattr__(name: str):
    """Rooms with slow dependencies (Matplotlib, pydantic), imported at first use."""
    if name in ("plots", "studies"):
        return _importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
