"""Figures of the study `training_transition`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import COLOURS, MARKERS, caption, legend_beside, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_diagrams(paths: Sequence[tuple], bath_temperature: float, title: str) -> "Figure":
    """Energy against entropy, and the temperature of the transition so far against entropy."""
    figure, (left, right) = new_figure(11.0, 4.4, columns=2)
    for i, (std, exact, measured) in enumerate(paths):
        color = COLOURS[i % len(COLOURS)]
        left.plot(exact.entropy, exact.energy, color=color, linewidth=1.4)
        left.errorbar(
            measured["entropy"],
            measured["energy"],
            xerr=2 * measured["entropy_error"],
            yerr=2 * measured["energy_error"],
            fmt=MARKERS[i % len(MARKERS)],
            color=color,
            markersize=3.5,
            linewidth=0.8,
            label=rf"$\sigma_0 = {std:g}$",
        )
        so_far = exact.temperature.values[1:]
        jumps = np.flatnonzero(np.diff(np.sign(so_far))) + 1  # through infinity
        right.plot(
            np.insert(exact.entropy.values[1:], jumps, np.nan),
            np.insert(so_far, jumps, np.nan),
            color=color,
            marker=MARKERS[i % len(MARKERS)],
            markersize=3.5,
            linewidth=1.4,
        )
    end = paths[0][1]
    left.plot(
        end.entropy.values[-1],
        end.energy.values[-1],
        "k*",
        markersize=11,
        label="trained",
        zorder=3,
    )
    left.set_yscale("log")
    left.set_xlabel("entropy $S$  [nat]")
    left.set_ylabel("energy $U$  [energy]")
    left.legend(frameon=False, fontsize=9)
    caption(left, title, "points: simulated, bars: 2 standard errors; lines: exact")
    right.axhline(bath_temperature, color="0.3", linewidth=1, linestyle="--")
    right.set_yscale("symlog", linthresh=bath_temperature)
    right.set_xlabel("entropy $S$  [nat]")
    right.set_ylabel(r"$[U_0 - U]/[S_0 - S]$  [energy]")
    caption(right, "", "temperature of the transition so far; dashed: the bath")
    return figure


def heat_capacities(capacities: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """Heat capacity and excess energy for each parameter, against the bath's temperature."""
    figure, (left, right) = new_figure(11.0, 4.0, columns=2)
    for i, (name, entries) in enumerate(capacities.items()):
        baths = [entry["bath_temperature"] for entry in entries]
        style = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1.4}
        for ax, quantity in ((left, "heat_capacity"), (right, "excess_energy")):
            mean = [entry[quantity] for entry in entries]
            error = np.asarray([entry[f"{quantity}_error"] for entry in entries])
            ax.errorbar(baths, mean, yerr=2 * error, label=name, **style)
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_ylim(bottom=0)
        ax.set_xlabel(r"temperature of the bath $\tau$  [energy]")
    left.set_ylabel(r"heat capacity for each parameter $C/d$")
    right.set_ylabel(r"$(U - E_{\min})/(d\,\tau)$")
    caption(left, title, "trained states, bars: 2 standard errors; ½ is equipartition")
    legend_beside(right)
    return figure
