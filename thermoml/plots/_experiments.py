"""Figures of the studies of small systems in baths."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import COLOURS, MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = "bars: 2 standard errors"


def measured_on_curve(
    ax: "Axes", x: Any, entries: Sequence[Mapping[str, Any]], label: str, index: int = 0
) -> None:
    """Measurements with bars of two standard errors on the line of their prediction."""
    color = COLOURS[index]
    ax.plot(x, [e["predicted"] for e in entries], color=color, linewidth=1.4)
    kept = [i for i, e in enumerate(entries) if e["mean"] is not None]
    ax.errorbar(
        np.asarray(x)[kept],
        [entries[i]["mean"] for i in kept],
        yerr=[2 * entries[i]["standard_error"] for i in kept],
        fmt=MARKERS[index],
        color=color,
        markersize=4.5,
        capsize=2.5,
        label=label,
    )


def _histogram(ax: "Axes", values: Any, bins: Any, **style: Any) -> None:
    density, edges = np.histogram(values, bins, density=True)
    ax.stairs(density, edges, **style)


def work_distributions(works: Sequence[tuple], temperature: float, title: str) -> "Figure":
    """Work there and minus the work back for each duration, with the exact normal laws."""
    figure, axes = new_figure(3.6 * len(works) + 0.8, 3.8, columns=len(works))
    for ax, (duration, there, back, mean) in zip(axes, works, strict=True):
        low, high = min(there.min(), back.min()), max(there.max(), back.max())
        bins, fine = np.linspace(low, high, 60), np.linspace(low, high, 400)
        width = np.sqrt(2 * temperature * mean)  # of a normal law that obeys Crooks, ΔF = 0
        for i, (values, centre, label) in enumerate(
            ((there, mean, "$P_F(W)$"), (back, -mean, "$P_R(-W)$"))
        ):
            _histogram(ax, values, bins, fill=True, color=COLOURS[i], alpha=0.35, label=label)
            exact = np.exp(-(((fine - centre) / width) ** 2) / 2) / np.sqrt(2 * np.pi) / width
            ax.plot(fine, exact, color=COLOURS[i], linewidth=1.4)
        ax.axvline(0, color="0.3", linewidth=1, linestyle=":")
        ax.set_xlabel("work $W$  [energy]")
        ax.text(0.98, 0.96, rf"$\tau = {duration:g}$", transform=ax.transAxes, ha="right", va="top")
    axes[0].set_ylabel(r"probability density  [1/energy]")
    caption(axes[0], title, r"steps: simulated; lines: exact; they cross at $\Delta F = 0$")
    legend_beside(axes[-1])
    return figure


def free_energy_estimates(estimates: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Free energy differences of each method against the duration, and the slope of Crooks."""
    figure, (left, right) = new_figure(11.0, 4.2, columns=2)
    durations = np.asarray([entry["duration"] for entry in estimates])
    for i, method in enumerate(("jarzynski", "bennett")):
        found = [entry[method] for entry in estimates]
        for good, face in ((True, COLOURS[i]), (False, "none")):
            chosen = [j for j, entry in enumerate(found) if entry["trustworthy"] is good]
            if chosen:
                left.errorbar(
                    durations[chosen] * (1 + 0.06 * (i - 0.5)),
                    [found[j]["mean"] for j in chosen],
                    yerr=[2 * found[j]["standard_error"] for j in chosen],
                    fmt=MARKERS[i],
                    color=COLOURS[i],
                    markerfacecolor=face,
                    capsize=2.5,
                    label=f"{method.capitalize()}{'' if good else ', too few samples'}",
                )
    left.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"free energy difference $\Delta F$  [energy]")
    slopes = [(d, e["crooks_slope"]) for d, e in zip(durations, estimates, strict=True)]
    slopes = [(d, s) for d, s in slopes if s["mean"] is not None]
    right.errorbar(
        [d for d, _ in slopes],
        [s["mean"] for _, s in slopes],
        yerr=[2 * s["standard_error"] for _, s in slopes],
        fmt=MARKERS[0],
        color=COLOURS[2],
        capsize=2.5,
    )
    right.axhline(1, color="0.3", linewidth=1)
    right.set_ylabel(r"slope of $\ln[P_F(W)/P_R(-W)]$ against $W/T$")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel(r"duration $\tau$  [$1/\mu k$]")
    caption(left, title, f"{_BARS}; lines: exact")
    left.legend(frameon=False, fontsize=9)
    return figure


def ring_transport(points: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Velocity, effective diffusion and the uncertainty product against the force."""
    figure, axes = new_figure(12.6, 4.0, columns=3)
    force = [entry["force"] for entry in points]
    panels = {
        "velocity": r"velocity $v$  [length/time]",
        "diffusion": r"effective diffusion $D$  [length²/time]",
        "uncertainty_product": r"$2D\,\sigma/v^2$",
    }
    for i, (ax, (name, label)) in enumerate(zip(axes, panels.items(), strict=True)):
        measured_on_curve(ax, force, [entry[name] for entry in points], "simulated", i)
        ax.set_xlabel("force $f$  [energy/length]")
        ax.set_ylabel(label)
    axes[2].axhline(2, color="0.3", linewidth=1)
    axes[2].text(0.98, 2, "bound", transform=axes[2].get_yaxis_transform(), ha="right", va="bottom")
    caption(axes[0], title, f"{_BARS}; lines: Fokker-Planck equation")
    return figure


def ring_densities(densities: Sequence[tuple], title: str) -> "Figure":
    """The stationary density on the ring at each force."""
    figure, (ax,) = new_figure(7.6, 4.2)
    for i, (force, measured, error, exact) in enumerate(densities):
        places = (np.arange(measured.size) + 0.5) * 2 * np.pi / measured.size
        fine = (np.arange(exact.size) + 0.5) * 2 * np.pi / exact.size
        ax.plot(fine, exact, color=COLOURS[i % len(COLOURS)], linewidth=1.3)
        ax.errorbar(
            places,
            measured,
            yerr=2 * error,
            fmt=MARKERS[i % len(MARKERS)],
            markersize=3,
            linewidth=0.8,
            color=COLOURS[i % len(COLOURS)],
            label=f"$f = {force:g}$",
        )
    ax.set_xticks(np.pi * np.arange(5) / 2, ["0", "π/2", "π", "3π/2", "2π"])
    ax.set_xlabel("place on the ring $x$")
    ax.set_ylabel("probability density")
    ax.set_ylim(bottom=0)
    caption(ax, title, f"{_BARS}; lines: Fokker-Planck equation")
    legend_beside(ax)
    return figure


def heat_between_baths(points: Sequence[Mapping[str, Any]], cold: float, title: str) -> "Figure":
    """Heat into both baths and the entropy production against the hot bath's temperature."""
    figure, (left, right) = new_figure(11.4, 4.2, columns=2)
    hot = [entry["hot"] for entry in points]
    measured_on_curve(left, hot, [e["heat_into_cold"] for e in points], "into the cold bath", 0)
    measured_on_curve(left, hot, [e["heat_into_hot"] for e in points], "into the hot bath", 3)
    measured_on_curve(right, hot, [e["entropy_rate"] for e in points], "simulated", 2)
    left.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"heat $\dot Q$  [energy/time]")
    right.set_ylabel(r"entropy production  [nat/time]")
    for ax in (left, right):
        ax.set_xlabel(rf"temperature of the hot bath, the cold one is at {cold:g}")
    left.legend(frameon=False, fontsize=9)
    caption(left, title, f"{_BARS}; lines: exact")
    return figure


def entropy_production_distributions(produced: Sequence[tuple], title: str) -> "Figure":
    """Total entropy production of trajectories, and the detailed fluctuation theorem."""
    figure, (left, right) = new_figure(11.4, 4.2, columns=2)
    reach = 0.0
    for i, (hot, values) in enumerate(produced):
        if np.ptp(values) < 1e-9:  # equilibrium produces none
            continue
        style = line_style(i)
        low, high = np.percentile(values, [0.05, 99.95])
        bins = np.linspace(low, high, 60)
        _histogram(left, values, bins, label=rf"$T_h = {hot:g}$", **style)
        # P(s) against P(-s) in bins that mirror each other
        top = np.percentile(-values, 99.5)
        if top <= 0:
            continue
        edges = np.linspace(0, top, 9)
        ahead, behind = np.histogram(values, edges)[0], np.histogram(-values, edges)[0]
        good = (ahead > 0) & (behind > 0)
        middle = (edges[1:] + edges[:-1]) / 2
        ratio = np.log(ahead[good] / behind[good])
        error = np.sqrt(1 / ahead[good] + 1 / behind[good])
        right.errorbar(
            middle[good],
            ratio,
            yerr=2 * error,
            fmt=MARKERS[i % len(MARKERS)],
            color=style["color"],
            capsize=2.5,
            markersize=4.5,
            label=rf"$T_h = {hot:g}$",
        )
        reach = max(reach, top)
    right.plot([0, reach], [0, reach], color="0.3", linewidth=1)
    left.axvline(0, color="0.3", linewidth=1, linestyle=":")
    left.set_xlabel(r"total entropy production $\Delta s$  [nat]")
    left.set_ylabel("probability density")
    right.set_xlabel(r"$\Delta s$  [nat]")
    right.set_ylabel(r"$\ln[p(\Delta s)/p(-\Delta s)]$")
    caption(left, title, f"right: {_BARS}; line: detailed fluctuation theorem")
    legend_beside(right)
    return figure


def engine_against_duration(summary: Mapping[str, Any], title: str) -> "Figure":
    """Work, efficiency and power against the duration of the isothermal strokes."""
    figure, axes = new_figure(12.6, 4.0, columns=3)
    points = summary["points"]
    durations = [entry["duration"] for entry in points]
    gained = [
        {
            "mean": -entry["work"]["mean"],
            "standard_error": entry["work"]["standard_error"],
            "predicted": -entry["work"]["predicted"],
        }
        for entry in points
    ]
    slow = summary["quasi_static"]
    measured_on_curve(axes[0], durations, gained, "simulated")
    axes[0].axhline(-slow["work"], color="0.3", linewidth=1, linestyle=":", label="quasi-static")
    axes[0].axhline(0, color="0.3", linewidth=1)
    axes[0].set_ylabel("work gained in a round  [energy]")
    ratios = [
        entry["efficiency"] | {"predicted": entry["efficiency"]["predicted"] or float("nan")}
        for entry in points
    ]
    measured_on_curve(axes[1], durations, ratios, "simulated", 1)
    for value, label, dashes in (
        (summary["carnot"], "Carnot", "-"),
        (summary["curzon_ahlborn"], "Curzon-Ahlborn", "--"),
        (slow["efficiency"], "quasi-static", ":"),
    ):
        axes[1].axhline(value, color="0.3", linewidth=1, linestyle=dashes, label=label)
    axes[1].set_ylabel(r"efficiency $\eta$")
    axes[1].set_ylim(bottom=0)
    axes[2].plot(durations, [e["power"] for e in points], "o-", color=COLOURS[2], markersize=4)
    axes[2].axhline(0, color="0.3", linewidth=1)
    axes[2].set_ylabel("power  [energy/time]")
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xlabel(r"duration of an isothermal stroke $\tau$")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].legend(frameon=False, fontsize=8)
    caption(axes[0], title, f"{_BARS}; lines: exact")
    return figure


def engine_diagrams(rounds: Sequence[tuple], title: str) -> "Figure":
    """A round in the planes of stiffness and ⟨x²⟩/2, and of entropy and bath temperature."""
    figure, (left, right) = new_figure(11.4, 4.4, columns=2)
    for i, (duration, control, conjugate, temperature, entropy) in enumerate(rounds):
        style = line_style(i)
        left.plot(control, conjugate, label=rf"$\tau = {duration:g}$", **style)
        # A change of bath is a step at constant entropy.
        right.plot(entropy, temperature, drawstyle="steps-pre", **style)
    left.set_xlabel("stiffness $k$  [energy/length²]")
    left.set_ylabel(r"$\langle\partial U/\partial k\rangle = \langle x^2\rangle/2$  [length²]")
    right.set_xlabel("entropy of the system $S$  [nat]")
    right.set_ylabel("temperature of the bath $T$  [energy]")
    caption(left, title, "the area inside is the work gained")
    caption(right, "", "the area inside is an upper bound of it")
    left.legend(frameon=False, fontsize=9)
    return figure


def optimal_protocols(
    points: Sequence[Mapping[str, Any]],
    ends: tuple[float, float],
    free_energy: float,
    quantity: str,
    title: str,
) -> "Figure":
    """Tuned protocols with their jumps, and the work they need against that of ramps."""
    figure, (left, right) = new_figure(11.8, 4.4, columns=2)
    durations = sorted({entry["duration"] for entry in points})
    ways = list(dict.fromkeys(entry["way"] for entry in points))
    for entry in points:
        style = line_style(durations.index(entry["duration"]))
        inside = entry["protocol"]
        fractions = np.linspace(0, 1, len(inside))
        exact = entry["way"] == ways[0]
        left.plot(
            [0, *fractions, 1] if exact else fractions,
            [ends[0], *inside, ends[1]] if exact else inside,
            color=style["color"],
            linestyle="-" if exact else "none",
            marker="" if exact else MARKERS[ways.index(entry["way"])],
            markersize=3.5,
            linewidth=1.5,
            label=rf"$\tau = {entry['duration']:g}$" if exact else None,
        )
    left.set_xlabel(r"time, in units of the duration, $t/\tau$")
    left.set_ylabel(quantity)
    left.legend(frameon=False, fontsize=9)
    for i, way in enumerate(ways):
        chosen = [entry for entry in points if entry["way"] == way]
        on = "on trajectories" if way == "simulated" else "by moment equations"
        times = [entry["duration"] for entry in chosen]
        measured_on_curve(right, times, [entry["work"] for entry in chosen], f"tuned {on}", i)
        if i == 0:
            ramp = [entry["ramp_work"] for entry in chosen]
            measured_on_curve(right, times, ramp, "ramp", 3)
            least = [entry["least_work"] for entry in chosen]
            right.plot(times, least, "k:", linewidth=1.4, label="least possible")
    right.axhline(free_energy, color="0.3", linewidth=1, label=r"$\Delta F$")
    right.set_xscale("log")
    right.set_xticks(durations, [f"{t:g}" for t in durations])
    right.minorticks_off()
    right.set_xlabel(r"duration $\tau$")
    right.set_ylabel("mean work  [energy]")
    legend_beside(right)
    words = "points: tuned on simulated trajectories; " if len(ways) > 1 else ""
    caption(left, title, f"{words}jumps at both ends")
    return figure
