"""The schema of the YAML configs: every mistake is named with its field, value and remedy."""

import difflib
import importlib.resources
import json
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from . import perceptron
from .numerics._checks import count_saves, count_steps, divide_steps
from .perceptron._learn import check_step_size
from .sweep import Grid, parse_size


class ConfigError(ValueError):
    """A config that cannot be run; the message is one line that says what to change."""


RULES: dict[str, type[perceptron.AbstractRule]] = {
    "hebbian": perceptron.Hebbian,
    "perceptron": perceptron.PerceptronRule,
    "adatron": perceptron.AdaTron,
    "alpha_tron": perceptron.AlphaTron,
    "linear_alpha_tron": perceptron.LinearAlphaTron,
}
_WITH_ALPHA = ("alpha_tron", "linear_alpha_tron")
_LABELS = {"hebbian": "Hebbian", "perceptron": "Perceptron", "adatron": "AdaTron"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _by_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Rule(_Strict):
    """A rule of theory by name; the α-trons take an `alpha`."""

    name: Literal["hebbian", "perceptron", "adatron", "alpha_tron", "linear_alpha_tron"]
    alpha: float | None = None

    @model_validator(mode="after")
    def _check_alpha(self):
        if self.name in _WITH_ALPHA and self.alpha is None:
            raise ValueError(f"{self.name} needs alpha, such as {{name: {self.name}, alpha: 0.5}}")
        if self.name not in _WITH_ALPHA and self.alpha is not None:
            raise ValueError(f"{self.name} takes no alpha; remove it or use alpha_tron")
        self.build()
        return self

    def build(self) -> perceptron.AbstractRule:
        """The rule itself."""
        return RULES[self.name](*(() if self.alpha is None else (self.alpha,)))

    @property
    def label(self) -> str:
        """How figures and tables call the rule."""
        if self.alpha is None:
            return _LABELS[self.name]
        return f"{'linear ' if self.name == 'linear_alpha_tron' else ''}α-tron, α = {self.alpha:g}"


class Inputs(_Strict):
    """Where inputs come from: binary, gaussian, or training_set with its number of examples."""

    kind: Literal["binary", "gaussian", "training_set"] = "binary"
    distribution: Literal["binary", "gaussian"] = "binary"
    examples: Annotated[int, Field(ge=1)] | None = None
    test_examples: Annotated[int, Field(ge=0)] = 1000

    @model_validator(mode="after")
    def _check_examples(self):
        if self.kind == "training_set" and self.examples is None:
            raise ValueError(
                "a training_set needs examples, such as {kind: training_set, examples: 300}"
            )
        if self.kind != "training_set" and self.examples is not None:
            raise ValueError(f"{self.kind} inputs take no examples; use kind: training_set")
        return self

    @property
    def label(self) -> str:
        """How figures and tables call the inputs."""
        if self.examples is None:
            return self.kind
        return f"{self.examples} {self.distribution} examples"


class _Learning(_Strict):
    """What every study of learning perceptrons takes."""

    title: str = ""
    n_inputs: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    batch: int = Field(default=30, ge=1)
    inputs: Annotated[Inputs, BeforeValidator(_by_kind)] = Inputs()
    teachers: Literal["single", "ensemble"] = "ensemble"
    n_trajectories: int = Field(default=1000, ge=1)
    t1: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    dt: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, lt=2**32)
    precision: Literal["float32", "float64"] = "float32"
    trajectories: bool = False
    memory: int | str = "1GB"
    per_unit: int | None = Field(default=None, ge=1)

    def steps(self, dt: float) -> int:
        """Steps of a run."""
        return count_steps(0.0, self.t1, dt, self.precision)

    @model_validator(mode="after")
    def _check_memory(self):
        parse_size(self.memory)
        return self


class _Run(_Learning):
    """A run at one point, with all checks that need several of its settings."""

    rule: Annotated[Rule, BeforeValidator(_by_name)]
    save_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_run(self):
        count_saves(self.steps(self.dt), self.save_every)
        check_step_size(self.stiffness, self.dt)
        examples = self.inputs.examples
        if examples is not None and self.batch > examples:
            raise ValueError(
                f"batch must not exceed the {examples} examples of the training set, "
                f"got {self.batch}"
            )
        return self


class LearningRules(_Learning):
    """The study `learning_rules`: learning curves of the perceptron's rules side by side."""

    study: Literal["learning_rules"]
    rules: list[Annotated[Rule, BeforeValidator(_by_name)]] = Field(min_length=1)
    save_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_run(self):
        _Run(**_shared(self), rule=self.rules[0], save_every=self.save_every)
        labels = [rule.label for rule in self.rules]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"rules must differ, got {label} {labels.count(label)} times")
        return self


def _shared(config: _Learning) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _Learning.model_fields}


class ParameterSweep(_Learning):
    """The study `sweep`: a rule over a grid of parameters."""

    study: Literal["sweep"]
    rule: Annotated[dict[str, Any], BeforeValidator(_by_name)] = {"name": "alpha_tron"}
    saves: int = Field(default=20, ge=1)
    grid: dict[str, Any]

    @model_validator(mode="after")
    def _check_grid(self):
        try:
            points = self.points
        except TypeError as error:
            raise ValueError(str(error)) from None
        beside = sorted(set(points.names) & self.model_fields_set)
        if beside:
            raise ValueError(f"{beside[0]} is in the grid, so it must not be set beside it as well")
        for name in points.names:
            if name not in SWEPT:
                raise ValueError(f"{name} cannot be in a grid{_nearest(name, SWEPT)}")
        if {"rule", "alpha"} <= set(points.names):
            raise ValueError(
                "alpha and rule cannot both be in a grid; give each rule its own, such as "
                "{name: alpha_tron, alpha: 0.5}"
            )
        self._check_points(points)
        return self

    def _check_points(self, points: Grid) -> None:
        """ValueError that names the first point that cannot be run, or axes that do not agree."""
        runs = []
        for index in np.ndindex(points.shape):
            try:
                runs.append(self.run_at(points.point(index)))
            except (TypeError, ValueError) as error:
                wrong = isinstance(error, ValidationError)
                message = _describe(error.errors()[0], _Run) if wrong else error
                raise ValueError(f"at {points.label(index)}: {message}") from None
        for name in {"rule", "inputs"} & set(points.names):
            labels = {getattr(run, name).label for run in runs}
            count = next(len(axis[name]) for axis in points.axes if name in axis)
            if len(labels) < count:
                raise ValueError(f"{name} must have different values, got only {sorted(labels)}")
        sets = [run.inputs for run in runs]
        if len({(x.examples is None, bool(x.examples and x.test_examples)) for x in sets}) > 1:
            raise ValueError("inputs must have training and test errors at all points or at none")

    @property
    def points(self) -> Grid:
        """The grid, values as they stand in the file."""
        grid = Grid()
        for name, given in self.grid.items():
            if name == "zip":
                for zipped in given if isinstance(given, list) else [given]:
                    if not isinstance(zipped, dict):
                        raise ValueError(f"zip must hold parameters and values, got {zipped!r:.60}")
                    grid = grid * Grid.zip(**zipped)
            else:
                grid = grid * Grid(**{name: given})
        if not grid.axes:
            raise ValueError("grid must have at least one parameter, such as alpha: [0, 0.5]")
        return grid

    def run_at(self, point: dict[str, Any]) -> _Run:
        """The checked settings of one point."""
        settings: dict[str, Any] = _shared(self) | {"rule": self.rule} | point
        if "alpha" in settings:
            settings["rule"] = self.rule | {"alpha": settings.pop("alpha")}
        save_every = divide_steps("saves", self.steps(settings["dt"]), self.saves)
        return _Run.model_validate(settings | {"save_every": save_every})


# What may be in a grid; t1 and n_trajectories give every point the same axes.
SWEPT = (
    "alpha",
    "batch",
    "dt",
    "inputs",
    "learning_rate",
    "n_inputs",
    "rule",
    "stiffness",
    "teachers",
    "temperature",
)

SCHEMAS: dict[str, type[LearningRules | ParameterSweep]] = {
    "learning_rules": LearningRules,
    "sweep": ParameterSweep,
}


def shipped_configs() -> dict[str, Any]:
    """The configs that travel with the package, by name."""
    folder = importlib.resources.files("thermoml") / "configs"
    if not folder.is_dir():  # an editable install reads them from the checkout
        folder = Path(__file__).parent.parent / "configs"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {
        entry.name.removesuffix(".yaml"): entry for entry in sorted(files, key=lambda e: e.name)
    }


def _nearest(word: Any, choices: Any) -> str:
    close = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else f"; choose from {', '.join(choices)}"


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
        raise ConfigError(f"there is no config {source}{_nearest(source, shipped)}")
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


def _describe(error: Any, schema: type[BaseModel]) -> str:
    """The first mistake of a ValidationError in one line."""
    field = ".".join(str(part) for part in error["loc"])
    value, kind = error["input"], error["type"]
    if kind == "extra_forbidden":
        known = schema.model_fields
        if len(error["loc"]) > 1:
            known = (Rule if error["loc"][0] in ("rule", "rules") else Inputs).model_fields
        return f"unknown key {field}{_nearest(error['loc'][-1], known)}"
    if kind == "missing":
        return f"{field} is missing; add it to the config"
    if kind == "literal_error":
        choices = [c.strip("' ") for c in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{field} must be one of its choices, got {value!r}{_nearest(value, choices)}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{field}: {message}" if field else message
    message = message[0].lower() + message[1:].replace("Input should", "it should")
    message = message.replace("input should be", "must be")
    return f"{field} {message}, got {value!r:.60}"


def parse_config(content: dict[str, Any]) -> LearningRules | ParameterSweep:
    """A checked config.

    Raises:
        ConfigError: the first mistake, in one line.
    """
    study = content.get("study")
    if study is None:
        raise ConfigError(f"study is missing; add study: {next(iter(SCHEMAS))}")
    if not isinstance(study, str) or study not in SCHEMAS:
        raise ConfigError(f"study {study!r} is unknown{_nearest(study, SCHEMAS)}")
    schema = SCHEMAS[study]
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_describe(error.errors()[0], schema)) from None


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
