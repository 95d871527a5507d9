"""Figure of the study `tune_alpha`."""

from typing import TYPE_CHECKING

import numpy as np

from ._style import MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def gradients_and_optima(results: "xarray.Dataset", title: str) -> "Figure":
    """The error and its derivative against α at each level, and the α that tuning found."""
    figure, (left, right) = new_figure(11.6, 4.4, columns=2)
    alphas = results.alpha.values
    apart = np.ptp(alphas) * 0.006
    for index, way in enumerate(results.way.values):
        entry = results.sel(way=way)
        style = line_style(index)
        marker = MARKERS[index % len(MARKERS)]
        exact = not (entry.error_standard_error.values > 1e-12).any()
        shift = 0 if exact else apart * (index - 1)
        for ax, name in ((left, "error"), (right, "slope")):
            ax.errorbar(
                alphas + shift,
                entry[name].values,
                yerr=2 * np.nan_to_num(entry[f"{name}_standard_error"].values),
                fmt=f"{marker}-" if exact else marker,
                color=style["color"],
                linewidth=1.3,
                markersize=4,
                capsize=2.5,
                label=str(way),
            )
        found = entry.best_alpha.values
        if np.isfinite(found).any():
            left.plot(
                found,
                entry.best_error.values,
                "*",
                color=style["color"],
                markeredgecolor="black",
                markersize=10,
                zorder=5,
            )
    right.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"generalization error $\varepsilon$ at the end")
    right.set_ylabel(r"$\mathrm{d}\varepsilon/\mathrm{d}\alpha$ at fixed dissipation")
    for ax in (left, right):
        ax.set_xlabel(r"$\alpha$")
        ax.locator_params(axis="x", nbins=6)
    caption(left, title, "bars: 2 standard errors; stars: where tuning ended")
    legend_beside(right)
    return figure
