"""What configs are made of: rules, inputs, and how their mistakes are named."""

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from .. import perceptron
from ._real_data import RealData
from ._strict import Strict


class ConfigError(ValueError):
    """A config that cannot be run; the message is one line that says what to change."""


RULES: dict[str, Callable[..., perceptron.AbstractRule]] = {
    "hebbian": perceptron.Hebbian,
    "perceptron": perceptron.PerceptronRule,
    "adatron": perceptron.AdaTron,
    "alpha_tron": perceptron.AlphaTron,
    "linear_alpha_tron": perceptron.LinearAlphaTron,
}
_WITH_ALPHA = ("alpha_tron", "linear_alpha_tron")
_LABELS = {"hebbian": "Hebbian", "perceptron": "Perceptron", "adatron": "AdaTron"}


def by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def by_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Rule(Strict):
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


class Inputs(Strict):
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


Level = Literal["reduced", "microscopic"]


def check_width(level: str, n_inputs: int) -> None:
    """ValueError where a level cannot have so few inputs."""
    if level == "reduced" and n_inputs < 4:
        raise ValueError(f"n_inputs must be at least 4 for the reduced level, got {n_inputs}")


class Network(Strict):
    """A rule F(s) that is a multilayer perceptron with tanh units."""

    width: int = Field(default=8, ge=1)
    depth: int = Field(default=2, ge=1)
    max_steps: int = Field(default=300, ge=1)


class Setting(Strict):
    """Where entropy production is measured."""

    n_inputs: int = Field(ge=1)
    batch: int = Field(ge=1)
    inputs: Literal["binary", "gaussian"] = "gaussian"
    level: Level | None = None

    @model_validator(mode="after")
    def _check_level(self):
        check_width(self.level_used, self.n_inputs)
        return self

    @property
    def level_used(self) -> Level:
        """The level: by itself that which is exact."""
        return self.level or ("reduced" if self.inputs == "gaussian" else "microscopic")

    @property
    def label(self) -> str:
        """How figures and tables call it."""
        return f"{self.inputs}, N = {self.n_inputs}, B = {self.batch}" + (
            "" if self.level is None else f", {self.level}"
        )


class Way(Strict):
    """A level of description, how gradients are found there, and how many steps to tune by them."""

    level: Literal["mean_field", "reduced", "microscopic"] = "mean_field"
    method: Literal[
        "auto", "pathwise", "finite_difference", "likelihood_ratio", "jump_corrected"
    ] = "auto"
    steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_method(self):
        needed = {"likelihood_ratio": "microscopic", "jump_corrected": "reduced"}
        if self.level != needed.get(self.method, self.level):
            raise ValueError(f"{self.method} needs level: {needed[self.method]}, got {self.level}")
        return self

    @property
    def label(self) -> str:
        """How figures and tables call it."""
        method = "" if self.method == "auto" else f", {self.method}"
        return f"{self.level}{method}".replace("_", " ")


# What the parts of a config that are mappings hold.
NESTED: dict[str, type[Strict]] = {
    "rule": Rule,
    "rules": Rule,
    "inputs": Inputs,
    "network": Network,
    "settings": Setting,
    "ways": Way,
    "data": RealData,
}


def check_different(name: str, labels: list[Any]) -> None:
    """ValueError where two are called the same."""
    for label in labels:
        if labels.count(label) > 1:
            times = labels.count(label)
            raise ValueError(f"{name} must differ from one another, got {label} {times} times")


def nearest(word: Any, choices: Any) -> str:
    close = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else f"; choose from {', '.join(choices)}"


def describe(errors: Any, schema: type[BaseModel]) -> str:
    """The first mistake of a ValidationError, a misspelt key before a missing one, in a line."""
    error = min(errors, key=lambda entry: entry["type"] != "extra_forbidden")
    field = ".".join(str(part) for part in error["loc"])
    value, kind = error["input"], error["type"]
    if kind == "extra_forbidden":
        known = schema.model_fields
        if len(error["loc"]) > 1:
            known = NESTED[error["loc"][0]].model_fields
        return f"unknown key {field}{nearest(error['loc'][-1], known)}"
    if kind == "missing":
        return f"{field} is missing; add it to the config"
    if kind == "literal_error":
        choices = [c.strip("' ") for c in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{field} must be one of its choices, got {value!r}{nearest(value, choices)}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{field}: {message}" if field else message
    message = message[0].lower() + message[1:].replace("Input should", "it should")
    message = message.replace("input should be", "must be")
    return f"{field} {message}, got {value!r:.60}"
