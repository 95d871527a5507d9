"""Studies: what a config asks for, from a grid to a summary and figures."""

from ._base import AbstractStudy
from ._learning_rules import LearningRulesStudy
from ._parameter_sweep import ParameterSweepStudy
from ._run import redraw, run_study

STUDIES: dict[str, type[AbstractStudy]] = {
    "learning_rules": LearningRulesStudy,
    "sweep": ParameterSweepStudy,
}


def study_of(config) -> AbstractStudy:
    """The study that a config asks for."""
    return STUDIES[config.study](config)


__all__ = [
    "STUDIES",
    "AbstractStudy",
    "LearningRulesStudy",
    "ParameterSweepStudy",
    "redraw",
    "run_study",
    "study_of",
]
