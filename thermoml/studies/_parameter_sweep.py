"""The study `sweep`: error and dissipation over a grid of parameters."""

import functools

from ..config import RULES, ParameterSweep
from ..numerics.statistics import text_with_error
from ..plots import error_and_dissipation
from ..sweeps import Grid
from ._learning import LearningStudy
from ._table import sample_text, table_text

_LONGEST_TABLE = 60
_SHOWN = {"error": "error ε", "heat": "heat/N", "dissipation_rate": "dissipation rate/N"}


class ParameterSweepStudy(LearningStudy):
    """One rule, or several, at every point of the config's grid."""

    config: ParameterSweep

    @property
    def grid(self):
        return self._grid

    @functools.cached_property
    def _grid(self) -> Grid:
        """The config's grid with values as they were checked: rules built, numbers converted."""
        grid = points = self.config.points
        for place, axis in enumerate(points.axes):
            at = [[0] * len(points.shape) for _ in range(points.shape[place])]
            for i, index in enumerate(at):
                index[place] = i
            runs = [self.config.run_at(points.point(index)) for index in at]
            for name in axis:
                if name == "rule":
                    values = {run.rule.label: run.rule.build() for run in runs}
                elif name == "inputs":
                    values = {run.inputs.label: run.inputs for run in runs}
                else:
                    found = [getattr(run.rule if name == "alpha" else run, name) for run in runs]
                    values = dict(zip(points.labels(name), found, strict=True))
                grid = grid.replace(name, values)
        return grid

    def rule(self, parameters):
        if "rule" in parameters:
            return parameters["rule"]
        alpha = parameters.get("alpha", self.config.rule.get("alpha"))
        return RULES[self.config.rule["name"]](*(() if alpha is None else (alpha,)))

    def save_every(self, n_steps):
        return n_steps // self.config.saves

    def summary(self, results):
        found = []
        for label, _, entry in self.points(results):
            final = entry.isel(time=-1)
            numbers = {
                name: {
                    "mean": float(final[name]),
                    "standard_error": float(final[f"{name}_standard_error"]),
                }
                for name in _SHOWN
            }
            separation = float(entry.scale_separation.max())
            found.append({"at": label, **numbers, "scale_separation": separation})
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "points": found,
        }

    def table(self, summary):
        rows = [["at", *_SHOWN.values(), "scale separation"]]
        for entry in summary["points"][:_LONGEST_TABLE]:
            numbers = [text_with_error(**entry[name]) for name in _SHOWN]
            rows.append([entry["at"], *numbers, f"{entry['scale_separation']:.3f}"])
        hidden = len(summary["points"]) - _LONGEST_TABLE
        more = [f"… and {hidden} more points in summary.json"] if hidden > 0 else []
        sample = sample_text(summary["n_trajectories"])
        note = f"At t = {summary['t1']:g}, {sample}; k_B = 1; rates over the last half."
        return "\n".join([table_text(rows), *more, note])

    def figures(self, results):
        return error_and_dissipation(results, self.grid.dims, self.config.title)
