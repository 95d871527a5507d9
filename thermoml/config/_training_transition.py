"""The settings of the study `training_transition`."""

from typing import Literal

from pydantic import Field, model_validator

from ..numerics.checks import count_steps, divide_steps
from ._numbers import Positive
from ._thermodynamics import Experiment


class TrainingTransition(Experiment):
    """The study `training_transition`: a linear model on its way to the trained state."""

    study: Literal["training_transition"]
    n_parameters: int = Field(default=4, ge=1)
    n_examples: int = Field(default=40, ge=2)
    condition: float = Field(default=1.0, ge=1, allow_inf_nan=False)
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    initial_std: Positive
    t1: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=32, ge=2)
    prior_stiffness: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    capacity_at: Positive

    @model_validator(mode="after")
    def _check_parts(self):
        steps = count_steps(0.0, self.t1, self.dt, self.precision)
        divide_steps("saves", steps, self.saves)

        if self.n_examples <= self.n_parameters:
            raise ValueError(
                f"n_examples must exceed the {self.n_parameters} parameters, got {self.n_examples}:"
                " without a prior there would be no trained state"
            )
        if self.n_trajectories <= self.n_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.n_parameters} parameters: entropies come "
                "from covariances"
            )
        return self
