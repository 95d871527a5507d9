"""The figures of the study `heat_engines`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm

from ._style import COLOURS, MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = (
    ("accuracy", "accuracy on new data"),
    ("energy", "energy after training  [energy]"),
    ("heat", r"heat $\Delta Q$  [energy]"),
    ("unavoidable_fraction", r"unavoidable part $\tau\Delta S/\Delta Q$"),
)


def efficiency_curves(
    kinds: Mapping[str, Any], temperatures: Sequence[float], title: str
) -> "Figure":
    """η against T, scale-free engines beside those that depend on temperature."""
    figure, axes = new_figure(11.6, 4.4, columns=2, sharey=True)
    shown = {False: 0, True: 0}
    for name, kind in kinds.items():
        free = kind["type"] == "scale_free"
        axes[int(not free)].plot(temperatures, kind["curve"], label=name, **line_style(shown[free]))
        shown[free] += 1
    for ax, words in zip(
        axes, ("scale-free engines", "temperature-dependent engines"), strict=True
    ):
        ax.set_xscale("log")
        ax.set_xlabel("temperature of pre-activations $T$  [energy]")
        ax.axhline(1, color="0.3", linewidth=1)
        caption(ax, title if ax is axes[0] else "", f"{words}; above the grey line: pumps")
        if ax.lines[1:]:
            legend_beside(ax)
    axes[0].set_ylabel(r"work efficiency $\eta(T)$")
    axes[0].set_yscale("log")
    return figure


def engine_comparison(
    points: Sequence[Mapping[str, Any]], temperature: float, title: str
) -> "Figure":
    """What training gave with each activation, in the order of their efficiency."""
    order = sorted({entry["activation"]: entry["efficiency"] for entry in points}.items(),
                   key=lambda pair: pair[1])  # fmt: skip
    names = [name for name, _ in order]
    tasks = list(dict.fromkeys(entry["data"] for entry in points))
    figure, axes = new_figure(14.4, 0.32 * len(names) + 1.9, columns=len(_PANELS), sharey=True)
    for ax, (quantity, label) in zip(axes, _PANELS, strict=True):
        for i, task in enumerate(tasks):
            some = {entry["activation"]: entry for entry in points if entry["data"] == task}
            mean, error = (
                [some[name][quantity][which] for name in names]
                for which in ("mean", "standard_error")
            )
            places = np.arange(len(names)) + 0.22 * (i - (len(tasks) - 1) / 2)
            ax.errorbar(
                mean,
                places,
                xerr=2 * np.asarray(error),
                fmt=MARKERS[i],
                color=COLOURS[i],
                markersize=4,
                capsize=2,
                linewidth=1,
                label=task,
            )
        ax.set_xlabel(label)
    kinds = {entry["activation"]: entry["type"] == "scale_free" for entry in points}
    axes[0].set_yticks(
        range(len(names)),
        [f"{name}{' (scale-free)' if kinds[name] else ''}, η = {eta:.2f}" for name, eta in order],
    )
    words = f"η at T = {temperature:g}; bars: 2 standard errors over splits"
    caption(axes[0], title, words)
    legend_beside(axes[-1])
    return figure


def temperature_profiles(
    points: Sequence[Mapping[str, Any]], temperature: float, title: str
) -> "Figure":
    """Temperatures of pre-activations through the layers and heats of layers, by data set."""
    tasks = list(dict.fromkeys(entry["data"] for entry in points))
    rows = (
        ("temperature_before", "$T$ before training  [energy]", "pre-activations of layer"),
        ("temperature_after", "$T$ after training  [energy]", "pre-activations of layer"),
        ("heat_by_layer", r"heat of layer $\Delta Q_l$  [energy]", "layer of weights"),
    )
    figure, axes = new_figure(11.4, 3.5 * len(tasks), columns=3, rows=len(tasks))
    for task, row in zip(tasks, axes.reshape(len(tasks), 3), strict=True):
        for ax, (quantity, label, below) in zip(row, rows, strict=True):
            some = [entry for entry in points if entry["data"] == task]
            for i, entry in enumerate(some):
                mean, error = (
                    np.asarray(entry[quantity][which]) for which in ("mean", "standard_error")
                )
                ax.errorbar(
                    np.arange(1, len(mean) + 1) + 0.03 * (i - len(some) / 2),
                    mean,
                    yerr=2 * error,
                    marker=MARKERS[(i + i // len(COLOURS)) % len(MARKERS)],
                    markersize=4,
                    capsize=2,
                    label=entry["activation"],
                    **line_style(i) | {"linewidth": 1},
                )
            ax.set_xticks(range(1, len(some[0][quantity]["mean"]) + 1))
            ax.set_xlabel(below)
            ax.set_ylabel(label)
            if quantity != "heat_by_layer":
                ax.set_yscale("log")
            if quantity == "temperature_before":
                ax.axhline(temperature, color="0.3", linewidth=1)
        row[0].set_title(task, fontsize=9, loc="left", color="0.35")
        legend_beside(row[-1])
    figure.suptitle(f"{title} (bars: 2 standard errors; grey: wide networks)", fontsize=11)
    return figure


def local_temperature_maps(
    maps: Mapping[tuple[str, str], np.ndarray], times: np.ndarray, title: str
) -> "Figure":
    """Configurational temperature over the bath's, by layer and time: a map for each network."""
    tasks = list(dict.fromkeys(task for task, _ in maps))
    names = list(dict.fromkeys(name for _, name in maps))
    values = np.concatenate([x.ravel() for x in maps.values()])
    values = values[np.isfinite(values) & (values > 0)]
    reach = min(max(values.max(), 1 / values.min(), 1.1), 10.0)
    norm = LogNorm(1 / reach, reach)  # the bath is the middle of the colours
    figure, axes = new_figure(
        5.2 * len(tasks) + 1, 1.15 * len(names) + 1, columns=len(tasks), rows=len(names)
    )
    for i, name in enumerate(names):
        for j, task in enumerate(tasks):
            ax, values = axes[i * len(tasks) + j], maps[task, name]
            ax.grid(False)
            edges = np.append(times, 2 * times[-1] - times[-2]) - (times[1] - times[0]) / 2
            layers = np.arange(values.shape[1] + 1) + 0.5
            ax.pcolormesh(edges, layers, values.T, norm=norm, cmap="RdBu_r")
            ax.set_yticks(range(1, values.shape[1] + 1))
            ax.set_ylabel(f"{name}\nlayer", fontsize=8)
            if i < len(names) - 1:
                ax.set_xticklabels([])
            else:
                ax.set_xlabel("time $t$  [1/mobility/energy]")
            if i == 0:
                caption(ax, title if j == 0 else "", task)
    colours = ScalarMappable(norm, "RdBu_r")
    label = r"$T_l/\tau$, configurational over bath (too high at kinks of $\phi$)"
    figure.colorbar(colours, ax=list(axes), label=label, aspect=40, extend="both")
    return figure
