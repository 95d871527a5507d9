"""The settings of the study `training_engine`."""

from typing import Literal

from pydantic import Field, model_validator

from ._parts import check_different
from ._thermodynamics import StirlingEngine

Refresh = Literal["none", "loose", "tight"]
Model = Literal["linear", "network"]


class TrainingEngine(StirlingEngine):
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

    @model_validator(mode="after")
    def _check_lists(self):
        for name in ("model", "refresh", "duration"):
            check_different(name, getattr(self, name))
        return self
