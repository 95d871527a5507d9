"""Error and dissipation of a rule over any grid of parameters."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, model_serializer, model_validator

from ...config import first_mistake
from ...numerics.checks import divide_steps
from ...numerics.choices import nearest
from ...numerics.tables import table_text
from ...plots import MARKERS, caption, error_bars, legend_beside, line_style, new_figure, plain_text
from ...sweeps import Grid
from .._table import error_text, measured, sample_text, stored
from ._learning import Learning, LearningStudy, Run, rule_maker, rule_parameters, shared

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

# Settings that may be in a grid, as parameters of the rule may; t1, n_trajectories and saves give
# every point the same axes.
SWEPT = (
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
_LONGEST_TABLE = 60
_COLUMNS = {"error": "error ε", "heat": "heat/N", "dissipation_rate": "dissipation rate/N"}
_MOST_CURVES = 8
_SYMBOLS = {
    "alpha": r"$\alpha$",
    "learning_rate": r"learning rate $\tilde\nu$",
    "n_inputs": "$N$",
    "batch": "$B$",
    "dt": "$dt$",
    "stiffness": "stiffness $k$",
    "temperature": "temperature $T$",
}
_PANELS = {
    "error": r"final generalization error $\varepsilon$",
    "dissipation_rate": r"dissipation rate  $\dot Q/N$  [energy/time, $k_\mathrm{B}=1$]",
}


def _named(setting: Any) -> Any:
    if isinstance(setting, str):
        return {"name": setting}
    if isinstance(setting, Mapping) and isinstance(setting.get("name"), str):
        return setting
    raise ValueError(f"must be the name of a rule, or a mapping with a name, got {setting!r:.60}")


class ParameterSweep(Learning):
    """A rule and a grid, which may hold parameters of the rule."""

    rule: Annotated[dict[str, Any], BeforeValidator(_named)] = Field(
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
        for name in sorted(set(points.names) & self.model_fields_set):
            raise ValueError(f"{name} is in the grid, so it must not be set outside of it as well")
        own = {"alpha", *rule_parameters(self.rule["name"])}
        allowed = [*sorted(own), *SWEPT]
        for name in points.names:
            if name not in allowed:
                raise ValueError(f"{name} cannot be in a grid{nearest(name, allowed)}")
        for name in sorted(own & set(points.names)):
            if "rule" in points.names:
                raise ValueError(
                    f"{name} and rule cannot both be in a grid; give each rule its own, such as "
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
            except ValidationError as error:
                message = first_mistake(error, Run)
                raise ValueError(f"at {points.label(index)}: {message}") from None
            except (TypeError, ValueError) as error:
                raise ValueError(f"at {points.label(index)}: {error}") from None
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
        """Parameters of the grid are not set outside of it, also when the config is read back."""
        return {name: value for name, value in dump(self).items() if name not in self.points.names}

    @property
    def points(self) -> Grid:
        """The grid with the values of the file."""
        grid = Grid()
        for name, values in self.grid.items():
            if name == "zip":
                for zipped in values if isinstance(values, list) else [values]:
                    if not isinstance(zipped, dict):
                        raise ValueError(f"zip must hold parameters and values, got {zipped!r:.60}")
                    grid = grid * Grid.zip(**zipped)
            else:
                grid = grid * Grid(**{name: values})
        if not grid.axes:
            raise ValueError("grid must have at least one parameter, such as alpha: [0, 0.5]")
        return grid

    def run_at(self, point: Mapping[str, Any]) -> Run:
        """The checked settings of one point."""
        settings: dict[str, Any] = shared(self) | {"rule": self.rule}
        settings |= {name: value for name, value in point.items() if name in SWEPT}
        own = _of_rule(point)
        if own:
            settings["rule"] = self.rule | own
        save_every = divide_steps("saves", self.steps(settings["dt"]), self.saves)
        return Run.model_validate(settings | {"save_every": save_every})


def _of_rule(point: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a point that belong to its rule."""
    return {name: value for name, value in point.items() if name not in SWEPT}


class ParameterSweepStudy(LearningStudy):
    """One rule, or several, at every point of the config's grid."""

    config: ParameterSweep

    @property
    def grid(self):
        return self._grid

    @functools.cached_property
    def _grid(self) -> Grid:
        """The config's grid with checked values: rules built, numbers converted."""
        grid = points = self.config.points
        for place, axis in enumerate(points.axes):
            corners = [[0] * len(points.shape) for _ in range(points.shape[place])]
            for i, index in enumerate(corners):
                index[place] = i
            runs = [self.config.run_at(points.point(index)) for index in corners]
            for name in axis:
                if name == "rule":
                    values = {run.rule.label: run.rule.build() for run in runs}
                elif name == "inputs":
                    values = {run.inputs.label: run.inputs for run in runs}
                else:
                    checked = [(dict(run) | run.rule.parameters)[name] for run in runs]
                    values = dict(zip(points.labels(name), checked, strict=True))
                grid = grid.replace(name, values)
        return grid

    def rule(self, parameters):
        if "rule" in parameters:
            return parameters["rule"]
        settings = self.config.rule | _of_rule(parameters)
        return rule_maker(settings.pop("name"))(**settings)

    def save_every(self, n_steps):
        return n_steps // self.config.saves

    def summary(self, results):
        points = []
        for label, _, entry in self.points(results):
            final = entry.isel(time=-1)
            values = {name: measured(final, name) for name in _COLUMNS}
            separation = float(entry.scale_separation.max())
            points.append({"at": label, **values, "scale_separation": separation})
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "points": points,
        }

    def table(self, summary):
        rows = [["at", *_COLUMNS.values(), "scale separation"]]
        for entry in summary["points"][:_LONGEST_TABLE]:
            values = [error_text(entry[name]) for name in _COLUMNS]
            rows.append([entry["at"], *values, f"{entry['scale_separation']:.3f}"])
        hidden = len(summary["points"]) - _LONGEST_TABLE
        more = [f"… and {hidden} more points in summary.json"] if hidden > 0 else []
        sample = sample_text(summary["n_trajectories"])
        note = f"At t = {summary['t1']:g}, {sample}; k_B = 1; rates over the last half."
        return "\n".join([table_text(rows), *more, note])

    def figures(self, results):
        return _figures(results, self.grid.dims, self.config.title)


def _figures(results: "xarray.Dataset", dims: Sequence[str], title: str) -> "dict[str, Figure]":
    """Error and dissipation against the longest axis of numbers, a curve for each value of another.

    With further axes, one figure for each combination of their values.
    """
    horizontal = _horizontal(results, dims)
    rest = [dim for dim in dims if dim != horizontal]
    # Of the other axes the longest that a legend can hold makes the curves.
    curves = max(
        (dim for dim in rest if results.sizes[dim] <= _MOST_CURVES),
        key=lambda dim: results.sizes[dim],
        default=None,
    )
    others = [dim for dim in rest if dim != curves]
    final = results.isel(time=-1)
    figures = {}
    for index in np.ndindex(*(results.sizes[dim] for dim in others)):
        part = final.isel(dict(zip(others, index, strict=True)))
        where = ", ".join(f"{_symbol(dim)} = {_value(part[dim])}" for dim in others)
        words = "\n".join(line for line in (title, where) if line)
        name = "_".join(["error_and_dissipation", *(f"{i}" for i in index)])
        figures[name] = _panels(part, horizontal, curves, words)
    return figures


def _horizontal(results: "xarray.Dataset", dims: Sequence[str]) -> str:
    numbers = [dim for dim in dims if results[dim].dtype.kind in "if"] or list(dims)
    return max(numbers, key=lambda dim: results.sizes[dim])


def _symbol(dim: str) -> str:
    return _SYMBOLS.get(dim, dim.replace("_", " "))


def _value(coordinate: "xarray.DataArray") -> str:
    value = coordinate.item()
    return f"{value:g}" if isinstance(value, int | float) else plain_text(str(value))


def _panels(final: "xarray.Dataset", horizontal: str, curves: str | None, title: str) -> "Figure":
    figure, axes = new_figure(10.2, 4.4, columns=2)
    entries = [(final, None)]
    if curves is not None:
        entries = [(final.isel({curves: i}), i) for i in range(final.sizes[curves])]
    positions = final[horizontal].values
    named = positions.dtype.kind not in "if"
    ticks = np.arange(len(positions)) if named else positions
    for ax, (name, words) in zip(axes, _PANELS.items(), strict=True):
        for entry, i in entries:
            symbol, index = _symbol(str(curves)).split()[-1], i or 0
            line = line_style(index) | {"linewidth": 1.3}
            error_bars(
                ax,
                ticks,
                stored(entry, name),
                index,
                fmt="",
                marker=MARKERS[index % len(MARKERS)],
                label=None if i is None else f"{symbol} = {_value(entry[curves])}",
                **line | ({"linestyle": "none"} if named else {}),
            )
        if named:
            ax.set_xticks(ticks, [plain_text(str(p)) for p in positions], rotation=25, ha="right")
        ax.set_xlabel(_symbol(horizontal))
        ax.set_ylabel(words)
        if _spans_decades(final[name].values):
            ax.set_yscale("log")
        if not named and _even_in_log(positions):
            ax.set_xscale("log")
    errors = final.error_standard_error.values
    words = "bars: 2 standard errors" if np.isfinite(errors).any() else "one trajectory each"
    caption(axes[0], title, words)
    if curves is not None:
        legend_beside(axes[1])
    return figure


def _spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > 30 * finite.min())


def _even_in_log(positions: np.ndarray) -> bool:
    """Whether positive numbers are spaced more evenly on a log scale than on a linear one."""
    if len(positions) < 3 or (positions <= 0).any():
        return False
    steps, ratios = np.diff(positions), np.diff(np.log(positions))
    return bool(np.ptp(ratios) / abs(ratios).mean() < np.ptp(steps) / abs(steps).mean())
