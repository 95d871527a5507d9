"""The perceptron as a physical system: rules, problems, learning and its thermodynamics."""

from ._curve import LearningCurve
from ._initial import binary_teacher, sphere_teacher
from ._inputs import AbstractInputs, BinaryInputs, GaussianInputs, TrainingSet
from ._learn import ScaleSeparationWarning, StepSizeWarning, learn
from ._mean_field import MeanField
from ._microscopic import Microscopic
from ._model import Perceptron, generalization_error, label_information, test_error
from ._problem import LearningProblem, PerceptronLearning
from ._reduced import Reduced
from ._rules import (
    AbstractRule,
    AdaTron,
    AlphaTron,
    CustomRule,
    Hebbian,
    LinearAlphaTron,
    PerceptronRule,
    RuleWarning,
)
from ._steady_state import SteadyState, steady_state

__all__ = [
    "AbstractInputs",
    "AbstractRule",
    "AdaTron",
    "AlphaTron",
    "BinaryInputs",
    "CustomRule",
    "GaussianInputs",
    "Hebbian",
    "LearningCurve",
    "LearningProblem",
    "LinearAlphaTron",
    "MeanField",
    "Microscopic",
    "Perceptron",
    "PerceptronLearning",
    "PerceptronRule",
    "Reduced",
    "RuleWarning",
    "ScaleSeparationWarning",
    "SteadyState",
    "StepSizeWarning",
    "TrainingSet",
    "binary_teacher",
    "generalization_error",
    "label_information",
    "learn",
    "sphere_teacher",
    "steady_state",
    "test_error",
]
