"""The schema of the YAML configs: every mistake is named with its field, value and remedy."""

from ..numerics.public import publish as _publish
from ._at_rest import AlphaSweep, DissipationBudget, EntropyProduction, Frontier
from ._data_refresh import DataRefresh
from ._data_temperature import DataTemperature, RealDataTemperature
from ._heat_engines import ACTIVATIONS, HeatEngines
from ._learning_efficiency import LearningEfficiency
from ._learning_rules import LearningRules
from ._parameter_sweep import ParameterSweep
from ._parts import RULES, ConfigError, Setting
from ._read import (
    SCHEMAS,
    apply_override,
    config_from_json,
    config_json,
    load_config,
    parse_config,
    read_config,
    shipped_configs,
)
from ._thermodynamics import DraggedTrap, OptimalProtocol, Stirling, TiltedRing, TwoBaths
from ._training_complexity import TrainingComplexity
from ._training_engine import TrainingEngine
from ._training_transition import TrainingTransition
from ._tune_alpha import TuneAlpha

__all__ = [
    "ACTIVATIONS",
    "RULES",
    "SCHEMAS",
    "AlphaSweep",
    "ConfigError",
    "DataRefresh",
    "DataTemperature",
    "DissipationBudget",
    "DraggedTrap",
    "EntropyProduction",
    "Frontier",
    "HeatEngines",
    "LearningEfficiency",
    "LearningRules",
    "OptimalProtocol",
    "ParameterSweep",
    "RealDataTemperature",
    "Setting",
    "Stirling",
    "TiltedRing",
    "TrainingComplexity",
    "TrainingEngine",
    "TrainingTransition",
    "TuneAlpha",
    "TwoBaths",
    "apply_override",
    "config_from_json",
    "config_json",
    "load_config",
    "parse_config",
    "read_config",
    "shipped_configs",
]

_publish(globals())
