"""Studies: what a config asks for, from a grid to a summary and figures."""

from ._alpha_sweep import AlphaSweepStudy
from ._base import AbstractStudy
from ._dissipation_budget import DissipationBudgetStudy
from ._entropy_production import EntropyProductionStudy
from ._frontier import FrontierStudy
from ._learning_efficiency import LearningEfficiencyStudy
from ._learning_rules import LearningRulesStudy
from ._parameter_sweep import ParameterSweepStudy
from ._run import redraw, run_study
from ._tune_alpha import TuneAlphaStudy

STUDIES: dict[str, type[AbstractStudy]] = {
    "learning_rules": LearningRulesStudy,
    "sweep": ParameterSweepStudy,
    "alpha_sweep": AlphaSweepStudy,
    "dissipation_budget": DissipationBudgetStudy,
    "entropy_production": EntropyProductionStudy,
    "tune_alpha": TuneAlphaStudy,
    "learning_efficiency": LearningEfficiencyStudy,
    "frontier": FrontierStudy,
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
