"""Figures of the studies of data: how hot training is, and how much of its heat is needed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import COLOURS, MARKERS, caption, legend_beside, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KNOBS = {
    "anisotropy": "largest over smallest variance of a feature",
    "label_noise": "label noise over signal",
    "aspect_ratio": "parameters for each example $d/n$",
    "n_parameters": "number of parameters $d$",
    "initial_std": r"initial width over teacher's $\sigma_0$",
    "bath_temperature": r"bath temperature $\tau$  [energy]",
}
_TEMPERATURE = r"temperature $T=\Delta Q/\Delta S$  [energy]"


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """NaN where there is none."""
    return np.asarray([np.nan if value is None else value for value in values], float)


def _column(entries: Sequence[Mapping[str, Any]], quantity: str, which: str) -> np.ndarray:
    return _numbers([entry[quantity][which] for entry in entries])


def _knob_panels(curves: Mapping[str, Any]) -> "tuple[Figure, dict[str, Axes]]":
    """A panel for each setting that is varied, log scales where values span decades."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = new_figure(4.3 * columns, 3.5 * rows, columns, rows=rows)
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    panels = dict(zip(curves, axes, strict=False))
    for name, ax in panels.items():
        values = [entry["value"] for entry in curves[name]]
        if min(values) > 0 and max(values) > 10 * min(values):
            ax.set_xscale("log")
        _limits(ax, values)
        if name == "n_parameters":
            ax.set_xticks(values, [f"{value:g}" for value in values])
            ax.minorticks_off()
        ax.set_xlabel(_KNOBS[name])
    return figure, panels


def _limits(ax: "Axes", values: Sequence[float]) -> None:
    """All values fit, also those where nothing is drawn."""
    low, high = min(values), max(values)
    if ax.get_xscale() == "log":
        room = max((high / low) ** 0.05, 1.1)
        ax.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) or 0.5
        ax.set_xlim(low - room, high + room)


def temperature_by_knob(curves: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """T of ensembles of data sets on its prediction, a panel for each setting that is varied."""
    figure, panels = _knob_panels(curves)
    for index, (name, ax) in enumerate(panels.items()):
        entries, color = curves[name], COLOURS[index % len(COLOURS)]
        x = [entry["value"] for entry in entries]
        for which, style in (("predicted", "-"), ("asymptotic", ":")):
            values = _column(entries, "temperature", which)
            positive = np.where(values > 0, values, np.nan)
            ax.plot(x, positive, style, color=color, linewidth=1.4)
        mean = _column(entries, "temperature", "mean")
        error = _column(entries, "temperature", "standard_error")
        known = mean > 0
        x, mean, error = np.asarray(x)[known], mean[known], error[known]
        ax.errorbar(
            x, mean, yerr=2 * error, fmt=MARKERS[0], color=color, markersize=4.5, capsize=2.5
        )
        low, high = np.asarray([entry["temperature"]["single"] for entry in entries])[known].T
        ax.vlines(x, low, high, color=color, alpha=0.25, linewidth=5)
        x = [entry["value"] for entry in entries]
        ax.plot(x, [entry["bath_temperature"] for entry in entries], color="0.3", linewidth=1)
        ax.set_yscale("log")
        ax.set_ylabel(_TEMPERATURE)
    first = next(iter(panels.values()))
    caption(
        first,
        title,
        "bars: 2 standard errors; broad: 5 to 95 % of single data sets; lines: exact mean, dotted "
        r"for $d, n\to\infty$; grey: bath $\tau$; only $T>0$ is shown",
    )
    return figure


def unavoidable_by_knob(curves: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """The unavoidable share τ/T of the heat, a panel for each setting that is varied."""
    figure, panels = _knob_panels(curves)
    for index, (name, ax) in enumerate(panels.items()):
        entries, color = curves[name], COLOURS[index % len(COLOURS)]
        x = [entry["value"] for entry in entries]
        ax.plot(x, _column(entries, "unavoidable_fraction", "predicted"), color=color)
        ax.errorbar(
            x,
            _column(entries, "unavoidable_fraction", "mean"),
            yerr=2 * _column(entries, "unavoidable_fraction", "standard_error"),
            fmt=MARKERS[0],
            color=color,
            markersize=4.5,
            capsize=2.5,
        )
        ax.set_ylim(bottom=0)
        ax.set_ylabel(r"unavoidable share of the heat $\tau/T$")
    first = next(iter(panels.values()))
    caption(
        first,
        title,
        "bars: 2 standard errors; lines: exact",
    )
    return figure


def real_data_temperature(sets: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """T and the entropy produced by each parameter against the bath temperature."""
    figure, (left, right) = new_figure(11.8, 4.4, columns=2)
    baths = [entry["bath_temperature"] for entries in sets.values() for entry in entries]
    ends = [min(baths), max(baths)]
    left.plot(ends, ends, color="0.3", linewidth=1)
    for index, (label, entries) in enumerate(sets.items()):
        x = np.asarray([entry["bath_temperature"] for entry in entries])
        mean = _column(entries, "temperature", "mean")
        error = _column(entries, "temperature", "standard_error")
        kept = mean > 0
        _bars(left, x[kept], mean[kept], error[kept], index, label)
        size = np.asarray([entry["n_parameters"] for entry in entries])
        produced = _column(entries, "entropy_production", "mean") / size
        spread = _column(entries, "entropy_production", "standard_error") / size
        _bars(right, x, produced, spread, index, label)
    left.text(ends[1], ends[1], r"$T=\tau$ ", ha="right", va="bottom", fontsize=9)
    left.set_ylabel(_TEMPERATURE)
    right.set_ylabel(r"entropy production $\Sigma/d$  [nat for each parameter]")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_yscale("log")
        _limits(ax, baths)
        ax.set_xlabel(_KNOBS["bath_temperature"])
    caption(left, title, "bars: 2 standard errors; left: only where T is positive and resolved")
    legend_beside(right)
    return figure


def real_data_heat(sets: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """Heat against what a reversible transition would release, and the share of it."""
    figure, (left, right) = new_figure(11.8, 4.4, columns=2)
    seen = [0.0]
    for index, (label, entries) in enumerate(sets.items()):
        reversible = _column(entries, "reversible_heat", "mean")
        heat = _column(entries, "heat", "mean")
        left.errorbar(
            reversible,
            heat,
            xerr=2 * _column(entries, "reversible_heat", "standard_error"),
            yerr=2 * _column(entries, "heat", "standard_error"),
            fmt=MARKERS[index % len(MARKERS)],
            color=COLOURS[index % len(COLOURS)],
            markersize=4.5,
            capsize=2.5,
        )
        seen += reversible.tolist()
        x = [entry["bath_temperature"] for entry in entries]
        share = _column(entries, "unavoidable_fraction", "mean")
        error = _column(entries, "unavoidable_fraction", "standard_error")
        _bars(right, x, share, error, index, label)
    ends = [min(seen), max(seen)]
    left.plot(ends, ends, color="0.3", linewidth=1)
    left.set_xscale("symlog", linthresh=0.1)
    left.set_yscale("symlog", linthresh=0.1)
    left.set_xlabel(r"reversible heat $\tau\Delta S$  [energy]")
    left.set_ylabel(r"heat released $\Delta Q$  [energy]")
    right.set_xscale("log")
    _limits(right, [entry["bath_temperature"] for e in sets.values() for entry in e])
    right.set_ylim(bottom=0)
    right.set_xlabel(_KNOBS["bath_temperature"])
    right.set_ylabel(r"unavoidable share of the heat $\tau/T$")
    caption(
        left, title, r"bars: 2 standard errors; line: reversible; above it $\tau\Sigma$ is lost"
    )
    caption(right, "", "only where heat is released and entropy falls")
    legend_beside(right)
    return figure


def _bars(ax: "Axes", x: Any, mean: Any, error: Any, index: int, label: str) -> None:
    ax.errorbar(
        x,
        mean,
        yerr=2 * error,
        fmt=MARKERS[index % len(MARKERS)] + "-",
        color=COLOURS[index % len(COLOURS)],
        linewidth=1,
        markersize=4.5,
        capsize=2.5,
        label=label,
    )
