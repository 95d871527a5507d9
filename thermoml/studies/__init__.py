"""Studies: what a config asks for, from a grid to a summary and figures."""

from ..numerics.public import publish as _publish
from ._alpha_sweep import AlphaSweepStudy
from ._base import AbstractStudy
from ._data_refresh import DataRefreshStudy
from ._data_temperature import DataTemperatureStudy
from ._dissipation_budget import DissipationBudgetStudy
from ._dragged_trap import DraggedTrapStudy
from ._entropy_production import EntropyProductionStudy
from ._frontier import FrontierStudy
from ._heat_engines import HeatEnginesStudy
from ._learning_efficiency import LearningEfficiencyStudy
from ._learning_rules import LearningRulesStudy
from ._optimal_protocol import OptimalProtocolStudy
from ._parameter_sweep import ParameterSweepStudy
from ._real_data_temperature import RealDataTemperatureStudy
from ._run import redraw, run_study
from ._stirling import StirlingStudy
from ._tilted_ring import TiltedRingStudy
from ._training_complexity import TrainingComplexityStudy
from ._training_engine import TrainingEngineStudy
from ._training_transition import TrainingTransitionStudy
from ._tune_alpha import TuneAlphaStudy
from ._two_baths import TwoBathsStudy

STUDIES: dict[str, type[AbstractStudy]] = {
    "learning_rules": LearningRulesStudy,
    "sweep": ParameterSweepStudy,
    "alpha_sweep": AlphaSweepStudy,
    "dissipation_budget": DissipationBudgetStudy,
    "entropy_production": EntropyProductionStudy,
    "tune_alpha": TuneAlphaStudy,
    "learning_efficiency": LearningEfficiencyStudy,
    "frontier": FrontierStudy,
    "dragged_trap": DraggedTrapStudy,
    "tilted_ring": TiltedRingStudy,
    "two_baths": TwoBathsStudy,
    "stirling": StirlingStudy,
    "optimal_protocol": OptimalProtocolStudy,
    "training_transition": TrainingTransitionStudy,
    "training_complexity": TrainingComplexityStudy,
    "training_engine": TrainingEngineStudy,
    "heat_engines": HeatEnginesStudy,
    "data_refresh": DataRefreshStudy,
    "data_temperature": DataTemperatureStudy,
    "real_data_temperature": RealDataTemperatureStudy,
}


def study_of(config) -> AbstractStudy:
    """The study that a config asks for."""
    return STUDIES[config.study](config)


__all__ = [
    "STUDIES",
    "AbstractStudy",
    "redraw",
    "run_study",
    "study_of",
]

_publish(globals())
