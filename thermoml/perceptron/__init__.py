"""The perceptron as a physical system: rules, problems, learning and its thermodynamics."""

from ._curve import LearningCurve
from ._initial import binary_teacher, sphere_teacher
from ._inputs import AbstractInputs, BinaryInputs, GaussianInputs, TrainingSet
from ._learn import ScaleSeparationWarning, StepSizeWarning, learn
from ._microscopic import Microscopic
from ._model import Perceptron, generalization_error, label_information, test_error
from ._problem import LearningProblem, PerceptronLearning
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
    "Microscopic",
    "Perceptron",
    "PerceptronLearning",
    "PerceptronRule",
    "RuleWarning",
    "ScaleSeparationWarning",
    "StepSizeWarning",
    "TrainingSet",
    "binary_teacher",
    "generalization_error",
    "label_information",
    "learn",
    "sphere_teacher",
    "test_error",
]
