"""What configs are made of: rules, inputs, data, and how their mistakes are named."""

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .. import perceptron


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


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


# Of each real data set: its most features that vary, and classes; 0 for a regression.
REAL_DATA = {"diabetes": (10, 0), "breast_cancer": (30, 2), "digits": (50, 10)}


class RealData(Strict):
    """A data set that ships with scikit-learn, and what of it is learned.

    `components` keeps the first principal components of the standardised features, `classes` the
    first classes. Classifications get an intercept, and need the prior.
    """

    name: Literal["diabetes", "breast_cancer", "digits"]
    components: int | None = Field(default=None, ge=1)
    classes: int | None = Field(default=None, ge=2)
    prior_stiffness: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_parts(self):
        most, n_classes = REAL_DATA[self.name]
        if self.components is not None and self.components > most:
            raise ValueError(
                f"components must be at most {most} for {self.name}, got {self.components}"
            )
        if self.classes is not None and self.classes > n_classes:
            raise ValueError(
                f"classes must be at most {n_classes} for {self.name}, got {self.classes}"
                if n_classes
                else f"classes do not belong to {self.name}, a regression; leave them out"
            )
        if self.classifies and self.prior_stiffness == 0:
            raise ValueError(
                f"{self.name} needs prior_stiffness > 0: without a prior e^(-E/τ) of classes that "
                "are separable or shift together cannot be normalised"
            )
        return self

    @property
    def classifies(self) -> bool:
        """Whether targets are labels."""
        return REAL_DATA[self.name][1] > 0

    @property
    def n_classes(self) -> int:
        """How many classes are learned; 0 for a regression."""
        return self.classes or REAL_DATA[self.name][1]

    @property
    def label(self) -> str:
        """How figures and tables call it."""
        some = self.classes not in (None, REAL_DATA[self.name][1])
        classes = f", {self.classes} classes" if some else ""
        components = "" if self.components is None else f", {self.components} components"
        return f"{self.name.replace('_', ' ')}{classes}{components}"


# What the parts of a config that are mappings hold.
NESTED = {
    "rule": Rule,
    "rules": Rule,
    "inputs": Inputs,
    "network": Network,
    "settings": Setting,
    "ways": Way,
    "data": RealData,
}


def check_different(name: str, labels: list[str]) -> None:
    """ValueError where two are called the same."""
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"{name} must differ, got {label} {labels.count(label)} times")


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
