"""Style of figures: one palette, one size, no global state."""

import io
import os
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable for colour-blind readers and in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = "os^Dv<>p"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))


class _Figure(Figure):
    """A figure outside pyplot: notebooks show it once; equal figures make equal files."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write a file, as Matplotlib does; an SVG without a date and with fixed identifiers."""
        suffix = os.path.splitext(fname)[1] if isinstance(fname, str | os.PathLike) else ""
        if options.get("format", suffix.removeprefix(".")) == "svg":
            options["metadata"] = {"Date": None} | options.get("metadata", {})
        with matplotlib.rc_context({"svg.hashsalt": "thermoml"}):
            super().savefig(fname, **options)


def new_figure(
    width: float = 6.4,
    height: float = 4.2,
    columns: int = 1,
    *,
    rows: int = 1,
    sharey: bool = False,
) -> tuple[Figure, Any]:
    """A figure outside pyplot, and its axes row by row.

    Args:
        width, height: in inches.
        columns, rows: of axes.
        sharey: whether all axes have the same vertical limits.
    """
    figure = _Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def plain_text(words: str) -> str:
    """Words that are drawn as they are: a dollar sign in them begins no formula."""
    return words.replace("$", r"\$")


def caption(ax: Axes, title: str, words: str) -> None:
    """The title above the axes, and below it, smaller, how to read them."""
    if title:
        ax.set_title(f"{title}\n", fontsize=11, loc="left")
    text = ax.text(0, 1.015, words, transform=ax.transAxes, fontsize=8, color="0.35")
    text.set_in_layout(not title)  # it may run on above the next axes


def legend_beside(ax: Axes) -> None:
    """The legend to the right of the axes."""
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def line_style(index: int) -> dict[str, Any]:
    """Colour, dashes and width of the index-th curve."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.8,
    }


def band(ax: Axes, x: Any, mean: Any, error: Any, index: int = 0, label: str = "") -> None:
    """A curve with a band of two standard errors on either side, none where these are NaN.

    Args:
        ax: where to draw.
        x: places, `(n,)`.
        mean, error: an estimate, each `(n,)`: `band(ax, times, *Estimate.of(heat))`.
        index: of the colour and the dashes.
        label: for the legend; "" for none.
    """
    x, mean, error = (np.asarray(values, float) for values in (x, mean, error))
    ax.plot(x, mean, label=label or None, **line_style(index))
    color = COLOURS[index % len(COLOURS)]
    ax.fill_between(x, mean - 2 * error, mean + 2 * error, color=color, alpha=0.25, linewidth=0)
