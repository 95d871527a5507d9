"""Figures of the studies of learning at rest."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ERROR = r"generalization error $\varepsilon$"
DISSIPATION = r"dissipation $\tilde\nu^2\mathrm{E}[F^2]$  [energy/time, $k_\mathrm{B}=1$]"
_MEASURED = "points: measured ± 2 standard errors; lines: predicted for N, B, dt"


def _points(ax: "Axes", x: Any, entry: "xarray.Dataset", name: str, index: int, label: str) -> None:
    """Measurements with bars of two standard errors."""
    ax.errorbar(
        x,
        entry[name].values,
        yerr=2 * np.nan_to_num(entry[f"{name}_standard_error"].values),
        fmt=MARKERS[index % len(MARKERS)],
        color=line_style(index)["color"],
        markersize=4,
        capsize=2.5,
        linewidth=1.2,
        label=label,
    )


def measured_against_alpha(results: "xarray.Dataset", title: str) -> "Figure":
    """Error and dissipation against α, a colour for each learning rate."""
    figure, axes = new_figure(10.6, 4.4, columns=2)
    panels = {"error": ERROR, "dissipation": DISSIPATION}
    alphas = results.alpha.values
    for ax, (name, words) in zip(axes, panels.items(), strict=True):
        for index, rate in enumerate(results.learning_rate.values):
            entry = results.sel(learning_rate=rate)
            color = line_style(index)["color"]
            ax.plot(alphas, entry[f"predicted_{name}"].values, color=color, linewidth=1.4)
            ax.plot(alphas, entry[f"limit_{name}"].values, ":", color=color, linewidth=1.1)
            _points(ax, alphas, entry, name, index, rf"$\tilde\nu$ = {rate:g}")
        ax.set_xlabel(r"$\alpha$")
        ax.set_ylabel(words)
    spread = results.dissipation.values[np.isfinite(results.dissipation.values)]
    if spread.size and spread.min() > 0 and spread.max() > 10 * spread.min():
        axes[1].set_yscale("log")
    caption(axes[0], title, f"{_MEASURED}; dotted: $N\\to\\infty$, $dt\\to 0$")
    legend_beside(axes[1])
    return figure


def error_at_dissipation(results: "xarray.Dataset", title: str) -> "Figure":
    """Error against α where all dissipate as much; a star where the search for the best ends."""
    budgets = results.budget.values
    figure, axes = new_figure(max(6.4, 4.1 * len(budgets)), 4.4, columns=len(budgets))
    alphas = results.alpha.values
    for index, (ax, budget) in enumerate(zip(axes, budgets, strict=True)):
        entry = results.sel(budget=budget)
        color = line_style(index)["color"]
        ax.plot(alphas, entry.predicted_error.values, color=color, linewidth=1.4)
        ax.plot(alphas, entry.limit_error.values, ":", color=color, linewidth=1.1)
        _points(ax, alphas, entry, "error", index, "measured")
        found = np.isfinite(entry.best_error.values)
        if found.any():
            at = int(np.nanargmin(entry.best_error.values))
            best = entry.isel(alpha=at)
            ax.plot(
                [float(best.best_alpha)],
                [float(best.best_error)],
                "*",
                color="black",
                markersize=11,
                label=rf"$\alpha^*$ = {float(best.best_alpha):.4f}",
                zorder=5,
            )
        ax.set_xlabel(r"$\alpha$")
        words = rf"$\tilde\nu^2\mathrm{{E}}[F^2]$ = {budget:g}"
        ax.legend(frameon=False, fontsize=8, title=words, loc="upper center")
    axes[0].set_ylabel(ERROR)
    caption(axes[0], title, f"{_MEASURED}; dotted, and star: $N\\to\\infty$, $dt\\to 0$")
    return figure


def frontier(results: "xarray.Dataset", errors: Any, least: Any, title: str) -> "Figure":
    """Error against dissipation for every rule, and the least dissipation for some errors."""
    figure, (left, right) = new_figure(11.4, 4.8, columns=2)
    left.plot(least, errors, color="black", linewidth=2.2, label=r"bound $D_{\min}(\varepsilon)$")
    left.fill_between(least, 0, errors, color="0.93", linewidth=0)
    right.axhline(1, color="black", linewidth=2.2)
    for index, rule in enumerate(results.rule.values):
        entry = results.sel(rule=rule)
        learned = "learned" in str(rule)
        style = line_style(index) | ({"linestyle": "none"} if learned else {"linewidth": 1.5})
        kind = {"marker": "D", "markersize": 5} if learned else {}
        cost = entry.limit_dissipation.values
        left.plot(cost, entry.limit_error.values, label=str(rule), **style, **kind)
        right.plot(cost, entry.efficiency.values, **style, **kind)
        left.errorbar(
            entry.dissipation.values,
            entry.error.values,
            xerr=2 * np.nan_to_num(entry.dissipation_standard_error.values),
            yerr=2 * np.nan_to_num(entry.error_standard_error.values),
            fmt="o",
            markersize=3,
            markerfacecolor="white",
            linewidth=1,
            color=style["color"],
        )
    costs = results.limit_dissipation.values
    left.set_xlim(0.6 * np.nanmin(costs), 1.5 * np.nanmax(costs))
    left.set_ylim(errors.min(), errors.max())
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel(DISSIPATION)
    left.set_ylabel(ERROR)
    right.set_ylabel(r"efficiency $D_{\min}(\varepsilon)/D$")
    right.set_ylim(0, 1.06)
    words = r"lines, diamonds: $N\to\infty$, $dt\to 0$; circles: measured ± 2 standard errors"
    caption(left, title, f"{words}; grey: no rule")
    left.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def entropy_production(rows: list[dict[str, Any]], title: str) -> "Figure":
    """Measured over predicted entropy production at each step size, and extrapolated to none."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    width = max(6.4, 3.4 * len(settings))
    figure, axes = new_figure(width, 4.6, columns=len(settings), sharey=True)
    for ax, setting in zip(axes, settings, strict=True):
        chosen = [row for row in rows if row["setting"] == setting]
        for index, row in enumerate(chosen):
            x = np.sqrt(row["dt"])
            style = {"color": line_style(index)["color"], "capsize": 2.5, "markersize": 4.5}
            mean, error = (
                np.asarray([entry[key] for entry in row["measured"]]) / row["predicted"]
                for key in ("mean", "standard_error")
            )
            marker = MARKERS[index % len(MARKERS)]
            ax.errorbar(x, mean, 2 * np.nan_to_num(error), fmt=f"{marker}-", linewidth=1, **style)
            limit = row["limit"]
            ax.errorbar(
                -0.06 * x.max() * (1 + 0.5 * index),
                limit["mean"] / row["predicted"],
                2 * np.nan_to_num(limit["standard_error"]) / row["predicted"],
                fmt=marker,
                markerfacecolor="white",
                label=row["rule"],
                **style,
            )
        ax.axhline(1, color="0.3", linewidth=1)
        ax.axvline(0, color="0.8", linewidth=0.8)
        ax.set_xlabel(r"$\sqrt{dt}$")
        ax.text(0.5, 0.98, setting, transform=ax.transAxes, ha="center", va="top", fontsize=8.5)
    axes[0].set_ylabel("entropy production, measured / predicted")
    words = r"bars: 2 standard errors; open, left of 0: extrapolated to $dt\to 0$"
    caption(axes[0], title, words)
    legend_beside(axes[-1])
    return figure
