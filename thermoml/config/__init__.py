"""The schema of the YAML configs: every mistake is named with its field, value and remedy."""

from ._learning_rules import LearningRules
from ._parameter_sweep import ParameterSweep
from ._parts import RULES, ConfigError
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

__all__ = [
    "RULES",
    "SCHEMAS",
    "ConfigError",
    "LearningRules",
    "ParameterSweep",
    "apply_override",
    "config_from_json",
    "config_json",
    "load_config",
    "parse_config",
    "read_config",
    "shipped_configs",
]
