"""Artists shared by all figures: error bars, bands, histograms; axes and results of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..numerics.statistics import Estimate
from ._style import COLOURS, MARKERS, new_figure

Panels = Axes | Sequence[Axes] | np.ndarray

BANDS = "bands: mean ± 2 standard errors"
BARS = "bars: 2 standard errors"
_Result = TypeVar("_Result")


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
