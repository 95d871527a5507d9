"""Settings of learning perceptrons, which every study of them takes."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..numerics.checks import count_saves, count_steps
from ..perceptron import check_step_size
from ._ensemble import Ensemble
from ._parts import Inputs, Rule, by_kind, by_name


class Perceptrons(Ensemble):
    """Perceptrons in a bath for some time."""

    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    t1: float = Field(default=20.0, gt=0, allow_inf_nan=False)

    def steps(self, dt: float) -> int:
        """Steps of a run."""
        return count_steps(0.0, self.t1, dt, self.precision)


class OneSize(Perceptrons):
    """An ensemble of one width, batch and step."""

    n_inputs: int = Field(default=100, ge=1)
    batch: int = Field(default=30, ge=1)
    dt: float = Field(default=0.01, gt=0, allow_inf_nan=False)


class Learning(OneSize):
    """An ensemble that learns at one rate."""

    learning_rate: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    inputs: Annotated[Inputs, BeforeValidator(by_kind)] = Inputs()
    teachers: Literal["single", "ensemble"] = "ensemble"


class Run(Learning):
    """A run at one point, with all checks that need several of its settings."""

    rule: Annotated[Rule, BeforeValidator(by_name)]
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
    """What `Run` takes of a config."""
    return {name: getattr(config, name) for name in Learning.model_fields}
