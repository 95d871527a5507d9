"""The perceptron as a physical system: rules, problems, learning and its thermodynamics."""

from ..numerics.public import publish as _publish
from ._curve import (
    QUANTITIES as QUANTITIES,
    TIME_UNIT as TIME_UNIT,
    LearningCurve as LearningCurve,
    PlaneCheckpoint as PlaneCheckpoint,
    WeightsCheckpoint as WeightsCheckpoint,
)
from ._information import (
    InformationBound as InformationBound,
    SecondLawWarning as SecondLawWarning,
    averaged_entropy_production as averaged_entropy_production,
    check_second_law as check_second_law,
    information_bound as information_bound,
)
from ._learn import (
    ScaleSeparationWarning as ScaleSeparationWarning,
    StepSizeWarning as StepSizeWarning,
    check_step_size as check_step_size,
    learn as learn,
    warn_of_separation as warn_of_separation,
)
from ._objective import (
    AbstractObjective as AbstractObjective,
    Gradient as Gradient,
    LearningObjective as LearningObjective,
)
from .levels import (
    AbstractLevel as AbstractLevel,
    MeanField as MeanField,
    Microscopic as Microscopic,
    Reduced as Reduced,
    binary_teacher as binary_teacher,
    sphere_teacher as sphere_teacher,
)
from .problem import (
    RULES as RULES,
    AbstractInputs as AbstractInputs,
    AbstractPowerRule as AbstractPowerRule,
    AbstractRule as AbstractRule,
    AdaTron as AdaTron,
    AlphaTron as AlphaTron,
    BinaryInputs as BinaryInputs,
    CustomRule as CustomRule,
    GaussianInputs as GaussianInputs,
    Hebbian as Hebbian,
    LearningProblem as LearningProblem,
    LinearAlphaTron as LinearAlphaTron,
    Perceptron as Perceptron,
    PerceptronLearning as PerceptronLearning,
    PerceptronRule as PerceptronRule,
    Power as Power,
    RuleWarning as RuleWarning,
    TrainingSet as TrainingSet,
    generalization_error as generalization_error,
    label_information as label_information,
    potential_by_quadrature as potential_by_quadrature,
    test_error as test_error,
)
from .theory import (
    OptimalRule as OptimalRule,
    SteadyState as SteadyState,
    at_dissipation as at_dissipation,
    dissipation_bound as dissipation_bound,
    metastable_states as metastable_states,
    spinodals as spinodals,
    steady_state as steady_state,
)

_publish(globals())
