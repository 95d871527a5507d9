"""Figures of the study `data_refresh`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import COLOURS, MARKERS, caption, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WORDS = {
    "entropy_production": r"entropy production $\Sigma$",
    "work": "work",
    "loss_increase": "loss",
    "temperature": r"temperature $T$",
}


def _points(ax: Any, x: Any, entries: Sequence[Mapping[str, Any]], index: int, label: str) -> None:
    kept = [i for i, entry in enumerate(entries) if entry["mean"] is not None]
    ax.errorbar(
        np.asarray(x)[kept],
        [entries[i]["mean"] for i in kept],
        yerr=[2 * entries[i]["standard_error"] for i in kept],
        marker=MARKERS[index],
        color=COLOURS[index],
        markersize=4.5,
        linewidth=1.4,
        capsize=2.5,
        label=label,
    )


def refresh_indicators(points: Sequence[Mapping[str, Any]], bath: float, title: str) -> "Figure":
    """What a refresh costs against its strength, and which number tells it first."""
    figure, (left, middle, right) = new_figure(12.6, 4.0, columns=3)
    strengths = [entry["strength"] for entry in points]

    def over_bath(name):
        return [{key: value / bath for key, value in entry[name].items()} for entry in points]

    _points(left, strengths, over_bath("heat"), 0, r"heat $\Delta Q/\tau$")
    _points(left, strengths, [e["entropy_drop"] for e in points], 1, r"entropy drop $\Delta S$")
    _points(
        left,
        strengths,
        [e["entropy_production"] for e in points],
        2,
        r"$\Sigma = \Delta Q/\tau - \Delta S$",
    )
    left.set_ylabel("[nat]")
    middle.axhline(bath, color="0.3", linewidth=1, linestyle="--", label=r"bath $\tau$")
    _points(middle, strengths, [e["temperature"] for e in points], 3, r"$\Delta Q/\Delta S$")
    middle.set_ylabel("temperature of the refresh $T$  [energy]")
    changed = [entry for entry in points if entry["told_apart"] is not None]
    for i, (name, words) in enumerate(_WORDS.items()):
        told = [entry["told_apart"][name] for entry in changed]
        _points(right, [entry["strength"] for entry in changed], told, i, words)
    right.axhline(0.5, color="0.3", linewidth=1, linestyle=":")
    right.set_ylim(0.45, 1.02)
    right.set_ylabel("area under the ROC curve")
    for ax in (left, middle, right):
        ax.set_xlim(left.get_xlim())
        ax.set_xlabel("strength of the change")
        ax.legend(frameon=False, fontsize=9)
    caption(left, title, "bars: 2 standard errors")
    caption(middle, "", "no point where the entropy drop is lost in its error")
    caption(right, "", "told from a refresh of strength 0; ½ is a guess")
    return figure


def refresh_distributions(
    refreshes: Sequence[tuple[float, Mapping[str, Any]]], title: str
) -> "Figure":
    """Indicators of single refreshes for each strength."""
    names = ("entropy_production", "loss_increase", "temperature")
    units = ("nat", "energy", "energy")
    figure, axes = new_figure(12.6, 3.8, columns=3)
    for ax, name, unit in zip(axes, names, units, strict=True):
        values = np.concatenate([found[name] for _, found in refreshes])
        low, high = np.percentile(values, [2, 98] if name == "temperature" else [0, 100])
        bins = np.linspace(low, high, 31)
        for i, (strength, found) in enumerate(refreshes):
            density, edges = np.histogram(found[name], bins, density=True)
            ax.stairs(density, edges, label=f"{strength:g}", **line_style(i))
        ax.set_xlabel(f"{_WORDS[name]}  [{unit}]")
    axes[0].set_ylabel("probability density")
    axes[0].legend(title="strength", frameon=False, fontsize=9)
    caption(axes[0], title, "single refreshes")
    caption(axes[2], "", "the middle 96 %: the tails reach far")
    return figure
