"""Settings that every study takes."""

from typing import Literal

from pydantic import Field, model_validator

from ..sweeps import parse_size
from ._strict import Strict


class Ensemble(Strict):
    """Trajectories at each point of a grid, and how they are computed and kept."""

    title: str = ""
    n_trajectories: int = Field(default=1000, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    precision: Literal["float32", "float64"] = "float32"
    trajectories: bool = False
    memory: int | str = "1GB"
    per_unit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_memory(self):
        parse_size(self.memory)
        return self


class Kept(Ensemble):
    """Trajectories each of which is kept: distributions and ratios of means need them."""

    precision: Literal["float32", "float64"] = "float64"
    trajectories: bool = True

    @model_validator(mode="after")
    def _check_kept(self):
        if not self.trajectories:
            raise ValueError("trajectories must stay true: this study needs every single one")
        return self
