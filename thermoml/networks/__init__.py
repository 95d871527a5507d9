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
from ._engine_chain import EngineChain, WorkingTemperature, engine_chain, working_temperatures
from ._engines import (
    EngineBalance,
    EngineClassification,
    EngineType,
    classify_engine,
    coherent_efficiency,
    engine_balance,
    work_efficiency,
)
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
from ._layer_ledger import LayerLedger, LedgerWarning, layer_ledger
from ._layer_transitions import LayerTransition
from ._layers import Layers, layers
from ._learning import AbstractLearning, LinearLearning, NetworkLearning
from ._learning_potential import LearningPotential
from ._local_temperatures import (
    LayerMoments,
    LocalTemperatures,
    Thermometer,
    gradient_noise_temperature,
    local_temperatures,
)
from ._measured_engines import EngineReport, MeasuredEngine, measure_engines
from ._optimisers import Optimised, optimise
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
    "EngineBalance",
    "EngineChain",
    "EngineClassification",
    "EngineReport",
    "EngineType",
    "Gaussian",
    "Glorot",
    "GroundState",
    "Harmonic",
    "He",
    "Importance",
    "Laplace",
    "LayerLedger",
    "LayerMoments",
    "LayerTransition",
    "Layers",
    "LeCun",
    "LearningPotential",
    "LedgerWarning",
    "LinearLearning",
    "LocalTemperatures",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MeasuredEngine",
    "Mixed",
    "NetworkLearning",
    "Normal",
    "Optimised",
    "Switching",
    "Thermometer",
    "Trained",
    "TrainingPath",
    "TrainingWarning",
    "Transition",
    "TypeI",
    "TypeII",
    "Uniform",
    "WorkingTemperature",
    "asymptotic_energy",
    "asymptotic_refresh",
    "asymptotic_temperature",
    "classify_engine",
    "coherent_efficiency",
    "engine_balance",
    "engine_chain",
    "example_data",
    "expected_energy",
    "expected_maximum",
    "gradient_noise_temperature",
    "ground_state",
    "layer_ledger",
    "layers",
    "linear_temperature",
    "local_temperatures",
    "log_copies",
    "log_determinant_density",
    "measure_engines",
    "optimise",
    "read_csv",
    "simulated_training_path",
    "synthetic_data",
    "training_path",
    "transition",
    "work_efficiency",
    "working_temperatures",
]
