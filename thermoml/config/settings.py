"""Settings that every study takes, and types of settings: lists of numbers, ensembles."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from ..sweeps import Grid, parse_size


class Strict(BaseModel):
    """Base of all schemas: unknown keys are mistakes, and checked settings cannot change.

    True and false are no numbers: only fields that may be `bool` take them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truths(cls, value: Any, info: Any) -> Any:
        field = cls.model_fields[str(info.field_name)]
        if "bool" not in str(field.annotation):
            entries = value if isinstance(value, list) else [value]
            truths = [entry for entry in entries if isinstance(entry, bool)]
            if truths:
                word = str(truths[0]).lower()
                raise ValueError(f"must not be a truth value, got {word}; write a number or a word")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_large(cls, value: Any, info: Any) -> Any:
        """Counts fix the shapes of arrays, whose indices have 32 bits."""
        if info.field_name not in ("memory", "seed"):
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, int) and entry >= 2**31:
                    raise ValueError(f"must be below 2**31, got {entry!s:.40}")
        return value


class Ensemble(Strict):
    """Base of every study's settings: how many trajectories, how they are computed and kept.

    Attributes:
        study: name of a shipped study, or `module:Class`, or `path/to/file.py:Class`.
        title: above the figures.
        n_trajectories: at each point of the grid.
        seed: of the random key.
        precision: of the computation.
        trajectories: whether single trajectories are kept in the store.
        memory: limit of a work unit, such as "500MB".
        per_unit: trajectories of a work unit; None for the platform's default.
    """

    study: str
    title: str = ""
    n_trajectories: int = Field(default=1000, ge=1, lt=2**31)
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
    """Ensembles of which every trajectory is kept, for distributions and ratios of means."""

    precision: Literal["float32", "float64"] = "float64"
    trajectories: bool = True

    @model_validator(mode="after")
    def _check_kept(self):
        if not self.trajectories:
            raise ValueError("trajectories must stay true: this study needs every single one")
        return self


def _expanded(numbers: Any) -> list[float]:
    """A number, a list, or a range as in the grid of a sweep, as a list."""
    if isinstance(numbers, int | float):
        return [numbers]
    try:
        values = Grid(it=numbers).axes[0]["it"]
    except (TypeError, ValueError) as error:
        raise ValueError(re.sub("^it:? ", "", str(error))) from None
    try:
        return [float(x) for x in values]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"must be numbers, got {values!r:.60}") from None


# Lists of finite numbers: written out, as one number, or as {linear: [start, stop, count]}
Numbers = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    BeforeValidator(_expanded),
    Field(min_length=1),
]
Positive = Annotated[
    list[Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    BeforeValidator(_expanded),
    Field(min_length=1),
]
