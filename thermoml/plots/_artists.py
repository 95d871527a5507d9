"""Style and artists shared by all figures: colours, error bars, bands, histograms, axes."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..numerics.statistics import Estimate

# Okabe and Ito's palette, distinguishable for colour-blind readers and in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = "os^Dv<>p"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))

Panels = Axes | Sequence[Axes] | np.ndarray

BANDS = "bands: mean ± 2 standard errors"
BARS = "bars: 2 standard errors"
_Result = TypeVar("_Result")


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


def error_bars(
    ax: Axes, x: ArrayLike | Estimate, y: ArrayLike | Estimate, index: int = 0, **style: Any
) -> None:
    """Points with bars of two standard errors along each axis that has an `Estimate`.

    Points without a finite y are left out, and bars without a finite length.

    Args:
        ax: where to draw.
        x, y: arrays of one length, or single numbers.
        index: of the colour and the marker.
        style: further arguments of `Axes.errorbar`, such as `label`.
    """
    (x, x_error), (y, y_error) = (_with_bars(values) for values in (x, y))
    kept = np.isfinite(y)
    bars = {
        name: None if error is None else error[kept]
        for name, error in (("xerr", x_error), ("yerr", y_error))
    }
    look = {
        "fmt": MARKERS[index % len(MARKERS)],
        "color": COLOURS[index % len(COLOURS)],
        "markersize": 4.5,
        "capsize": 2.5,
    }
    ax.errorbar(x[kept], y[kept], **bars, **look | style)


def _with_bars(values: ArrayLike | Estimate) -> tuple[np.ndarray, np.ndarray | None]:
    """Values, and twice their standard errors; None for values without."""
    if not isinstance(values, Estimate):
        return np.atleast_1d(np.asarray(values, float)), None
    mean, error = np.broadcast_arrays(*(np.asarray(x, float) for x in values))
    return np.atleast_1d(mean), 2 * np.nan_to_num(np.atleast_1d(error))


def histogram(ax: Axes, values: ArrayLike, bins: ArrayLike, **style: Any) -> None:
    """The probability density of values in bins, as steps.

    Args:
        ax: where to draw.
        values: samples, of any shape.
        bins: edges, or how many.
        style: further arguments of `Axes.stairs`.
    """
    density, edges = np.histogram(np.asarray(values, float), bins, density=True)
    ax.stairs(density, edges, **style)


def quantity_label(words: str, units: str) -> str:
    """`heat  [energy]`."""
    return f"{words}  [{units}]" if units else words


def panels(
    axes: Panels | None, count: int, *, width: float = 0.0, height: float = 3.9
) -> tuple[Figure, list[Axes]]:
    """A figure and `count` axes side by side: new ones, or those given.

    Raises:
        TypeError, ValueError: `axes` are no Matplotlib axes, or another number of them.
    """
    if axes is None:
        figure, new = new_figure(width or (6.9 if count == 1 else 4.7 * count), height, count)
        return figure, list(new)
    several = [axes] if isinstance(axes, Axes) else list(np.ravel(np.asarray(axes, object)))
    wrong = [x for x in several if not isinstance(x, Axes)]
    if wrong:
        raise TypeError(f"axes must be Matplotlib axes, got {type(wrong[0]).__name__}")
    if len(several) != count:
        raise ValueError(f"axes must be {count} for this figure, got {len(several)}")
    figure = several[0].get_figure(root=True)
    assert figure is not None  # axes that were removed from their figure
    return figure, several


def legend(places: Sequence[Axes], axes: Panels | None) -> None:
    """The legend of the labelled artists in the first of a figure's axes.

    Args:
        places: the axes of the figure.
        axes: those given by the caller. If None, the legend is to the right of the last of a new
            figure's axes; otherwise inside of the first.
    """
    handles, labels = places[0].get_legend_handles_labels()
    if not labels:
        return
    style = {"frameon": False, "fontsize": 9}
    if axes is None:
        style |= {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
        places[-1].legend(handles, labels, **style)
    else:
        places[0].legend(handles, labels, **style)


def plain_ticks(axis: Axis) -> None:
    """Labels such as 0.1 and 10 on a logarithmic axis; 0.2 and 0.5 too if it is short."""

    def between(x: float, _: float) -> str:
        low, high = axis.get_view_interval()
        leading = round(x / 10 ** np.floor(np.log10(x)))
        return f"{x:g}" if leading in (2, 5) and high < 20 * low else ""

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(between)


def by_label(results: Any, kind: type[_Result]) -> dict[str, _Result]:
    """The results by their labels; a single one has the label "".

    Raises:
        TypeError: they are not of this kind.
    """
    if isinstance(results, kind):
        return {"": results}
    if isinstance(results, Mapping) and results:
        wrong = next((x for x in results.values() if not isinstance(x, kind)), None)
        if wrong is None:
            return {str(label): result for label, result in results.items()}
        text = f"a mapping with a {type(wrong).__name__}"
    else:
        text = repr(results) if isinstance(results, Mapping) else type(results).__name__
    raise TypeError(f"a {kind.__name__} is needed, or a mapping from labels to several, got {text}")
