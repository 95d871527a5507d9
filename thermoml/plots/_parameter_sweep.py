"""Figures of the study `sweep`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import MARKERS, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_MOST_CURVES = 8
_SYMBOLS = {
    "alpha": r"$\alpha$",
    "learning_rate": r"learning rate $\tilde\nu$",
    "n_inputs": "$N$",
    "batch": "$B$",
    "dt": "$dt$",
    "stiffness": "stiffness $k$",
    "temperature": "temperature $T$",
}
_PANELS = {
    "error": r"final generalization error $\varepsilon$",
    "dissipation_rate": r"dissipation rate  $\dot Q/N$  [energy/time, $k_\mathrm{B}=1$]",
}


def error_and_dissipation(
    results: "xarray.Dataset", dims: tuple[str, ...], title: str
) -> "dict[str, Figure]":
    """Error and dissipation against the longest axis of numbers, a curve for each value of another.

    Where there are further axes, one figure for each combination of their values.
    """
    horizontal = _horizontal(results, dims)
    rest = [dim for dim in dims if dim != horizontal]
    # Of the other axes the longest that a legend can hold makes the curves.
    curves = max(
        (dim for dim in rest if results.sizes[dim] <= _MOST_CURVES),
        key=lambda dim: results.sizes[dim],
        default=None,
    )
    others = [dim for dim in rest if dim != curves]
    final = results.isel(time=-1)
    figures = {}
    for index in np.ndindex(*(results.sizes[dim] for dim in others)):
        chosen = final.isel(dict(zip(others, index, strict=True)))
        where = ", ".join(f"{_symbol(dim)} = {_value(chosen[dim])}" for dim in others)
        words = "\n".join(part for part in (title, where) if part)
        name = "_".join(["error_and_dissipation", *(f"{i}" for i in index)])
        figures[name] = _panels(chosen, horizontal, curves, words)
    return figures


def _horizontal(results: "xarray.Dataset", dims: tuple[str, ...]) -> str:
    numbers = [dim for dim in dims if results[dim].dtype.kind in "if"] or list(dims)
    return max(numbers, key=lambda dim: results.sizes[dim])


def _symbol(dim: str) -> str:
    return _SYMBOLS.get(dim, dim.replace("_", " "))


def _value(coordinate: "xarray.DataArray") -> str:
    value = coordinate.item()
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _panels(final: "xarray.Dataset", horizontal: str, curves: str | None, title: str) -> "Figure":
    figure, axes = new_figure(10.2, 4.4, columns=2)
    entries = [(final, None)]
    if curves is not None:
        entries = [(final.isel({curves: i}), i) for i in range(final.sizes[curves])]
    positions = final[horizontal].values
    named = positions.dtype.kind not in "if"
    ticks = np.arange(len(positions)) if named else positions
    for ax, (name, words) in zip(axes, _PANELS.items(), strict=True):
        for entry, index in entries:
            symbol = _symbol(str(curves)).split()[-1]
            label = None if index is None else f"{symbol} = {_value(entry[curves])}"
            ax.errorbar(
                ticks,
                entry[name].values,
                yerr=2 * np.nan_to_num(entry[f"{name}_standard_error"].values),
                marker=MARKERS[(index or 0) % len(MARKERS)],
                markersize=4,
                capsize=2.5,
                label=label,
                **_line(index or 0, named),
            )
        if named:
            ax.set_xticks(ticks, [str(p) for p in positions], rotation=25, ha="right")
        ax.set_xlabel(_symbol(horizontal))
        ax.set_ylabel(words)
        if _spans_decades(final[name].values):
            ax.set_yscale("log")
        if not named and _even_in_log(positions):
            ax.set_xscale("log")
    shown = final.error_standard_error.values
    words = "bars: 2 standard errors" if np.isfinite(shown).any() else "one trajectory each"
    caption(axes[0], title, words)
    if curves is not None:
        legend_beside(axes[1])
    return figure


def _line(index: int, named: bool) -> dict[str, Any]:
    style = line_style(index) | {"linewidth": 1.3}
    return style | {"linestyle": "none"} if named else style


def _spans_decades(values: np.ndarray) -> bool:
    good = values[np.isfinite(values)]
    return bool(good.size and good.min() > 0 and good.max() > 30 * good.min())


def _even_in_log(positions: np.ndarray) -> bool:
    """Whether positive numbers are spaced more evenly on a log scale than on a linear one."""
    if len(positions) < 3 or (positions <= 0).any():
        return False
    steps, ratios = np.diff(positions), np.diff(np.log(positions))
    return bool(np.ptp(ratios) / abs(ratios).mean() < np.ptp(steps) / abs(steps).mean())
