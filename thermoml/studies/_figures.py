"""Drawing shared by the figures of studies: error bars, predictions, histograms, limits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..numerics.statistics import Estimate
from ..plots import COLOURS, MARKERS

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

BARS = "bars: 2 standard errors"
_Entry = Mapping[str, Any]


def numbers(values: Iterable[float | None]) -> np.ndarray:
    """The values as an array, NaN for None."""
    return np.asarray([np.nan if value is None else value for value in values], float)


def column(entries: Sequence[_Entry]) -> Estimate:
    """Means and standard errors of entries of a summary, NaN for None."""
    names = ("mean", "standard_error")
    return Estimate(*(numbers([entry[name] for entry in entries]) for name in names))


def stored(results: "xarray.Dataset", name: str) -> Estimate:
    """Means and standard errors of a variable of the store."""
    return Estimate(results[name].values, results[f"{name}_standard_error"].values)


def error_bars(
    ax: "Axes",
    x: "ArrayLike | Estimate",
    y: "ArrayLike | Estimate",
    index: int = 0,
    **style: Any,
) -> None:
    """Points with bars of two standard errors along each axis that has an `Estimate`.

    Points without a finite y are left out, and bars without a finite length.

    Args:
        ax: where to draw.
        x, y: arrays of one length.
        index: of the colour and the marker.
        style: further arguments of `Axes.errorbar`.
    """
    x, y = (v if isinstance(v, Estimate) else Estimate(v, None) for v in (x, y))
    kept = np.isfinite(np.asarray(y.mean, float))
    bars = {
        name: None if v.standard_error is None else 2 * np.nan_to_num(v.standard_error)[kept]
        for name, v in (("xerr", x), ("yerr", y))
    }
    look = {
        "fmt": MARKERS[index % len(MARKERS)],
        "color": COLOURS[index % len(COLOURS)],
        "markersize": 4.5,
        "capsize": 2.5,
    }
    ax.errorbar(np.asarray(x.mean)[kept], np.asarray(y.mean)[kept], **bars, **look | style)


def curve_and_points(
    ax: "Axes", x: ArrayLike, entries: Sequence[_Entry], label: str, index: int = 0
) -> None:
    """Measurements with bars of two standard errors, and the line of their `predicted` values."""
    color = COLOURS[index % len(COLOURS)]
    ax.plot(x, numbers([entry["predicted"] for entry in entries]), color=color, linewidth=1.4)
    error_bars(ax, x, column(entries), index, label=label)


def histogram(ax: "Axes", values: ArrayLike, bins: ArrayLike, **style: Any) -> None:
    """The probability density of values in bins, as steps."""
    density, edges = np.histogram(values, bins, density=True)
    ax.stairs(density, edges, **style)


def fit_limits(ax: "Axes", values: Sequence[float]) -> None:
    """Horizontal limits that hold all values, also those without a point."""
    low, high = min(values), max(values)
    if ax.get_xscale() == "log":
        room = max((high / low) ** 0.05, 1.1)
        ax.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) or 0.5
        ax.set_xlim(low - room, high + room)
