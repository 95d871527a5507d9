"""Settings of learning perceptrons, and the studies of their learning curves."""

import abc
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...config import Ensemble, Strict, object_named
from ...langevin import SimulationDiverged
from ...numerics.checks import count_saves, count_steps
from ...numerics.choices import nearest
from ...numerics.labels import Labelled
from ...perceptron import (
    RULES,
    AbstractRule,
    CustomRule,
    LearningCurve,
    LearningProblem,
    Microscopic,
    TrainingSet,
    check_step_size,
    learn,
    warn_of_separation,
)
from ...perceptron.theory import jump_loss
from .._study import AbstractStudy

if TYPE_CHECKING:
    import xarray

Level = Literal["reduced", "microscopic"]
_EXAMPLES, _TESTS = range(2)  # purposes of the sets that are drawn


def rule_maker(name: str) -> Callable[..., AbstractRule]:
    """The function that builds a rule from its parameters, by its name in a config.

    Args:
        name: a name of `perceptron.RULES`; or `module:Name` or `path/to/file.py:Name` of a subclass
            of `AbstractRule`, or of a function F(s).

    Raises:
        ValueError: there is no such rule.
    """
    if name in RULES:
        return RULES[name]
    if ":" not in name:
        raise ValueError(f"there is no rule {name!r}{nearest(name, RULES)}")
    thing = object_named(name)
    if inspect.isclass(thing) and issubclass(thing, AbstractRule):
        return thing
    if inspect.isfunction(thing):
        return functools.partial(CustomRule, thing)
    raise ValueError(
        f"rule {name} must be a subclass of AbstractRule or a function F(s), got {thing!r:.80}"
    )


def rule_parameters(name: str) -> dict[str, bool]:
    """The parameters of the rule that a config names, and whether each is needed."""
    rule = rule_maker(name)
    if not inspect.isclass(rule):
        return {}
    missing = dataclasses.MISSING
    return {
        field.name: field.default is missing and field.default_factory is missing
        for field in dataclasses.fields(rule)
        if field.init
    }


def _takes_truths(name: str, key: str) -> bool:
    """Whether a parameter of the rule that a config names may be true or false."""
    fields = dataclasses.fields(rule_maker(name))  # pyright: ignore[reportArgumentType]
    return any(field.name == key and "bool" in str(field.type).lower() for field in fields)


class Rule(BaseModel):
    """A rule by name, alone or in a mapping with its parameters: the fields of its class."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, setting: Any) -> Any:
        if isinstance(setting, str):
            return {"name": setting}
        if not isinstance(setting, Mapping):
            return setting
        numbers = {key: float(x) for key, x in setting.items() if type(x) is int}
        return {key: x for key, x in setting.items() if x is not None} | numbers

    @model_validator(mode="after")
    def _check_parameters(self):
        parameters = rule_parameters(self.name)
        for key, value in self.parameters.items():
            if key not in parameters:
                remedy = nearest(key, parameters) if parameters else "; remove it"
                raise ValueError(f"{self.name} takes no {key}{remedy}")
            truth = isinstance(value, bool) and not _takes_truths(self.name, key)
            if truth or isinstance(value, list | dict):
                raise ValueError(f"{key} must be a number, got {value!r:.60}")
        for key, needed in parameters.items():
            if needed and key not in self.parameters:
                raise ValueError(
                    f"{self.name} needs {key}, such as {{name: {self.name}, {key}: 0.5}}"
                )
        try:
            self.build()
        except (TypeError, ValueError) as error:
            values = ", ".join(f"{key} = {value}" for key, value in self.parameters.items())
            raise ValueError(f"{self.name} with {values}: {error}") from None
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """Arguments of the rule, by name."""
        return self.model_extra or {}

    def build(self) -> AbstractRule:
        """The rule itself."""
        return rule_maker(self.name)(**self.parameters)

    @property
    def label(self) -> str:
        """The rule in figures and tables."""
        if inspect.isclass(rule_maker(self.name)):
            return self.build().label
        return self.name.rpartition(":")[2]  # of a function


class Inputs(Strict):
    """Sources of inputs: binary, gaussian, or training_set with its number of examples."""

    kind: Literal["binary", "gaussian", "training_set"] = "binary"
    distribution: Literal["binary", "gaussian"] = "binary"
    examples: Annotated[int, Field(ge=1)] | None = None
    test_examples: Annotated[int, Field(ge=0)] = 1000

    @model_validator(mode="before")
    @classmethod
    def _by_kind(cls, setting: Any) -> Any:
        return {"kind": setting} if isinstance(setting, str) else setting

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
        """The inputs in figures and tables."""
        if self.examples is None:
            return self.kind
        return f"{self.examples} {self.distribution} examples"


class Perceptrons(Ensemble):
    """Perceptrons in a bath for a time t1."""

    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    t1: float = Field(default=20.0, gt=0, allow_inf_nan=False)

    def steps(self, dt: Any) -> int:
        """Steps of a run."""
        return count_steps(0.0, self.t1, dt, self.precision)


class OneSize(Perceptrons):
    """Perceptrons of one width, batch and step."""

    n_inputs: int = Field(default=100, ge=1)
    batch: int = Field(default=30, ge=1)
    dt: float = Field(default=0.01, gt=0, allow_inf_nan=False)


class Learning(OneSize):
    """Perceptrons that learn at one rate."""

    learning_rate: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    inputs: Inputs = Inputs()
    teachers: Literal["single", "ensemble"] = "ensemble"


class Run(Learning):
    """The run at one point, with the checks that need several of its settings."""

    rule: Rule
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


def shared(config: Learning) -> dict[str, Any]:
    """The settings of a study that its runs have too."""
    return {name: getattr(config, name) for name in Learning.model_fields}


class LearningStudy(AbstractStudy):
    """Ensembles of perceptrons that learn; the config holds the settings that the grid does not."""

    static = ("dt",)

    def setting(self, name: str, parameters: Mapping[str, Any]) -> Any:
        """A parameter of the point, or of the config."""
        return parameters[name] if name in parameters else getattr(self.config, name)

    @abc.abstractmethod
    def rule(self, parameters: Mapping[str, Any]) -> AbstractRule:
        """The rule at a point."""

    @abc.abstractmethod
    def save_every(self, n_steps: int) -> int:
        """Steps between saves of a run of `n_steps`."""

    def problem(self, parameters: Mapping[str, Any]) -> LearningProblem:
        """The learning problem at a point."""
        inputs = self.setting("inputs", parameters)
        names = ("learning_rate", "n_inputs", "stiffness", "temperature", "batch")
        drawn = inputs.kind == "training_set"
        return LearningProblem(
            self.rule(parameters),
            **{name: self.setting(name, parameters) for name in names},
            inputs=TrainingSet(self._examples(_EXAMPLES, parameters)) if drawn else inputs.kind,
        )

    def _examples(
        self, purpose: int, parameters: Mapping[str, Any]
    ) -> Float[Array, "example input"] | None:
        """The examples of the training or of the test set, None without one."""
        inputs = self.setting("inputs", parameters)
        count = (inputs.examples, inputs.test_examples)[purpose]
        if inputs.kind != "training_set" or not count:
            return None
        key = jax.random.fold_in(jax.random.key(self.config.seed), purpose)
        draw = jax.random.rademacher if inputs.distribution == "binary" else jax.random.normal
        shape = (count, self.setting("n_inputs", parameters))
        return draw(key, shape, jnp.dtype(self.config.precision))

    def point(self, ensemble, **parameters):
        dt = self.setting("dt", parameters)
        curve = learn(
            self.problem(parameters),
            Microscopic(dt),
            t1=self.config.t1,
            save_every=self.save_every(self.config.steps(dt)),
            teachers=self.setting("teachers", parameters),
            test_inputs=self._examples(_TESTS, parameters),
            **ensemble,
        )
        return _Learned(curve.light())

    def heat_rate_bias(self, parameters: Mapping[str, Any], entry: "xarray.Dataset") -> float:
        """Heat per weight and time that a jump of F loses to the step, over the last half."""
        problem = self.problem(parameters)
        dtype = jnp.dtype(self.config.precision)
        n_inputs = self.setting("n_inputs", parameters)
        loss = float(jump_loss(problem, n_inputs, self.setting("dt", parameters), dtype))
        late = entry.norm.where(entry.time >= entry.time[-1] / 2, drop=True)
        return loss * float((late**-0.5).mean()) if loss else 0.0

    def check(self, results):
        finite = [
            (float(entry.scale_separation.max()), label, parameters)
            for label, parameters, entry in self.points(results)
            if float(entry.diverged) == 0
        ]
        if finite:
            separation, label, parameters = max(finite, key=lambda point: point[0])
            warn_of_separation(separation, self.setting("dt", parameters), f"at {label}: ")
        lost = [(label, entry) for label, _, entry in self.points(results) if entry.diverged > 0]
        if lost:
            label, entry = lost[0]
            good = entry.error.notnull()
            last = float(entry.time[good][-1]) if good.any() else 0.0
            more = f", and at {len(lost) - 1} more" if len(lost) > 1 else ""
            raise SimulationDiverged(
                f"at {label}{more}: {100 * float(entry.diverged):.3g} % of the trajectories turned "
                f"non-finite after t = {last:g}; use a smaller dt or a rule with a steady state; "
                "all that is finite is in the store",
                results,
            )


class _Learned(eqx.Module):
    """A learning curve with two more numbers for each trajectory."""

    curve: LearningCurve

    @property
    def diverged_step(self) -> Int[Array, " trajectory"]:
        return self.curve.diverged_step

    def labelled(self) -> dict[str, Labelled]:
        times = np.asarray(self.curve.times)
        half, late = (np.searchsorted(times, x * times[-1]) for x in (0.5, 0.75))
        half, late = (min(int(i), len(times) - 2) for i in (half, late))
        heat, error = self.curve.heat, self.curve.error
        return self.curve.labelled() | {
            "dissipation_rate": Labelled(
                ("trajectory",),
                (heat[:, -1] - heat[:, half]) / (times[-1] - times[half]),
                "energy/weight/time",
                "heat per weight and time over the last half",
            ),
            "late_drift": Labelled(
                ("trajectory",),
                error[:, -1] - error[:, late],
                "",
                "change of the generalization error over the last quarter",
            ),
        }
