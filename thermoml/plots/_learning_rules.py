"""Figures of the study `learning_rules`."""

from typing import TYPE_CHECKING

import numpy as np

from ._style import MARKERS, band, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _curves(ax: "Axes", results: "xarray.Dataset", name: str) -> None:
    for index, rule in enumerate(results.rule.values):
        entry = results.sel(rule=rule)
        error = entry[f"{name}_standard_error"].values
        band(ax, results.time.values, entry[name].values, error, index, str(rule))
    ax.set_xlabel(r"time $t$  [$1/\mu k$]")
    ax.set_xlim(results.time.values[0], results.time.values[-1])


def _caption(results: "xarray.Dataset") -> str:
    shown = results.error_standard_error.isel(time=-1).values
    return "bands: mean ± 2 standard errors" if np.isfinite(shown).any() else "one trajectory each"


def learning_curves(results: "xarray.Dataset", title: str, hebbian_limit: float | None) -> "Figure":
    """Generalization error against time, with error bands; the exact Hebbian limit as a line."""
    figure, (ax,) = new_figure(7.2, 4.4)
    _curves(ax, results, "error")
    if hebbian_limit is not None:
        ax.axhline(
            hebbian_limit,
            color="0.35",
            linewidth=1,
            linestyle=":",
            label=r"Hebbian, exact: $t, N\to\infty$, $dt\to 0$",
        )
    ax.set_ylabel(r"generalization error $\varepsilon$")
    ax.set_ylim(top=min(1.0, float(results.error.max()) * 1.03))
    caption(ax, title, _caption(results))
    legend_beside(ax)
    return figure


def heat_and_energy(results: "xarray.Dataset", title: str) -> "Figure":
    """Heat into the bath, and energy, per weight against time."""
    figure, (left, right) = new_figure(9.6, 4.2, columns=2)
    _curves(left, results, "heat")
    left.set_ylabel(r"heat into the bath  $Q/N$  [energy, $k_\mathrm{B}=1$]")
    _curves(right, results, "energy")
    right.set_ylabel(r"energy  $k|w|^2/2N$  [energy, $k_\mathrm{B}=1$]")
    legend_beside(right)
    caption(left, title, _caption(results))
    return figure


def error_against_dissipation(results: "xarray.Dataset", title: str) -> "Figure":
    """What a final error costs: error against dissipation rate, bars of 2 standard errors."""
    figure, (ax,) = new_figure(6.4, 4.2)
    final = results.isel(time=-1)
    for index, rule in enumerate(results.rule.values):
        entry = final.sel(rule=rule)
        ax.errorbar(
            entry.dissipation_rate,
            entry.error,
            xerr=2 * np.nan_to_num(entry.dissipation_rate_standard_error),
            yerr=2 * np.nan_to_num(entry.error_standard_error),
            fmt=MARKERS[index % len(MARKERS)],
            color=line_style(index)["color"],
            markersize=5,
            capsize=3,
            label=str(rule),
        )
    ax.set_xlabel(r"dissipation rate  $\dot Q/N$  [energy/time, $k_\mathrm{B}=1$]")
    ax.set_ylabel(r"final generalization error $\varepsilon$")
    ax.margins(0.12)
    ax.set_title(title, fontsize=11, loc="left")
    ax.legend(frameon=False, fontsize=9)
    return figure
