"""The perceptron as a physical system: rules, problems, learning and its thermodynamics."""

from ._budget import at_dissipation
from ._curve import LearningCurve
from ._frontier import OptimalRule, dissipation_bound
from ._gradients import Gradient, LearningObjective
from ._information import InformationBound, SecondLawWarning, information_bound
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
    "Gradient",
    "Hebbian",
    "InformationBound",
    "LearningCurve",
    "LearningObjective",
    "LearningProblem",
    "LinearAlphaTron",
    "MeanField",
    "Microscopic",
    "OptimalRule",
    "Perceptron",
    "PerceptronLearning",
    "PerceptronRule",
    "Reduced",
    "RuleWarning",
    "ScaleSeparationWarning",
    "SecondLawWarning",
    "SteadyState",
    "StepSizeWarning",
    "TrainingSet",
    "at_dissipation",
    "binary_teacher",
    "dissipation_bound",
    "generalization_error",
    "information_bound",
    "label_information",
    "learn",
    "sphere_teacher",
    "steady_state",
    "test_error",
]
