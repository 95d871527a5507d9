"""Figures of simulations: the ledger, distributions of work, protocols."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..langevin import PiecewiseLinear, Ramp, Solution
from ..numerics.labels import leaf_names
from ..numerics.statistics import Estimate
from ..thermodynamics import FreeEnergy
from ._artists import (
    COLOURS,
    band,
    by_label,
    caption,
    histogram,
    legend,
    line_style,
    panels,
    quantity_label,
)

_FEWEST = 10  # counts in a bin that is reweighted


def ledger(
    solution: Solution,
    *,
    trajectory: int | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Work, heat, change of energy and entropy flow against time.

    Means with bands of two standard errors, and the central 90 % of the trajectories, paler.

    Args:
        solution: of `simulate`.
        trajectory: the index of one whose ledger is drawn instead.
        axes: two, for energies and for the entropy flow; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: another result, or a trajectory that it does not have.
    """
    by_label(solution, Solution)
    count = solution.work.shape[0]
    if trajectory is not None and not -count <= trajectory < count:
        raise ValueError(f"trajectory must be one of {count}, got {trajectory}")
    figure, (left, right) = panels(axes, 2)
    energies = {
        "work $W$": solution.work,
        "heat $Q$": solution.heat,
        r"energy $\Delta U$": solution.energy - solution.energy[:, :1],
    }
    for index, (label, values) in enumerate(energies.items()):
        _spread(left, solution.times, values, trajectory, index, label)
    _spread(right, solution.times, solution.entropy_flow, trajectory, 3, "")
    left.set_ylabel(quantity_label("since the start", "energy"))
    right.set_ylabel(quantity_label("entropy flow into the baths", "nat"))
    for ax in (left, right):
        ax.set_xlabel("time")
    left.legend(frameon=False, fontsize=9)
    if np.isnan(np.asarray(solution.entropy_flow)).all():
        right.text(0.5, 0.5, "none at T = 0", transform=right.transAxes, ha="center")
    words = "mean ± 2 standard errors, and the central 90 % of trajectories"
    single = "one trajectory" if count == 1 else f"trajectory {trajectory}"
    caption(left, "", words if count > 1 and trajectory is None else single)
    return figure


def _spread(
    ax: Axes, times: ArrayLike, values: ArrayLike, trajectory: int | None, index: int, label: str
) -> None:
    """A curve of the mean with two bands, or of one trajectory."""
    values = np.asarray(values, float)
    if trajectory is not None:
        ax.plot(times, values[trajectory], label=label or None, **line_style(index))
        return
    band(ax, times, *Estimate.of(values), index, label)
    if len(values) > 1:
        low, high = np.percentile(values, [5, 95], axis=0)
        color = COLOURS[index % len(COLOURS)]
        ax.fill_between(np.asarray(times), low, high, color=color, alpha=0.07, linewidth=0)
        for edge in (low, high):
            ax.plot(times, edge, color=color, linewidth=0.7, alpha=0.6)


def work_distribution(
    forward: Solution | ArrayLike,
    reverse: Solution | ArrayLike | None = None,
    *,
    temperature: float | None = None,
    free_energy: FreeEnergy | Estimate | float | None = None,
    bins: int = 40,
    axes: Axes | None = None,
) -> Figure:
    r"""Densities of the work of a protocol, and of minus the work of its reverse.

    They cross at ΔF, and obey Crooks' relation $P_R(-W) = P_F(W)e^{-(W-\Delta F)/T}$; with
    `temperature` and `free_energy` its right-hand side is drawn as points, where P_F has at least
    10 samples in the bin.

    Args:
        forward, reverse: simulations, or the work of each trajectory, `(trajectory,)`.
        temperature: T of the bath.
        free_energy: ΔF, a line; with a band of two standard errors if it is an estimate.
        bins: how many.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Source: Crooks 1999, Phys. Rev. E 60, 2721.
    """
    figure, (ax,) = panels(axes, 1)
    works = {"$P_F(W)$": _work(forward)}
    if reverse is not None:
        works["$P_R(-W)$"] = -_work(reverse)
    edges = np.histogram_bin_edges(np.concatenate(list(works.values())), bins)
    for index, (label, values) in enumerate(works.items()):
        style = {"color": COLOURS[index], "alpha": 0.4, "fill": True}
        histogram(ax, values, edges, label=label, **style)
    if free_energy is not None:
        value, error = _difference(free_energy)
        ax.axvline(value, color="0.2", linestyle=":", label=r"$\Delta F$")
        if error > 0:
            ax.axvspan(value - 2 * error, value + 2 * error, color="0.2", alpha=0.15, linewidth=0)
        if temperature is not None:
            _reweighted(ax, works["$P_F(W)$"], edges, value, float(temperature))
    ax.set_xlabel(quantity_label("work $W$", "energy"))
    ax.set_ylabel(quantity_label("probability density", "1/energy"))
    legend([ax], axes)
    return figure


def _work(runs: Solution | ArrayLike) -> np.ndarray:
    """The work of each trajectory at the end."""
    work = np.asarray(runs.work[:, -1] if isinstance(runs, Solution) else runs, float)
    if work.ndim != 1 or not np.isfinite(work).all():
        raise ValueError(f"work must be finite numbers, one for each trajectory, got {work}")
    return work


def _difference(free_energy: FreeEnergy | Estimate | float) -> tuple[float, float]:
    """ΔF and its standard error, 0 for a plain number."""
    if isinstance(free_energy, FreeEnergy):
        return float(free_energy.free_energy_difference), float(free_energy.standard_error)
    if isinstance(free_energy, Estimate):
        return float(free_energy.mean), float(free_energy.standard_error)
    return float(free_energy), 0.0


def _reweighted(
    ax: Axes, work: np.ndarray, edges: np.ndarray, difference: float, temperature: float
) -> None:
    counts = np.histogram(work, edges)[0]
    kept = counts >= _FEWEST
    middles = ((edges[1:] + edges[:-1]) / 2)[kept]
    density = counts[kept] / (work.size * np.diff(edges)[kept])
    ax.plot(
        middles,
        density * np.exp(-(middles - difference) / temperature),
        ".",
        color=COLOURS[3],
        label=r"$P_F(W)\,e^{-(W-\Delta F)/T}$",
    )


def protocol(
    controls: Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]],
    *,
    t1: float,
    t0: float = 0.0,
    axes: Axes | None = None,
) -> Figure:
    """Controls against time, with the jumps of piecewise linear ones.

    Args:
        controls: a control, any function of time to numbers, arrays or pytrees of them; or several
            by label.
        t0, t1: the range of times.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError: a control that is not callable.
    """
    entries = controls if isinstance(controls, Mapping) else {"": controls}
    figure, (ax,) = panels(axes, 1)
    index = 0
    for label, control in entries.items():
        if not callable(control):
            raise TypeError(f"a control must be a function of time, got {control!r:.60}")
        times, values = _sampled(control, t0, t1)
        for name, leaf in zip(leaf_names(values), jax.tree.leaves(values), strict=True):
            columns = np.reshape(np.asarray(leaf), (len(times), -1))
            for i, column in enumerate(columns.T):
                number = str(i + 1) if columns.shape[1] > 1 else ""
                words = ", ".join(str(part) for part in (label, name, number) if part)
                ax.plot(times, column, label=words or None, **line_style(index))
                index += 1
    ax.set(xlabel="time", ylabel=r"control $\lambda$")
    legend([ax], axes)
    return figure


def _sampled(control: Callable[[Any], Any], t0: float, t1: float) -> tuple[np.ndarray, Any]:
    """Times and the control there; of piecewise linear ones the knots, a jump being two of them."""
    ends = np.asarray([t0, t1], float)
    if isinstance(control, PiecewiseLinear):
        knots = np.asarray(control.times, float)
        within = (knots >= t0) & (knots <= t1)
        times = np.concatenate([ends[:1], knots[within], ends[1:]])
        outside = jax.vmap(control)(jnp.asarray(ends))

        def knotted(held: Any, values: Any) -> np.ndarray:
            held, values = np.asarray(held), np.asarray(values)
            return np.concatenate([held[:1], values[within], held[1:]])

        return times, jax.tree.map(knotted, outside, control.values)
    times = np.linspace(t0, t1, 401)
    if isinstance(control, Ramp):
        breaks = np.asarray(control.breaks, float)
        times = np.concatenate([ends[:1], breaks[(breaks > t0) & (breaks < t1)], ends[1:]])
    return times, jax.vmap(control)(jnp.asarray(times))
