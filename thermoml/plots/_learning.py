"""Figures of learning perceptrons: rules, learning curves, second law, frontier of rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..numerics.labels import Labelled
from ..numerics.statistics import Estimate
from ..perceptron import (
    TIME_UNIT,
    AbstractRule,
    InformationBound,
    LearningCurve,
    SteadyState,
    dissipation_bound,
)
from ._artists import (
    BANDS,
    BARS,
    Panels,
    band,
    by_label,
    caption,
    error_bars,
    legend,
    line_style,
    panels,
    quantity_label,
)

_TIME = quantity_label("time", TIME_UNIT)


def rules(
    rules: AbstractRule | Mapping[str, Callable[[Any], Any]],
    *,
    between: tuple[float, float] = (-2.0, 2.0),
    axes: Axes | None = None,
) -> Figure:
    """The force F(s) of learning rules against the stability s of an example.

    Args:
        rules: one, or several by label.
        between: the range of s.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.
    """
    figure, (ax,) = panels(axes, 1)
    stability = jnp.linspace(*between, 401)
    entries = rules if isinstance(rules, Mapping) else {rules.label: rules}
    for index, (label, rule) in enumerate(entries.items()):
        # Rules that agree on one side of s = 0 are seen one behind the other.
        style: dict[str, Any] = line_style(index)
        style["linewidth"] = 3.4 - 1.8 * index / max(1, len(entries) - 1)
        ax.plot(stability, jnp.vectorize(rule)(stability), label=label, **style)
    ax.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.set(xlabel="stability $s$  (wrong | right)", ylabel="force $F(s)$")
    legend([ax], axes)
    return figure


def learning_curve(
    curves: LearningCurve | Mapping[str, LearningCurve],
    quantity: str | Sequence[str] = "error",
    *,
    axes: Panels | None = None,
) -> Figure:
    """Observables of learning against time, with bands of two standard errors.

    Args:
        curves: one `LearningCurve`, or several by label.
        quantity: an observable of `LearningCurve.quantities()`, such as "error" or "heat", or
            several, each on axes of its own.
        axes: where to draw, one for each quantity; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: other results, or a quantity that a curve does not have.

    Example:
        ```python
        tml.plots.learning_curve({"Hebbian": curve, "AdaTron": other}, ["error", "heat"])
        ```
    """
    names = [quantity] if isinstance(quantity, str) else list(quantity)
    labelled = {label: curve.labelled() for label, curve in by_label(curves, LearningCurve).items()}
    figure, places = panels(axes, len(names))
    for ax, name in zip(places, names, strict=True):
        for index, (label, variables) in enumerate(labelled.items()):
            variable = _observable(variables, name)
            band(ax, variables["time"].values, *Estimate.of(variable.values), index, label)
            ax.set_ylabel(quantity_label(variable.long_name, variable.units))
        ax.set_xlabel(_TIME)
    several = any(x["overlap"].values.shape[0] > 1 for x in labelled.values())
    caption(places[0], "", BANDS if several else "one trajectory each")
    legend(places, axes)
    return figure


def _observable(variables: Mapping[str, Labelled], name: str) -> Labelled:
    observables = {key: x for key, x in variables.items() if x.dims == ("trajectory", "time")}
    if name not in observables:
        raise ValueError(f"quantity must be one of {', '.join(observables)}, got {name!r}")
    return observables[name]


def information(bound: InformationBound, *, axes: Sequence[Axes] | None = None) -> Figure:
    """The information that was learned against the entropy that it cost, and their ratio.

    Args:
        bound: of `information_bound`.
        axes: two, for the amounts and the efficiencies; a new figure by default.

    Returns:
        The Matplotlib figure. Save 0, where all amounts are 0, is left out.

    Raises:
        TypeError: another result.
    """
    by_label(bound, InformationBound)
    figure, (left, right) = panels(axes, 2)
    later = slice(1, None)
    times = np.asarray(bound.times)[later]
    nothing = np.full(times.shape, np.nan)

    def draw(ax: Axes, mean: Any, error: Any, index: int, label: str) -> None:
        band(ax, times, np.asarray(mean)[later], error, index, label)

    gained, produced = bound.information_error[later], bound.entropy_production_error[later]
    draw(left, bound.information, gained, 0, "information gained")
    draw(left, bound.averaged_entropy_production, nothing, 1, "entropy, averaged force")
    draw(left, bound.entropy_production, produced, 3, "entropy, with the excess")
    draw(right, bound.averaged_efficiency, nothing, 1, "averaged force")
    draw(right, bound.efficiency, bound.efficiency_error[later], 3, "with the excess")
    right.axhline(1, color="0.3", linewidth=1)
    left.set_ylabel(quantity_label("information, entropy production", "nat/weight"))
    right.set_ylabel("information gained per entropy produced")
    for ax in (left, right):
        ax.set(yscale="log", xlabel=_TIME)
        ax.legend(frameon=False, fontsize=9)
    caption(left, "", BANDS)
    caption(right, "", "line at 1: second law")
    return figure


def frontier(
    states: SteadyState | Mapping[str, SteadyState],
    *,
    measured: Mapping[str, tuple[Any, Any]] | None = None,
    stiffness: Any = 1.0,
    temperature: Any = 1.0,
    axes: Axes | None = None,
) -> Figure:
    r"""Generalization error against dissipation, with the bound $D_{min}(\varepsilon)$ of rules.

    Args:
        states: steady states of a rule, each field an array along learning rates, as `jax.vmap` of
            `steady_state` returns them; or several by label.
        measured: by label the dissipation and error of simulations, arrays or `Estimate`s.
        stiffness, temperature: k and T of the problems, for the bound.
        axes: where to draw; a new figure by default.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError: other results.

    Example:
        ```python
        def at_rest(rate):
            return tml.steady_state(tml.LearningProblem(tml.Hebbian(), learning_rate=rate))

        tml.plots.frontier({"Hebbian": jax.vmap(at_rest)(jnp.geomspace(0.1, 3.0, 30))})
        ```
    """
    entries = by_label(states, SteadyState)
    figure, (ax,) = panels(axes, 1)
    errors = np.concatenate([np.ravel(np.asarray(x.error, float)) for x in entries.values()])
    costs = np.concatenate([np.ravel(np.asarray(x.dissipation, float)) for x in entries.values()])
    lowest = max(0.2 * np.nanmin(errors), 1e-3)
    grid = jnp.linspace(lowest, 0.499, 200)
    least = dissipation_bound(grid, stiffness=stiffness, temperature=temperature)
    ax.fill_between(least, 0, grid, color="0.93", linewidth=0)
    ax.plot(least, grid, color="black", linewidth=2.2, label=r"bound $D_{\min}(\varepsilon)$")
    for index, (label, state) in enumerate(entries.items()):
        marker = "D" if np.ndim(state.error) == 0 else ""
        cost, error = (np.atleast_1d(np.asarray(x)) for x in (state.dissipation, state.error))
        ax.plot(cost, error, label=label or None, marker=marker, **line_style(index))
    for label, (cost, error) in (measured or {}).items():
        index = list(entries).index(label) if label in entries else len(entries)
        error_bars(ax, cost, error, index, markerfacecolor="white")
    ax.set(xscale="log", ylim=(0, 0.5), ylabel="generalization error")
    ax.set_xlim(np.nanmin(costs) / 1.5, np.nanmax(costs) * 1.5)
    ax.set_xlabel(quantity_label(r"dissipation $\tilde\nu^2 E[F^2]$", "energy/time"))
    caption(ax, "", "grey: no rule" + (f"; {BARS}" if measured else ""))
    legend([ax], axes)
    return figure
