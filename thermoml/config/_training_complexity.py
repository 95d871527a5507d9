"""The settings of the study `training_complexity`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..numerics.checks import count_steps, divide_steps
from ._parts import check_different
from ._thermodynamics import Experiment


class TrainingComplexity(Experiment):
    """The study `training_complexity`: softmax regressions with more and more classes."""

    study: Literal["training_complexity"]
    n_trajectories: int = Field(default=1000, ge=10)
    n_classes: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)
    data_sets: int = Field(default=8, ge=2)
    n_features: int = Field(default=4, ge=1)
    n_examples: int = Field(default=200, ge=2)
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.3, gt=0, allow_inf_nan=False)
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    t1: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=15, ge=2)
    n_samples: int = Field(default=8192, ge=1000)  # of importance sampling

    @model_validator(mode="after")
    def _check_parts(self):
        divide_steps("saves", count_steps(0.0, self.t1, self.dt, self.precision), self.saves)
        check_different("n_classes", self.n_classes)
        if self.n_trajectories <= self.most_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.most_parameters} parameters of "
                f"{max(self.n_classes)} classes: entropies come from covariances"
            )
        return self

    @property
    def most_parameters(self) -> int:
        """Parameters of the model with most classes."""
        return max(map(self.n_parameters, self.n_classes))

    def n_parameters(self, n_classes: int) -> int:
        """Parameters of a model; two classes need one output."""
        return self.n_features * (n_classes if n_classes > 2 else 1)
