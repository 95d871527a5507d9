"""Figures of networks as heat engines: efficiencies, energy balances, chains, measured engines."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..networks import EngineBalance, EngineChain, EngineClassification, EngineReport
from ..numerics.statistics import Estimate
from ._artists import (
    BARS,
    COLOURS,
    by_label,
    caption,
    error_bars,
    legend,
    line_style,
    panels,
    plain_ticks,
    quantity_label,
)

_TEMPERATURE = quantity_label("temperature of pre-activations", "energy")


def efficiency(
    classifications: EngineClassification | Mapping[str, EngineClassification],
    *,
    axes: Axes | None = None,
) -> Figure:
    """The work efficiency of activations against temperature.

    Args:
        classifications: of `classify_engine`, at the temperatures of your choice; or several by
            label.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError: other results.
    """
    entries = by_label(classifications, EngineClassification)
    figure, (ax,) = panels(axes, 1)
    for index, (label, engine) in enumerate(entries.items()):
        ax.plot(engine.temperatures, engine.efficiency, label=label or None, **line_style(index))
    if any(engine.pump for engine in entries.values()):
        ax.axhline(1, color="0.3", linewidth=1)
    ax.set(xscale="log", ylabel=r"work efficiency $\eta$")
    ax.set_xlabel(quantity_label("temperature $T$", "energy"))
    ax.set_ylim(bottom=0)
    legend([ax], axes)
    return figure


def engine_balance(
    balances: EngineBalance | Mapping[str, EngineBalance], *, axes: Axes | None = None
) -> Figure:
    """The shares of a unit's energy that are passed on, distorted and absorbed, as stacked bars.

    Args:
        balances: of `networks.engine_balance` at one temperature, or several by label. What a pump
            absorbs is negative and drawn below 0.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: other results, or of several temperatures.
    """
    entries = by_label(balances, EngineBalance)
    figure, (ax,) = panels(axes, 1)
    for label, balance in entries.items():
        if np.ndim(balance.efficiency):
            raise ValueError(
                f"a balance at one temperature is drawn, got {label!r} of shape "
                f"{np.shape(balance.efficiency)}"
            )
    parts = {
        "coherent": [balance.coherent for balance in entries.values()],
        "constant": [balance.constant for balance in entries.values()],
        "distortion": [balance.distortion for balance in entries.values()],
        "absorbed": [balance.absorbed for balance in entries.values()],
    }
    top = np.zeros(len(entries))
    for colour, (name, values) in zip((*COLOURS[:3], "0.8"), parts.items(), strict=True):
        shares = np.asarray([float(value) for value in values])
        ax.bar(list(entries), shares, bottom=np.where(shares < 0, 0, top), label=name, color=colour)
        top = top + np.maximum(shares, 0)
    ax.set_ylabel("share of the energy taken in")
    ax.grid(False, axis="x")
    legend([ax], axes)
    if axes is not None:  # bars leave no room for it
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return figure


def engine_chain(
    chains: EngineChain | Mapping[str, EngineChain],
    quantity: Literal["temperature", "efficiency", "slope", "chi"] = "temperature",
    *,
    measured: EngineReport | Mapping[str, EngineReport] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Temperature, or another number, through the layers of wide networks.

    Args:
        chains: of `engine_chain`, or several by label.
        quantity: which number of a layer is drawn.
        measured: engines of real networks, by the same labels, drawn as points with bars of two
            standard errors; they have a temperature and an efficiency.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: other results, or a quantity that they do not have.
    """
    entries = by_label(chains, EngineChain)
    reports = {} if measured is None else by_label(measured, EngineReport)
    words = {
        "temperature": _TEMPERATURE,
        "efficiency": r"work efficiency $\eta$",
        "slope": r"slope $dT_{l+1}/dT_l$",
        "chi": r"$\chi = \sigma_w^2\,E\,\phi'^2$",
    }
    if quantity not in words or (reports and quantity not in ("temperature", "efficiency")):
        choices = list(words)[: 2 if reports else None]
        raise ValueError(f"quantity must be one of {', '.join(choices)}, got {quantity!r}")
    figure, (ax,) = panels(axes, 1)
    for index, (label, chain) in enumerate(entries.items()):
        values = {
            "temperature": chain.temperature,
            "efficiency": chain.efficiency,
            "slope": chain.slope,
            "chi": chain.chi,
        }[quantity]
        ax.plot(np.arange(1, len(values) + 1), values, label=label or None, **line_style(index))
    for label, report in reports.items():
        index = list(entries).index(label) if label in entries else len(entries)
        error_bars(ax, *_through(report, quantity), index)
    if quantity == "temperature":
        ax.set_yscale("log")
        plain_ticks(ax.yaxis)
    ax.set(xlabel="layer", ylabel=words[quantity])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    caption(ax, "", f"lines: infinitely wide; points: measured, {BARS}" if reports else "")
    legend([ax], axes)
    return figure


def _through(report: EngineReport, quantity: str) -> tuple[np.ndarray, Estimate]:
    """Numbers of layers, and a quantity of the engines behind them."""
    engines = list(report.engines.values())
    estimates = {
        "temperature": [engine.temperature for engine in engines],
        "efficiency": [engine.efficiency for engine in engines],
        "coherent": [engine.coherent for engine in engines],
    }[quantity]
    parts = zip(*estimates, strict=True)
    return np.arange(1, len(engines) + 1), Estimate(*(np.asarray(x, float) for x in parts))


def engines(reports: EngineReport | Mapping[str, EngineReport], *, axes: Any = None) -> Figure:
    """Temperatures and efficiencies of the engines of real networks, layer by layer.

    Args:
        reports: of `networks.measure_engines`, or several by label.
        axes: two, for temperatures and efficiencies; a new figure by default.

    Returns:
        The Matplotlib figure. Open markers are the coherent part of the efficiency.

    Raises:
        TypeError: other results.
    """
    entries = by_label(reports, EngineReport)
    figure, (left, right) = panels(axes, 2)
    for index, (label, report) in enumerate(entries.items()):
        x, temperatures = _through(report, "temperature")
        shift = 0.12 * (index - (len(entries) - 1) / 2)
        error_bars(left, x + shift, temperatures, index, label=label or None)
        error_bars(right, x + shift, _through(report, "efficiency")[1], index)
        open_marker = {"markerfacecolor": "white", "linewidth": 1}
        error_bars(right, x + shift, _through(report, "coherent")[1], index, **open_marker)
    names = list(next(iter(entries.values())).engines)
    for ax in (left, right):
        if all(list(report.engines) == names for report in entries.values()):
            ax.set_xticks(np.arange(1, len(names) + 1), [name.replace("_", " ") for name in names])
            if len(names) > 3:
                ax.tick_params("x", rotation=30)
        else:
            ax.set_xlabel("layer")
    left.set(yscale="log", ylabel=_TEMPERATURE)
    plain_ticks(left.yaxis)
    right.set_ylabel(r"work efficiency $\eta$")
    right.set_ylim(bottom=0)
    caption(left, "", BARS)
    caption(right, "", "open: coherent part")
    legend([left, right], axes)
    return figure
