"""The settings of the study `training_engine`."""

from typing import Literal

from pydantic import Field, model_validator

from ._numbers import Positive
from ._thermodynamics import Experiment

Refresh = Literal["none", "loose", "tight"]
Model = Literal["linear", "network"]


class TrainingEngine(Experiment):
    """The study `training_engine`: training, refresh and training anew as a Stirling engine."""

    study: Literal["training_engine"]
    n_trajectories: int = Field(default=1000, ge=10)
    precision: Literal["float32", "float64"] = "float32"
    model: list[Model] = Field(default_factory=lambda: ["linear", "network"], min_length=1)
    refresh: list[Refresh] = Field(default_factory=lambda: ["none", "loose", "tight"], min_length=1)
    n_features: int = Field(default=2, ge=1)
    n_examples: int = Field(default=50, ge=2)
    hidden: int = Field(default=3, ge=1)
    label_noise: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    drift: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    compression: float = Field(default=4.0, gt=1, allow_inf_nan=False)
    cold: float = Field(default=0.2, gt=0, allow_inf_nan=False)
    hot: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    duration: Positive
    isochore: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    rounds: int = Field(default=4, ge=1)
    settle: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _check_parts(self):
        self.check_divides(self.isochore, *self.duration)
        for name in ("model", "refresh", "duration"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name} must differ from one another, got {given}")
        if self.hot <= self.cold:
            raise ValueError(f"hot must be above cold = {self.cold:g}, got {self.hot:g}")
        return self
