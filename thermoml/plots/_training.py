"""Figures of learning systems: paths of training, transitions, local temperatures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..networks import LocalTemperatures, TrainingPath, Transition
from ..numerics.statistics import Estimate
from ._artists import (
    BANDS,
    BARS,
    COLOURS,
    band,
    by_label,
    caption,
    error_bars,
    legend,
    line_style,
    panels,
    plain_ticks,
    quantity_label,
)


def training_path(
    paths: TrainingPath | Mapping[str, TrainingPath],
    *,
    measured: TrainingPath | Mapping[str, TrainingPath] | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Training in the plane of entropy and energy, and its entropy production against time.

    Args:
        paths: of `networks.training_path`, drawn as lines that end in a star; or several by label.
        measured: of `networks.simulated_training_path`, by the same labels, drawn as points with
            bars of two standard errors.
        axes: two, for the plane and for the entropy production; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError: other results.
    """
    exact = by_label(paths, TrainingPath)
    simulated = {} if measured is None else by_label(measured, TrainingPath)
    figure, (left, right) = panels(axes, 2)
    for index, (label, path) in enumerate(exact.items()):
        left.plot(path.entropy, path.energy, label=label or None, **line_style(index))
        left.plot(path.entropy[-1:], path.energy[-1:], "k*", markersize=10, zorder=5)
        right.plot(path.times[1:], path.entropy_production[1:], **line_style(index))
    for label, path in simulated.items():
        index = list(exact).index(label) if label in exact else len(exact)
        x = Estimate(path.entropy, path.entropy_error)
        error_bars(left, x, Estimate(path.energy, path.energy_error), index, markersize=3.5)
        error_bars(right, path.times[1:], path.entropy_production[1:], index, markersize=3.5)
    left.set(yscale="log", xlabel=quantity_label("entropy $S$", "nat"))
    plain_ticks(left.yaxis)
    left.set_ylabel(quantity_label("energy $U$", "energy"))
    right.set(xscale="log", yscale="log", xlabel="time")
    right.set_ylabel(quantity_label(r"entropy production so far $\Sigma$", "nat"))
    caption(left, "", f"star: trained; points: simulated, {BARS}" if simulated else "star: trained")
    legend([left, right], axes)
    return figure


def transition(
    transitions: Transition,
    x: ArrayLike,
    *,
    label: str = "",
    axes: Sequence[Axes] | None = None,
) -> Figure:
    r"""Heat, entropy drop, entropy production and temperature of transitions against a parameter.

    On the right the temperature is dashed where the entropy drop is negative: at its zero T passes
    through infinity. Both vertical scales are logarithmic but near 0 (symlog).

    Args:
        transitions: a `Transition` whose fields are arrays `(n,)`, as `jax.vmap` returns it.
        x: the parameter, `(n,)`.
        label: its name and unit.
        axes: two, for amounts and for temperatures; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: another result, or another number of transitions than x has.
    """
    by_label(transitions, Transition)
    x = np.asarray(x, float)
    if np.shape(transitions.heat) != x.shape or x.ndim != 1:
        raise ValueError(
            f"transitions must be as many as x, got shape {np.shape(transitions.heat)} and "
            f"{x.shape}; use jax.vmap"
        )
    figure, (left, right) = panels(axes, 2)
    bath = np.broadcast_to(np.asarray(transitions.bath_temperature, float), x.shape)
    amounts = {
        r"heat $\Delta Q/\tau$": (transitions.heat / bath, transitions.heat_error / bath),
        r"entropy drop $\Delta S$": (transitions.entropy_drop, transitions.entropy_drop_error),
        r"entropy production $\Sigma$": (
            transitions.entropy_production,
            transitions.entropy_production_error,
        ),
    }
    for index, (words, (mean, error)) in enumerate(amounts.items()):
        band(left, x, mean, error, index, words)
    falls = np.asarray(transitions.entropy_drop) > 0
    for index, (words, chosen) in enumerate(
        ((r"$\Delta S > 0$", falls), (r"$\Delta S < 0$", ~falls))
    ):
        if chosen.any():
            temperature = np.where(chosen, transitions.temperature, np.nan)
            band(right, x, temperature, transitions.temperature_error, 3 * index, words)
    right.plot(x, bath, color="0.4", linewidth=1, label=r"bath $\tau$")
    left.set(yscale="symlog", ylabel=quantity_label("amount", "nat"))
    right.set_yscale("symlog", linthresh=float(bath.min()) / 5)
    right.set_ylabel(quantity_label("temperature $T$", "energy"))
    for ax in (left, right):
        ax.set_xlabel(label)
        ax.legend(frameon=False, fontsize=9)
    return figure


def temperatures(
    local: LocalTemperatures,
    *,
    times: ArrayLike | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Local temperatures of a network's layers and of their baths.

    Args:
        local: of `local_temperatures`, drawn layer by layer with bars of two standard errors; or
            of `Thermometer.read`, drawn as curves of the configurational temperature.
        times: of the saves that a `Thermometer` has read, `(save,)`.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: another result, or times that do not fit.
    """
    by_label(local, LocalTemperatures)
    saves = np.shape(next(iter(local.bath.values())))
    shape = () if times is None else np.shape(times)
    if saves != shape:
        remedy = f"times of shape {saves}" if saves else "no times"
        raise ValueError(f"these temperatures need {remedy}, got shape {shape}")
    figure, (ax,) = panels(axes, 1)
    names = list(local.bath)
    if times is None:
        x = np.arange(len(names))
        baths = np.asarray([local.bath[name] for name in names], float)
        ax.hlines(baths, x - 0.3, x + 0.3, color="0.2", linewidth=1.4, label="bath")
        for index, (words, part) in enumerate(
            (("configurational", local.configurational), ("virial", local.virial))
        ):
            columns = zip(*(part[name] for name in names), strict=True)
            estimate = Estimate(*(np.asarray(column, float) for column in columns))
            error_bars(ax, x + 0.14 * (index - 0.5), estimate, index, label=words)
        ax.set_xticks(x, [name.replace("_", " ") for name in names])
        ax.set_xlim(-0.5, len(names) - 0.5)
    else:
        for index, name in enumerate(names):
            band(ax, times, *local.configurational[name], index, name.replace("_", " "))
            color = COLOURS[index % len(COLOURS)]
            ax.plot(times, local.bath[name], color=color, linewidth=1, alpha=0.7)
        ax.set_xlabel("time")
    ax.set(yscale="log", ylabel=quantity_label("local temperature", "energy"))
    plain_ticks(ax.yaxis)
    caption(ax, "", BARS if times is None else f"{BANDS}; thin: baths")
    legend([ax], axes)
    return figure
