"""Activations and learners as heat engines."""

from ...numerics.public import publish as _publish
from ._activations import (
    ACTIVATIONS as ACTIVATIONS,
    Activation as Activation,
)
from ._balance import (
    EngineBalance as EngineBalance,
    EngineClassification as EngineClassification,
    EngineType as EngineType,
    classify_engine as classify_engine,
    coherent_efficiency as coherent_efficiency,
    engine_balance as engine_balance,
    work_efficiency as work_efficiency,
)
from ._chain import (
    EngineChain as EngineChain,
    WorkingTemperature as WorkingTemperature,
    engine_chain as engine_chain,
    working_temperatures as working_temperatures,
)
from ._learning_potential import (
    LearningPotential as LearningPotential,
)
from ._measured import (
    EngineReport as EngineReport,
    MeasuredEngine as MeasuredEngine,
    measure_engines as measure_engines,
)

_publish(globals())
