"""Error and dissipation of the α-tron at rest against α, measured and predicted."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from ...config import Numbers, Positive
from ...numerics.tables import table_text
from ...plots import caption, error_bars, legend_beside, line_style, new_figure
from ...sweeps import Grid
from .._table import compared, error_text, sample_text, stored
from ._at_rest import DISSIPATION, ERROR, MEASURED, OneLevel, RestStudy, check_family
from ._learning import rule_maker

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class AlphaSweep(OneLevel):
    """Values of α and learning rates; `rule` is a rule whose only parameter is alpha."""

    rule: str = "alpha_tron"
    alpha: Numbers
    learning_rate: Positive = Field(default_factory=lambda: [1.0])

    @model_validator(mode="after")
    def _check_alpha(self):
        check_family(self.rule, self.alpha)
        return self


class AlphaSweepStudy(RestStudy):
    """α along one axis, the learning rate along the other."""

    config: AlphaSweep

    @property
    def grid(self):
        return Grid(learning_rate=self.config.learning_rate, alpha=self.config.alpha)

    def point(self, ensemble, *, alpha, learning_rate):
        config = self.config
        problem = self.problem(rule_maker(config.rule)(alpha), learning_rate)
        measurement = self.measure(problem, ensemble, dt=config.dt, level=config.level)
        return measurement | self.predict(problem, dt=config.dt)

    def summary(self, results):
        points = [
            parameters
            | {
                name: compared(entry, name) | {"limit": float(entry[f"limit_{name}"])}
                for name in ("error", "dissipation")
            }
            | {"scale_separation": float(entry.scale_separation)}
            for _, parameters, entry in self.points(results)
        ]
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["learning rate", "α", "error ε", "predicted", "dissipation", "predicted", "separation"]
        ]
        for entry in summary["points"]:
            row = [f"{entry['learning_rate']:g}", f"{entry['alpha']:g}"]
            for name in ("error", "dissipation"):
                row += [error_text(entry[name]), f"{entry[name]['predicted']:.5g}"]
            rows.append([*row, f"{entry['scale_separation']:.3f}"])
        return f"{table_text(rows)}\nAt rest, {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        return {"error_and_dissipation": _figure(results, self.config.title)}


def _figure(results: "xarray.Dataset", title: str) -> "Figure":
    """Error and dissipation against α, a colour for each learning rate."""
    figure, axes = new_figure(10.6, 4.4, columns=2)
    alphas = results.alpha.values
    for ax, (name, words) in zip(
        axes, {"error": ERROR, "dissipation": DISSIPATION}.items(), strict=True
    ):
        for index, rate in enumerate(results.learning_rate.values):
            entry = results.sel(learning_rate=rate)
            color = line_style(index)["color"]
            ax.plot(alphas, entry[f"predicted_{name}"].values, color=color, linewidth=1.4)
            ax.plot(alphas, entry[f"limit_{name}"].values, ":", color=color, linewidth=1.1)
            label = rf"$\tilde\nu$ = {rate:g}"
            error_bars(ax, alphas, stored(entry, name), index, label=label)
        ax.set_xlabel(r"$\alpha$")
        ax.set_ylabel(words)
    finite = results.dissipation.values[np.isfinite(results.dissipation.values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes[1].set_yscale("log")
    caption(axes[0], title, f"{MEASURED}; dotted: $N\\to\\infty$, $dt\\to 0$")
    legend_beside(axes[1])
    return figure
