"""Configs from YAML: files, shipped names, overrides."""

import importlib.resources
import json
import warnings
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ._at_rest import AlphaSweep, DissipationBudget, EntropyProduction, Frontier
from ._data_refresh import DataRefresh
from ._data_temperature import DataTemperature, RealDataTemperature
from ._ensemble import Ensemble
from ._heat_engines import HeatEngines
from ._learning_efficiency import LearningEfficiency
from ._learning_rules import LearningRules
from ._parameter_sweep import ParameterSweep
from ._parts import ConfigError, describe, nearest
from ._thermodynamics import DraggedTrap, OptimalProtocol, Stirling, TiltedRing, TwoBaths
from ._training_complexity import TrainingComplexity
from ._training_engine import TrainingEngine
from ._training_transition import TrainingTransition
from ._tune_alpha import TuneAlpha

SCHEMAS: dict[str, type[Ensemble]] = {
    "learning_rules": LearningRules,
    "sweep": ParameterSweep,
    "alpha_sweep": AlphaSweep,
    "dissipation_budget": DissipationBudget,
    "entropy_production": EntropyProduction,
    "tune_alpha": TuneAlpha,
    "learning_efficiency": LearningEfficiency,
    "frontier": Frontier,
    "dragged_trap": DraggedTrap,
    "tilted_ring": TiltedRing,
    "two_baths": TwoBaths,
    "stirling": Stirling,
    "optimal_protocol": OptimalProtocol,
    "training_transition": TrainingTransition,
    "training_complexity": TrainingComplexity,
    "training_engine": TrainingEngine,
    "heat_engines": HeatEngines,
    "data_refresh": DataRefresh,
    "data_temperature": DataTemperature,
    "real_data_temperature": RealDataTemperature,
}


def shipped_configs() -> dict[str, Any]:
    """The configs that travel with the package, by name."""
    folder = importlib.resources.files("thermoml") / "configs"
    if not folder.is_dir():  # an editable install reads them from the checkout
        folder = Path(__file__).parents[2] / "configs"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {
        entry.name.removesuffix(".yaml"): entry for entry in sorted(files, key=lambda e: e.name)
    }


def read_config(source: str) -> dict[str, Any]:
    """The mapping in a config file, or in the shipped config of that name.

    Raises:
        ConfigError: no such file or name, a directory, not readable, not YAML, empty, no mapping.
    """
    path, shipped = Path(source), shipped_configs()
    if path.is_dir() and source not in shipped:
        raise ConfigError(f"config {source} is a directory; name a YAML file inside it")
    file = path if path.is_file() else shipped.get(source)
    if file is None:
        raise ConfigError(f"there is no config {source}{nearest(source, shipped)}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(f"config {source} is not YAML{place}; check its syntax") from None
    except OSError as error:
        raise ConfigError(f"config {source} cannot be read: {error.strerror}") from None
    if content is None:
        raise ConfigError(f"config {source} is empty; begin with study: learning_rules")
    if not isinstance(content, dict):
        raise ConfigError(f"config {source} must be a mapping of keys, got {content!r:.60}")
    return content


def apply_override(content: dict[str, Any], assignment: str) -> None:
    """Put `key=value` into `content`; dotted keys go inside, numbers index lists.

    Raises:
        ConfigError: no `=`, a value that is not YAML, or a path that leads nowhere.
    """
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set takes key=value, got {assignment!r}; try --set n_inputs=1000")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key} got {text!r}, which is not YAML; quote it") from None
    *parents, last = key.split(".")
    place: Any = content
    try:
        for parent in parents:
            if isinstance(place, dict):
                place = place.setdefault(parent, {})
            else:
                place = place[int(parent)]
        place[int(last) if isinstance(place, list) else last] = value
    except (IndexError, ValueError, TypeError):
        raise ConfigError(f"--set {key}: the config has no such place") from None


def parse_config(content: dict[str, Any]) -> Ensemble:
    """A checked config.

    Raises:
        ConfigError: the first mistake, in one line.
    """
    study = content.get("study")
    if study is None:
        raise ConfigError(f"study is missing; add study: {next(iter(SCHEMAS))}")
    if not isinstance(study, str) or study not in SCHEMAS:
        raise ConfigError(f"study {study!r} is unknown{nearest(study, SCHEMAS)}")
    schema = SCHEMAS[study]
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise ConfigError(describe(error.errors(), schema)) from None


def load_config(source: str, *, overrides: list[str] | None = None, quick: bool = False) -> Any:
    """The checked config of a file or shipped name.

    `quick` applies the config's own `quick` section, which makes it run in seconds; `overrides`
    (`key=value`) come last.
    """
    content = read_config(source)
    shortened = content.pop("quick", None) or {}
    if not isinstance(shortened, dict):
        raise ConfigError(f"quick must be a mapping of keys, got {shortened!r:.60}")
    if quick:
        content.update(shortened)
    for assignment in overrides or []:
        apply_override(content, assignment)
    return parse_config(content)


def config_json(config: BaseModel) -> str:
    """The config as canonical JSON, for the store's attributes."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True)


def config_from_json(text: str) -> Any:
    """The config that `config_json` wrote."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warned about when it was run
        return parse_config(json.loads(text))
