"""The figure of the study `training_engine`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._style import MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHEN = {
    "none": "data stay",
    "loose": "new data while the loss is scaled down",
    "tight": "new data while the loss is scaled up",
}


def training_engines(summary: Mapping[str, Any], title: str) -> "Figure":
    """Work gained and efficiency against the duration of strokes, a column for each model."""
    points = summary["points"]
    models = list(dict.fromkeys(entry["model"] for entry in points))
    figure, axes = new_figure(4.6 * len(models) + 3.4, 7.2, columns=len(models), rows=2)
    above, below = axes[: len(models)], axes[len(models) :]
    for j, model in enumerate(models):
        own = [entry for entry in points if entry["model"] == model]
        for i, refresh in enumerate(dict.fromkeys(entry["refresh"] for entry in own)):
            some = [entry for entry in own if entry["refresh"] == refresh]
            works = [(e["duration"], -e["work"]["mean"], e["work"]["standard_error"]) for e in some]
            ratios = [
                (e["duration"], e["efficiency"]["mean"], e["efficiency"]["standard_error"])
                for e in some
                if e["efficiency"]["mean"] is not None
            ]
            style = line_style(i)
            for ax, measured in ((above[j], works), (below[j], ratios)):
                if measured:
                    x, mean, error = zip(*measured, strict=True)
                    ax.errorbar(
                        x,
                        mean,
                        yerr=[2 * value for value in error],
                        fmt=MARKERS[i] if model == "linear" else MARKERS[i] + "-",
                        color=style["color"],
                        markersize=5,
                        capsize=2,
                        linewidth=1,
                        label=_WHEN[refresh],
                    )
            if model == "linear":
                x = [entry["duration"] for entry in some]
                gained = [-entry["work"]["predicted"] for entry in some]
                above[j].plot(x, gained, **style)
                known = [(a, e["efficiency"]["predicted"]) for a, e in zip(x, some, strict=True)]
                known = [both for both in known if both[1] is not None]
                if known:
                    below[j].plot(*zip(*known, strict=True), **style)
        if model == "linear":
            slow = summary["quasi_static"]
            above[j].axhline(-slow["work"], color="0.3", linewidth=1, linestyle=":")
            below[j].axhline(slow["efficiency"], color="0.3", linewidth=1, linestyle=":")
        above[j].axhline(0, color="0.3", linewidth=1)
        below[j].axhline(summary["carnot"], color="0.3", linewidth=1, label="Carnot")
        below[j].set_ylim(0, 1.08 * summary["carnot"])
        for ax in (above[j], below[j]):
            ax.set_xscale("log")
            ax.set_xlabel(r"duration of an isothermal stroke  [1/mobility/energy]")
        below[j].set_xlim(above[j].get_xlim())
        above[j].set_ylabel("work gained in a round  [energy]")
        below[j].set_ylabel(r"efficiency $-W/Q_\mathrm{in}$")
        words = f"{model}; bars: 2 standard errors"
        words += "; lines: exact; dotted: data stay, quasi-static" if model == "linear" else ""
        caption(above[j], title if j == 0 else "", words)
    legend_beside(above[-1])
    legend_beside(below[-1])
    return figure
