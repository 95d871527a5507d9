"""The studies `data_temperature` and `real_data_temperature`: how hot it is to learn from data."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ._ensemble import Kept
from ._numbers import Numbers, Positive
from ._parts import check_different, describe, nearest
from ._real_data import RealData
from ._strict import Strict


class SyntheticSetting(Strict):
    """A law of synthetic regression data, and how a linear model is trained on them.

    The teacher's weights are standard normal numbers and the variances of the features 1 on
    average, so that `initial_std` is in units of the teacher's weights.
    """

    n_parameters: int = Field(default=20, ge=2)
    aspect_ratio: float = Field(default=0.2, gt=0, lt=1)  # parameters for each example
    anisotropy: float = Field(default=1.0, ge=1, allow_inf_nan=False)  # largest/smallest variance
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)  # over the signal's
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.05, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_size(self):
        if self.n_examples <= self.n_parameters:
            raise ValueError(
                f"aspect_ratio must leave more examples than the {self.n_parameters} parameters, "
                f"got {self.aspect_ratio:g}, which leaves {self.n_examples}"
            )
        return self

    @property
    def n_examples(self) -> int:
        """n = d/c, rounded."""
        return round(self.n_parameters / self.aspect_ratio)


KNOBS = tuple(SyntheticSetting.model_fields)


def _by_knob(given: Any) -> Any:
    if not isinstance(given, Mapping) or not given:
        raise ValueError(
            "must be a mapping from settings to their values, such as {label_noise: [0, 1]}, got "
            f"{given!r:.60}"
        )
    for name in given:
        if name not in KNOBS:
            raise ValueError(f"there is no setting {name} to vary{nearest(name, KNOBS)}")
    return given


class DataTemperature(SyntheticSetting, Kept):
    """The study `data_temperature`: one setting varied at a time, over many data sets.

    The trajectories are data sets.
    """

    study: Literal["data_temperature"]
    n_trajectories: int = Field(default=400, ge=10)
    vary: Annotated[dict[str, Numbers], BeforeValidator(_by_knob)]

    @model_validator(mode="after")
    def _check_varied(self):
        for name, values in self.vary.items():
            for value in values:
                self.varied(name, value)
        return self

    def varied(self, name: str, value: float) -> SyntheticSetting:
        """The config's setting with one number changed.

        Raises:
            ValueError: the setting does not take this value.
        """
        base = {knob: getattr(self, knob) for knob in KNOBS}
        try:
            return SyntheticSetting.model_validate(base | {name: value})
        except ValidationError as error:
            told = describe(error.errors(), SyntheticSetting)
            raise ValueError(f"vary.{name}: {told}") from None


class RealDataTemperature(Kept):
    """The study `real_data_temperature`: data sets at several bath temperatures.

    The trajectories are resamples of the examples (bootstrap), for the standard errors.
    """

    study: Literal["real_data_temperature"]
    n_trajectories: int = Field(default=16, ge=4)
    data: list[RealData] = Field(min_length=1)
    bath_temperature: Positive
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    n_samples: int = Field(default=8192, ge=1000)  # of importance sampling

    @model_validator(mode="after")
    def _check_data(self):
        check_different("data", [entry.label for entry in self.data])
        return self
