"""Studies: what a config asks for, from work units to a summary and figures."""

from ._base import AbstractStudy
from ._learning_rules import LearningRulesStudy
from ._run import redraw, run_study

STUDIES: dict[str, type[AbstractStudy]] = {"learning_rules": LearningRulesStudy}


def study_of(config) -> AbstractStudy:
    """The study that a config asks for."""
    return STUDIES[config.study](config)


__all__ = ["STUDIES", "AbstractStudy", "LearningRulesStudy", "redraw", "run_study", "study_of"]
