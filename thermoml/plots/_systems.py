"""Figures of ensembles and engines in baths: densities on a grid, diagrams of cycles."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..thermodynamics import CycleResult, FokkerPlanck, FokkerPlanckSolution
from ._artists import by_label, histogram, legend, line_style, panels, quantity_label

_MOST = 7  # saves of a solution that are drawn


def density(
    equation: FokkerPlanck,
    density: ArrayLike | FokkerPlanckSolution | Mapping[str, ArrayLike],
    *,
    samples: ArrayLike | None = None,
    bins: int = 40,
    axes: Axes | None = None,
) -> Figure:
    """Densities on the grid of a Fokker-Planck equation, and a histogram of simulated states.

    Args:
        equation: whose axes are the grid.
        density: of the grid's shape; a solution, of which up to seven saves are drawn; or several
            densities by label. On two axes one density only.
        samples: states of trajectories, `(trajectory,)`; on a periodic axis they are wrapped.
        bins: of their histogram.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: another equation, or densities of another shape.
    """
    by_label(equation, FokkerPlanck)
    entries = _densities(density)
    for label, values in entries.items():
        if values.shape != equation.shape:
            raise ValueError(
                f"density must have the grid's shape {equation.shape}, got {values.shape}"
                + (f" for {label!r}" if label else "")
            )
    figure, (ax,) = panels(axes, 1)
    if len(equation.axes) == 2:
        _map(figure, ax, equation, entries, samples)
        return figure
    (axis,) = equation.axes
    steps = isinstance(density, FokkerPlanckSolution)
    shades = colormaps["viridis_r"](np.linspace(0.1, 1, len(entries)))
    if samples is not None:
        places = np.asarray(samples, float)
        if axis.periodic:
            places = axis.lower + np.mod(places - axis.lower, axis.upper - axis.lower)
        edges = np.linspace(axis.lower, axis.upper, bins + 1)
        style = {"color": "0.6", "alpha": 0.5, "fill": True, "label": "simulated"}
        histogram(ax, places, edges, **style)
    for index, (label, values) in enumerate(entries.items()):
        style = {"color": shades[index], "linewidth": 1.6} if steps else line_style(index)
        ax.plot(axis.centres, values, label=label or None, **style)
    ax.set(xlabel="coordinate $x$", xlim=(axis.lower, axis.upper))
    ax.set_ylim(bottom=0)
    ax.set_ylabel(quantity_label("probability density", "1/length"))
    legend([ax], axes)
    return figure


def _densities(density: Any) -> dict[str, np.ndarray]:
    if isinstance(density, FokkerPlanckSolution):
        last = len(density.times) - 1
        every = max(1, -(-last // (_MOST - 1)))
        return {
            f"$t$ = {float(density.times[i]):.4g}": np.asarray(density.density[i], float)
            for i in [*range(0, last, every), last]
        }
    if isinstance(density, Mapping):
        return {str(label): np.asarray(values, float) for label, values in density.items()}
    return {"": np.asarray(density, float)}


def _map(
    figure: Figure,
    ax: Axes,
    equation: FokkerPlanck,
    entries: Mapping[str, np.ndarray],
    samples: ArrayLike | None,
) -> None:
    if len(entries) != 1 or samples is not None:
        raise ValueError(
            f"on two axes one density is drawn, without samples; got {len(entries)}; choose one"
        )
    first, second = (axis.centres for axis in equation.axes)
    (values,) = entries.values()
    mesh = ax.pcolormesh(first, second, values.T, cmap="viridis", shading="nearest")
    figure.colorbar(mesh, ax=ax, label="probability density  [1/area]")
    ax.grid(False)
    ax.set(xlabel="coordinate $x_1$", ylabel="coordinate $x_2$", aspect="equal")


def cycle(
    results: CycleResult | Mapping[str, CycleResult],
    *,
    component: int | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Settled rounds of engines, in the planes of control and conjugate, and of entropy and bath.

    An arrow shows the sense, a dot the start. The area inside the left curve is the work gained if
    the control is one number; on the right a change of bath is a step at constant entropy.

    Args:
        results: of `Cycle.moment_equations` or `Cycle.simulate`, or several by label.
        component: which number of a control that has several, by its place in the flattened pytree.
        axes: two, for both planes; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: other results, or a control of several numbers without a component.
    """
    entries = by_label(results, CycleResult)
    figure, (left, right) = panels(axes, 2)
    for index, (label, result) in enumerate(entries.items()):
        style = line_style(index)
        control, conjugate = (_component(x, component) for x in (result.control, result.conjugate))
        left.plot(control, conjugate, label=label or None, **style)
        left.plot(control[:1], conjugate[:1], "o", color=style["color"], markersize=4)
        _arrow(left, control, conjugate, style["color"])
        right.plot(result.entropy, result.temperature, drawstyle="steps-pre", **style)
    number = f" {component + 1}" if component is not None else ""
    left.set_xlabel(rf"control{number} $\lambda$")
    left.set_ylabel(r"conjugate $\langle\partial U/\partial\lambda\rangle$")
    right.set_xlabel(quantity_label("entropy of the system $S$", "nat"))
    right.set_ylabel(quantity_label("temperature of the bath $T$", "energy"))
    legend([left, right], axes)
    return figure


def _component(tree: Any, component: int | None) -> np.ndarray:
    """One number of a control along the round, `(point,)`."""
    leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(tree)]
    columns = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    count = columns.shape[1]
    if component is None and count > 1:
        raise ValueError(f"component must be given, from 0 to {count - 1}: the control has {count}")
    if component is not None and not 0 <= component < count:
        raise ValueError(f"component must be from 0 to {count - 1}, got {component}")
    return columns[:, component or 0]


def _arrow(ax: Axes, x: np.ndarray, y: np.ndarray, color: str) -> None:
    """The sense of a curve, in the middle of the first stretch where x moves fast."""
    steps = np.abs(np.diff(x))
    fast = steps > steps.max() / 2
    if fast.any():
        start = int(np.argmax(fast))
        slow = np.flatnonzero(~fast[start:])
        i = start + (slow[0] if slow.size else fast.size - start) // 2
        arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 1.8}
        ax.annotate("", (x[i + 1], y[i + 1]), (x[i], y[i]), arrowprops=arrow)
