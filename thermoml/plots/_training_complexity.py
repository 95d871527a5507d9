"""The figure of the study `training_complexity`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import COLOURS, MARKERS, caption, legend_beside, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def temperature_of_classes(
    paths: Sequence[Mapping[str, Any]],
    ends: Mapping[int, Mapping[str, Any]],
    bath_temperature: float,
    title: str,
) -> "Figure":
    """T against the length of training, and heat against entropy drop, by number of classes."""
    figure, (left, right) = new_figure(11.6, 4.4, columns=2)
    for i, path in enumerate(paths):
        color, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        hot = path["temperature"]
        known = np.asarray([entry["mean"] is not None for entry in hot])
        mean, error = (
            np.asarray([entry[which] for entry in hot if entry["mean"] is not None])
            for which in ("mean", "standard_error")
        )
        style = {"color": color, "fmt": marker, "markersize": 4, "capsize": 2}
        left.errorbar(path["times"][known], mean, yerr=2 * error, linestyle="-", lw=0.8, **style)
        end = ends[path["n_classes"]]
        if end["mean"] is not None:
            left.axhline(end["mean"], color=color, linestyle=":", linewidth=1.2)
        size = path["n_parameters"]
        count = path["heat"].shape[0] ** 0.5
        right.errorbar(
            path["entropy_drop"].mean(axis=0) / size,
            path["heat"].mean(axis=0) / size,
            xerr=2 * path["entropy_drop"].std(axis=0, ddof=1) / count / size,
            yerr=2 * path["heat"].std(axis=0, ddof=1) / count / size,
            linestyle="-",
            lw=0.8,
            label=f"{path['n_classes']} classes",
            **style,
        )
    left.axhline(bath_temperature, color="0.3", linewidth=1)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("length of training $t$  [1/mobility/energy]")
    left.set_ylabel(r"$T=\Delta Q/\Delta S$ so far  [energy]")
    caption(left, title, r"bars: 2 standard errors; dotted: $t\to\infty$; grey: the bath")
    right.set_xlabel(r"entropy drop so far $\Delta S/d$  [nat for each parameter]")
    right.set_ylabel(r"heat so far $\Delta Q/d$  [energy for each parameter]")
    caption(right, "", "times as on the left; the slope from the origin is $T$")
    legend_beside(right)
    return figure
