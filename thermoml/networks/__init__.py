"""Networks: learning systems as thermodynamic systems."""

from ._asymptotics import (
    asymptotic_energy,
    asymptotic_refresh,
    asymptotic_temperature,
    expected_maximum,
    log_determinant_density,
)
from ._boltzmann import AbstractRoute, Harmonic
from ._csv import read_csv
from ._data import Data
from ._energies import AbstractEnergy, CrossEntropy, MeanAbsoluteError, MeanSquaredError
from ._examples import example_data, synthetic_data
from ._expected_energy import expected_energy
from ._ground_state import GroundState, ground_state
from ._importance import Importance
from ._initialisations import (
    AbstractInitialisation,
    Glorot,
    He,
    LeCun,
    Mixed,
    Normal,
    Uniform,
)
from ._laplace import Gaussian, Laplace, log_copies
from ._learning import AbstractLearning, LinearLearning, NetworkLearning
from ._path import TrainingPath, simulated_training_path, training_path
from ._states import AbstractState, TypeI, TypeII
from ._switching import Switching, TrainingWarning
from ._trained import Trained
from ._transition import Case, Transition, linear_temperature, transition

__all__ = [
    "AbstractEnergy",
    "AbstractInitialisation",
    "AbstractLearning",
    "AbstractRoute",
    "AbstractState",
    "Case",
    "CrossEntropy",
    "Data",
    "Gaussian",
    "Glorot",
    "GroundState",
    "Harmonic",
    "He",
    "Importance",
    "Laplace",
    "LeCun",
    "LinearLearning",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mixed",
    "NetworkLearning",
    "Normal",
    "Switching",
    "Trained",
    "TrainingPath",
    "TrainingWarning",
    "Transition",
    "TypeI",
    "TypeII",
    "Uniform",
    "asymptotic_energy",
    "asymptotic_refresh",
    "asymptotic_temperature",
    "example_data",
    "expected_energy",
    "expected_maximum",
    "ground_state",
    "linear_temperature",
    "log_copies",
    "log_determinant_density",
    "read_csv",
    "simulated_training_path",
    "synthetic_data",
    "training_path",
    "transition",
]
