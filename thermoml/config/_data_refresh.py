"""The settings of the study `data_refresh`."""

from typing import Literal

from pydantic import Field, model_validator

from ._ensemble import Kept
from ._numbers import Numbers
from ._real_data import RealData


class DataRefresh(Kept):
    """The study `data_refresh`: a trained model is given new data, many times.

    The trajectories are refreshes, each with old and new examples of its own from separate halves
    of the data.
    """

    study: Literal["data_refresh"]
    n_trajectories: int = Field(default=200, ge=10)
    refresh: Literal["covariate_shift", "new_class"]
    data: RealData
    feature: str | None = None
    strength: Numbers
    n_examples: int = Field(default=150, ge=2)
    bath_temperature: float = Field(default=0.01, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_parts(self):
        if 0 not in self.strength:
            raise ValueError(
                "strength must hold 0, the refresh without a change that the others are told from"
            )
        most = 1.0 if self.refresh == "new_class" else float("inf")
        for value in self.strength:
            if not 0 <= value <= most:
                raise ValueError(f"strength must lie in [0, {most:g}], got {value:g}")
        if self.refresh == "new_class" and self.data.n_classes < 3:
            raise ValueError(
                "new_class needs data of at least 3 classes, the last of which is new, got "
                f"{self.data.n_classes}"
            )
        if (self.refresh == "covariate_shift") != (self.feature is not None):
            raise ValueError(
                "feature must name what covariate_shift is along"
                if self.feature is None
                else "feature belongs to covariate_shift; leave it out"
            )
        if self.data.components is not None and self.feature is not None:
            raise ValueError("feature has no name among components; leave components out")
        if self.feature is not None:
            names = self.data.load().feature_names
            if self.feature not in names:
                raise ValueError(f"feature must be one of {', '.join(names)}, got {self.feature}")
        return self
