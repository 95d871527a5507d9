"""The study `sweep`."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, model_serializer, model_validator

from ..numerics.checks import divide_steps
from ..sweeps import Grid
from ._learning import Learning, Run, shared
from ._parts import by_name, describe, nearest


class ParameterSweep(Learning):
    """The study `sweep`: a rule over a grid of parameters."""

    study: Literal["sweep"]
    rule: Annotated[dict[str, Any], BeforeValidator(by_name)] = Field(
        default_factory=lambda: {"name": "alpha_tron"}
    )
    saves: int = Field(default=20, ge=1)
    grid: dict[str, Any]

    @model_validator(mode="after")
    def _check_grid(self):
        try:
            points = self.points
        except TypeError as error:
            raise ValueError(str(error)) from None
        beside = sorted(set(points.names) & self.model_fields_set)
        if beside:
            raise ValueError(f"{beside[0]} is in the grid, so it must not be set beside it as well")
        for name in points.names:
            if name not in SWEPT:
                raise ValueError(f"{name} cannot be in a grid{nearest(name, SWEPT)}")
        if {"rule", "alpha"} <= set(points.names):
            raise ValueError(
                "alpha and rule cannot both be in a grid; give each rule its own, such as "
                "{name: alpha_tron, alpha: 0.5}"
            )
        self._check_points(points)
        return self

    def _check_points(self, points: Grid) -> None:
        """ValueError that names the first point that cannot be run, or axes that do not agree."""
        runs = []
        for index in np.ndindex(points.shape):
            try:
                runs.append(self.run_at(points.point(index)))
            except (TypeError, ValueError) as error:
                wrong = isinstance(error, ValidationError)
                message = describe(error.errors(), Run) if wrong else error
                raise ValueError(f"at {points.label(index)}: {message}") from None
        for name in {"rule", "inputs"} & set(points.names):
            labels = {getattr(run, name).label for run in runs}
            count = next(len(axis[name]) for axis in points.axes if name in axis)
            if len(labels) < count:
                raise ValueError(f"{name} must have different values, got only {sorted(labels)}")
        sets = [run.inputs for run in runs]
        if len({(x.examples is None, bool(x.examples and x.test_examples)) for x in sets}) > 1:
            raise ValueError("inputs must have training and test errors at all points or at none")

    @model_serializer(mode="wrap")
    def _without_grid(self, dump: Any) -> dict[str, Any]:
        """What the grid sets is not set beside it, also when the config is read back."""
        return {name: value for name, value in dump(self).items() if name not in self.points.names}

    @property
    def points(self) -> Grid:
        """The grid, values as they stand in the file."""
        grid = Grid()
        for name, given in self.grid.items():
            if name == "zip":
                for zipped in given if isinstance(given, list) else [given]:
                    if not isinstance(zipped, dict):
                        raise ValueError(f"zip must hold parameters and values, got {zipped!r:.60}")
                    grid = grid * Grid.zip(**zipped)
            else:
                grid = grid * Grid(**{name: given})
        if not grid.axes:
            raise ValueError("grid must have at least one parameter, such as alpha: [0, 0.5]")
        return grid

    def run_at(self, point: dict[str, Any]) -> Run:
        """The checked settings of one point."""
        settings: dict[str, Any] = shared(self) | {"rule": self.rule} | point
        if "alpha" in settings:
            settings["rule"] = self.rule | {"alpha": settings.pop("alpha")}
        save_every = divide_steps("saves", self.steps(settings["dt"]), self.saves)
        return Run.model_validate(settings | {"save_every": save_every})


# What may be in a grid; t1 and n_trajectories give every point the same axes.
SWEPT = (
    "alpha",
    "batch",
    "dt",
    "inputs",
    "learning_rate",
    "n_inputs",
    "rule",
    "stiffness",
    "teachers",
    "temperature",
)
