"""How figures look: one palette, one size, no global state."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers and in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = "os^Dv<>p"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))


def new_figure(
    width: float = 6.4,
    height: float = 4.2,
    columns: int = 1,
    *,
    rows: int = 1,
    sharey: bool = False,
) -> tuple[Figure, Any]:
    """A figure outside pyplot, and its axes row by row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def caption(ax: Axes, title: str, words: str) -> None:
    """The title above the axes, and below it, smaller, how to read them."""
    ax.set_title(f"{title}\n" if title else "", fontsize=11, loc="left")
    text = ax.text(0, 1.015, words, transform=ax.transAxes, fontsize=8, color="0.35")
    text.set_in_layout(not title)  # it may run on above the next axes


def legend_beside(ax: Axes) -> None:
    """The legend to the right of the axes."""
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the index-th curve."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.8,
    }


def band(ax: Axes, x: Any, mean: Any, error: Any, index: int, label: str) -> None:
    """A curve with a band of two standard errors on either side (none where it is NaN)."""
    ax.plot(x, mean, label=label, **line_style(index))
    color = COLOURS[index % len(COLOURS)]
    ax.fill_between(x, mean - 2 * error, mean + 2 * error, color=color, alpha=0.25, linewidth=0)
