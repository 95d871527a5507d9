"""Outcomes and figures of the study heat_engines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm

from ...numerics.statistics import Estimate
from ...plots import (
    COLOURS,
    MARKERS,
    caption,
    error_bars,
    legend_beside,
    line_style,
    new_figure,
    plain_text,
)
from ...thermodynamics import gaussian_entropy
from .._experiment import single

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# By data set and activation: numbers by name, `(split, ...)`
Outcomes = Mapping[tuple[str, str], Mapping[str, np.ndarray]]
_Points = Sequence[Mapping[str, Any]]
_PANELS = {
    "accuracy": "accuracy on new data",
    "energy": "energy after training  [energy]",
    "heat": r"heat $\Delta Q$  [energy]",
    "unavoidable_fraction": r"unavoidable part $\tau\Delta S/\Delta Q$",
}
_PROFILES = (
    ("temperature_before", "$T$ before training  [energy]", "pre-activations of layer"),
    ("temperature_after", "$T$ after training  [energy]", "pre-activations of layer"),
    ("heat_by_layer", r"heat of layer $\Delta Q_l$  [energy]", "layer of weights"),
)


def outcome(
    entry: "xarray.Dataset", bath: float, n_parameters: int, entropy: Float[Array, ""]
) -> dict[str, Any]:
    """Means over the trajectories of one split.

    Args:
        entry: results at a point.
        bath: temperature of the bath.
        n_parameters: of the network.
        entropy: of the parameters at the start.
    """
    weights = jnp.asarray(single(entry, "weights")[:, :n_parameters])
    after = gaussian_entropy(weights).entropy
    reversible = bath * float(entropy - after)
    hot = entry.engine_temperature.values
    return {
        "accuracy": entry.accuracy.values[-1],
        "accuracy_before": entry.accuracy.values[0],
        "energy": entry.energy.values[-1],
        "heat": float(entry.heat),
        "reversible_heat": reversible,
        "unavoidable_fraction": reversible / float(entry.heat),
        "heat_by_layer": entry.layer_heat.values,
        "temperature_before": hot[0],
        "temperature_after": hot[-1],
        "efficiency_before": entry.engine_efficiency.values[0],
        "efficiency_after": entry.engine_efficiency.values[-1],
        "local_temperature": entry.local_square.values / entry.local_trace.values,
    }


def engine_points(
    outcomes: Outcomes,
    kinds: Mapping[str, Mapping[str, Any]],
    efficiencies: Mapping[str, tuple[float, float]],
) -> list[dict[str, Any]]:
    """For each data set and activation: the engine, and means over splits."""
    points = []
    for (data, activation), values in outcomes.items():
        kind = kinds[activation]
        eta, coherent = efficiencies[activation]
        points.append(
            {"data": data, "activation": activation}
            | {name: kind[name] for name in ("type", "pump", "steepest")}
            | {"efficiency": eta, "coherent_efficiency": coherent}
            | {
                name: Estimate.of(splits).as_dict()
                for name, splits in values.items()
                if splits.ndim < 3
            }
        )
    return points


def efficiency_curves(
    kinds: Mapping[str, Any], temperatures: Sequence[float], title: str
) -> "Figure":
    """η against T, of scale-free engines and of those that depend on temperature."""
    figure, axes = new_figure(11.6, 4.4, columns=2, sharey=True)
    for ax, free, words in (
        (axes[0], True, "scale-free engines"),
        (axes[1], False, "temperature-dependent engines"),
    ):
        curves = {n: k["curve"] for n, k in kinds.items() if (k["type"] == "scale_free") is free}
        for i, (name, curve) in enumerate(curves.items()):
            ax.plot(temperatures, curve, label=name, **line_style(i))
        ax.set_xscale("log")
        ax.set_xlabel("temperature of pre-activations $T$  [energy]")
        ax.axhline(1, color="0.3", linewidth=1)
        caption(ax, title if ax is axes[0] else "", f"{words}; above the grey line: pumps")
        if curves:
            legend_beside(ax)
    axes[0].set_ylabel(r"work efficiency $\eta(T)$")
    axes[0].set_yscale("log")
    return figure


def _tasks(points: _Points) -> list[str]:
    return list(dict.fromkeys(entry["data"] for entry in points))


def _estimate(entries: _Points, quantity: str) -> Estimate:
    parts = ([entry[quantity][x] for entry in entries] for x in ("mean", "standard_error"))
    return Estimate(*map(np.asarray, parts))


def engine_comparison(points: _Points, temperature: float, title: str) -> "Figure":
    """The outcomes of training with each activation, in the order of their efficiency."""
    engines = {entry["activation"]: entry for entry in points}
    names = sorted(engines, key=lambda name: engines[name]["efficiency"])
    tasks = _tasks(points)
    figure, axes = new_figure(14.4, 0.32 * len(names) + 1.9, columns=len(_PANELS), sharey=True)
    for ax, (quantity, label) in zip(axes, _PANELS.items(), strict=True):
        for i, task in enumerate(tasks):
            entries = {entry["activation"]: entry for entry in points if entry["data"] == task}
            values = _estimate([entries[name] for name in names], quantity)
            places = np.arange(len(names)) + 0.22 * (i - (len(tasks) - 1) / 2)
            style = {"markersize": 4, "capsize": 2, "linewidth": 1}
            error_bars(ax, values, places, i, label=plain_text(task), **style)
        ax.set_xlabel(label)
    axes[0].set_yticks(range(len(names)), [_engine_text(engines[name]) for name in names])
    words = f"η at T = {temperature:g}; bars: 2 standard errors over splits"
    caption(axes[0], title, words)
    legend_beside(axes[-1])
    return figure


def _engine_text(entry: Mapping[str, Any]) -> str:
    kind = " (scale-free)" if entry["type"] == "scale_free" else ""
    return f"{entry['activation']}{kind}, η = {entry['efficiency']:.2f}"


def temperature_profiles(points: _Points, temperature: float, title: str) -> "Figure":
    """Temperatures of pre-activations through the layers and heats of layers, by data set."""
    tasks = _tasks(points)
    figure, axes = new_figure(11.4, 3.5 * len(tasks), columns=3, rows=len(tasks))
    for task, row in zip(tasks, axes.reshape(len(tasks), 3), strict=True):
        entries = [entry for entry in points if entry["data"] == task]
        for ax, (quantity, label, below) in zip(row, _PROFILES, strict=True):
            _draw_profiles(ax, entries, quantity)
            ax.set_xlabel(below)
            ax.set_ylabel(label)
            if quantity != "heat_by_layer":
                ax.set_yscale("log")
            if quantity == "temperature_before":
                ax.axhline(temperature, color="0.3", linewidth=1)
        row[0].set_title(plain_text(task), fontsize=9, loc="left", color="0.35")
        legend_beside(row[-1])
    figure.suptitle(f"{title} (bars: 2 standard errors; grey: wide networks)", fontsize=11)
    return figure


def _draw_profiles(ax: "Axes", entries: _Points, quantity: str) -> None:
    """A quantity through the layers, a line for each activation."""
    for i, entry in enumerate(entries):
        (profile,) = zip(*_estimate([entry], quantity), strict=True)
        values = Estimate(*profile)
        places = np.arange(1, len(values.mean) + 1) + 0.03 * (i - len(entries) / 2)
        marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        style = line_style(i) | {"linewidth": 1, "markersize": 4, "capsize": 2}
        error_bars(ax, places, values, i, fmt="", marker=marker, label=entry["activation"], **style)
    ax.set_xticks(range(1, len(entries[0][quantity]["mean"]) + 1))


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
    edges = np.append(times, 2 * times[-1] - times[-2]) - (times[1] - times[0]) / 2
    for i, name in enumerate(names):
        for j, task in enumerate(tasks):
            ax, values = axes[i * len(tasks) + j], maps[task, name]
            ax.grid(False)
            layers = np.arange(values.shape[1] + 1) + 0.5
            ax.pcolormesh(edges, layers, values.T, norm=norm, cmap="RdBu_r")
            ax.set_yticks(range(1, values.shape[1] + 1))
            ax.set_ylabel(f"{name}\nlayer", fontsize=8)
            if i < len(names) - 1:
                ax.set_xticklabels([])
            else:
                ax.set_xlabel("time $t$  [1/mobility/energy]")
            if i == 0:
                caption(ax, title if j == 0 else "", plain_text(task))
    colours = ScalarMappable(norm, "RdBu_r")
    label = r"$T_l/\tau$, configurational over bath (too high at kinks of $\phi$)"
    figure.colorbar(colours, ax=list(axes), label=label, aspect=40, extend="both")
    return figure
