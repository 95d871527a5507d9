"""The learning problem: rules, inputs, perceptrons."""

from ...numerics.public import publish as _publish
from ._custom import (
    CustomRule as CustomRule,
    potential_by_quadrature as potential_by_quadrature,
    rule_kinks as rule_kinks,
)
from ._inputs import (
    AbstractInputs as AbstractInputs,
    BinaryInputs as BinaryInputs,
    GaussianInputs as GaussianInputs,
    TrainingSet as TrainingSet,
    check_known_law as check_known_law,
)
from ._model import (
    Perceptron as Perceptron,
    generalization_error as generalization_error,
    label_information as label_information,
    safe_root as safe_root,
    test_error as test_error,
    wrong_fraction as wrong_fraction,
)
from ._problem import (
    LearningProblem as LearningProblem,
    PerceptronLearning as PerceptronLearning,
    known_kinks as known_kinks,
)
from ._rules import (
    RULES as RULES,
    AbstractPowerRule as AbstractPowerRule,
    AbstractRule as AbstractRule,
    AdaTron as AdaTron,
    AlphaTron as AlphaTron,
    Hebbian as Hebbian,
    LinearAlphaTron as LinearAlphaTron,
    PerceptronRule as PerceptronRule,
    Power as Power,
    RuleWarning as RuleWarning,
    check_finite_force as check_finite_force,
    check_force as check_force,
)

_publish(globals())
