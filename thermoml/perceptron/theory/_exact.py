"""The steady state at a finite N: averages over the distribution of overlap and norm."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool

from ...numerics.arrays import held
from ...numerics.compile import jitted
from ...numerics.quadrature import gauss_legendre
from ..problem import LearningProblem
from ._minima import SteadyState, averages_at, free_energy_minima, rates
from ._moments import moments_converged, plane_moments

OnPlane = Callable[[Array, Array], Array]  # (√Q, θ) -> value

_COARSE = 41  # points along each axis, to see where the distribution lies
_NODES = 96  # along each axis
_RESOLVED = 1e-2  # the relative error that rounding may make in the density
_NEGLIGIBLE = 42.0  # of the logarithm of a density, below its largest


class _Box(NamedTuple):
    """Ends of the intervals of √Q and of the angle θ that hold a well, `(2,)` each."""

    low: Array
    high: Array

    def axes(self, places: Array) -> Array:
        """Numbers between 0 and 1 as places along each axis, `(2, n)`."""
        return self.low[:, None] + (self.high - self.low)[:, None] * places[None]


def _log_density(problem: LearningProblem, root: Array, angle: Array) -> Array:
    r"""ln of $Q^{(N-1)/2}\sin^{N-2}\theta\,e^{-N[kQ/2-\tilde\nu E\Phi]/T}$.

    The density of (√Q, θ), smooth where that of (R, P) has a corner, at the origin.
    """
    n_inputs = jnp.asarray(problem.n_inputs)
    overlap, transverse = root * jnp.cos(angle), root * jnp.sin(angle)
    potential = plane_moments(problem.rule, overlap, transverse).potential
    energy = problem.stiffness * root**2 / 2 - problem.learning_rate * potential
    measure = (n_inputs - 1) * jnp.log(root) + (n_inputs - 2) * jnp.log(jnp.sin(angle))
    return measure - n_inputs * energy / problem.temperature


def _on_grid(function: OnPlane, axes: Array) -> Array:
    """A function of (√Q, θ) at the points of a grid.

    Reverse mode makes each row of points again: its averages over inputs would not fit in memory.
    """

    @jax.checkpoint
    def row(root):
        return jax.vmap(lambda angle: function(root, angle))(axes[1])

    return lax.map(row, axes[0])


def _support(log_density: OnPlane, box: _Box) -> _Box:
    """The part of a box that holds all but 1e-18 of the probability in it."""
    places = (jnp.arange(_COARSE, dtype=box.low.dtype) + 0.5) / _COARSE
    axes = box.axes(places)
    density = _on_grid(log_density, axes)
    kept = density > jnp.max(density) - _NEGLIGIBLE
    cells = (box.high - box.low) / _COARSE
    lows, highs = [], []
    for axis in range(2):
        occupied = jnp.any(kept, axis=1 - axis)
        first, last = jnp.argmax(occupied), _COARSE - jnp.argmax(occupied[::-1])
        ends = jnp.stack([jnp.maximum(first - 1, 0), jnp.minimum(last + 1, _COARSE)])
        low, high = box.low[axis] + ends.astype(cells.dtype) * cells[axis]
        lows.append(low)
        highs.append(high)
    return _Box(jnp.stack(lows), jnp.stack(highs))


class _Wells(NamedTuple):
    """Minima of the free energy at (R, P), `(well, 2)`, and which of them exist."""

    places: Array
    exists: Array

    @classmethod
    def of(cls, problem: LearningProblem) -> "_Wells":
        minima = free_energy_minima(problem)
        lowest = jnp.argmin(jnp.where(minima.exists, minima.energy, jnp.inf))
        middle = (minima.low + minima.high) / 2
        middle = jnp.where(minima.exists, middle, middle[lowest])
        overlap, transverse, _ = jax.vmap(lambda x: averages_at(problem, jnp.exp(x)))(middle)
        return cls(jnp.stack([overlap, transverse], axis=1), minima.exists)

    def log_shares(self, problem: LearningProblem, root: Array, angle: Array) -> Array:
        """ln of the share of each well in a place: smooth, and negligible in the other wells."""
        apart = jnp.sum((self.places[:, None] - self.places[None]) ** 2, axis=-1)
        pairs = self.exists[:, None] & self.exists[None] & (apart > 0)
        nearest = jnp.min(jnp.where(pairs, apart, jnp.inf))
        width = jnp.min(self.places[:, 1]) ** 2 / jnp.asarray(problem.n_inputs)
        # Wells that touch are shared out so softly that each box holds both of them.
        sharp = jnp.minimum(_NEGLIGIBLE, nearest / (8 * width)) / nearest
        place = jnp.stack([root * jnp.cos(angle), root * jnp.sin(angle)])
        logs = -sharp * jnp.sum((place[None] - self.places) ** 2, axis=1)
        return jax.nn.log_softmax(jnp.where(self.exists, logs, -jnp.inf))


def _box(problem: LearningProblem, place: Array, log_density: OnPlane) -> _Box:
    """The box of the well about a minimum of the free energy at (R, P)."""
    overlap, transverse = place
    wide = 60 * transverse / jnp.sqrt(jnp.asarray(problem.n_inputs))
    root, angle = jnp.hypot(overlap, transverse), jnp.arctan2(transverse, overlap)
    middle, reach = jnp.stack([root, angle]), jnp.stack([wide, wide / root])
    low, most = jnp.zeros_like(middle), jnp.asarray([jnp.inf, jnp.pi], middle.dtype)
    box = _Box(jnp.maximum(middle - reach, low), jnp.minimum(middle + reach, most))
    return _support(log_density, _support(log_density, box))


def _nodes(dtype: DTypeLike) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1], dense at the ends, where the density of few weights stops."""
    u, weights = gauss_legendre(_NODES)
    places, shares = u**2 * (3 - 2 * u), 6 * u * (1 - u) * weights
    return jnp.asarray(places, dtype), jnp.asarray(shares, dtype)


def _quantities(problem: LearningProblem, centre: Array, root: Array, angle: Array) -> Array:
    """1, R, Q, P² + (R - centre)², ε, dissipation and excess rate."""
    overlap, transverse = root * jnp.cos(angle), root * jnp.sin(angle)
    dissipation, excess = rates(problem, plane_moments(problem.rule, overlap, transverse))
    assert excess is not None  # N is given
    spread = transverse**2 + (overlap - centre) ** 2
    one = jnp.ones_like(root)
    return jnp.stack([one, overlap, root**2, spread, angle / jnp.pi, dissipation, excess])


@jitted
def exact_state(problem: LearningProblem) -> tuple[SteadyState, Bool[Array, ""], Bool[Array, ""]]:
    """The exact state by quadrature of each well; whether averages converged; if it is resolved."""
    fixed = held(problem)
    # Their derivatives are stopped too: a rule may close over what `held` does not see.
    wells = lax.stop_gradient(_Wells.of(fixed))
    exists, (centre, across) = wells.exists, wells.places[jnp.argmax(wells.exists)]
    nodes, weights = _nodes(centre.dtype)

    def of_well(well):
        def log_density(problem, root, angle):
            share = wells.log_shares(fixed, root, angle)[well]
            return _log_density(problem, root, angle) + share

        box = lax.stop_gradient(
            _box(fixed, wells.places[well], functools.partial(log_density, fixed))
        )
        logs = _on_grid(functools.partial(log_density, problem), box.axes(nodes))
        peak = lax.stop_gradient(jnp.max(logs))
        area = jnp.prod(box.high - box.low)
        parts = jnp.exp(logs - peak) * weights[:, None] * weights[None] * area
        measured = functools.partial(_quantities, problem, centre)
        values = _on_grid(measured, box.axes(nodes))
        return peak, jnp.sum(parts[..., None] * values, axis=(0, 1))

    def of_any(well):
        nothing = jnp.zeros((), centre.dtype), jnp.zeros(7, centre.dtype)
        return lax.cond(exists[well], of_well, lambda _: nothing, well)

    peaks, sums = lax.map(of_any, jnp.arange(exists.size))
    peak = jnp.max(jnp.where(exists, peaks, -jnp.inf))
    factors = jnp.where(exists, jnp.exp(peaks - peak), 0)
    total, *means = jnp.sum(factors[:, None] * sums, axis=0)
    overlap, norm, spread, error, dissipation, excess = (x / total for x in means)
    state = SteadyState(
        overlap=overlap,
        norm=norm,
        transverse=spread - (overlap - centre) ** 2,
        error=error,
        dissipation=dissipation,
        excess_rate=excess,
        housekeeping=jnp.zeros_like(overlap),
        free_energy=-problem.temperature * (jnp.log(total) + peak) / jnp.asarray(problem.n_inputs),
    )
    state = jax.tree.map(lambda x: jnp.where(jnp.any(exists), x, jnp.nan), state)
    # Rounding of the exponent, which multiplies the density.
    potential = plane_moments(fixed.rule, centre, across).potential
    energy = fixed.stiffness * state.norm / 2 + jnp.abs(fixed.learning_rate * potential)
    exponent = jnp.asarray(problem.n_inputs) * energy / fixed.temperature
    resolved = jnp.finfo(centre.dtype).eps * exponent <= _RESOLVED
    return state, moments_converged(fixed.rule, centre, across), resolved
