"""Observables at saves, and observers: statistics of every step, streamed and never stored."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..numerics.arrays import as_parameter, is_concrete
from ._types import StateTree, Time

Observable = Callable[[Any, Any, Array], PyTree[Array]]


class State(eqx.Module):
    """The state itself, as an observable: `observables={"state": State()}` records it at saves.

    Memory: O(trajectories · saves · d).
    """

    def __call__(self, x: StateTree, control: Any, t: Time) -> StateTree:
        return x


class AbstractObserver(eqx.Module):
    """A statistic of one trajectory over the states after every step, the initial one included.

    `init` makes the carry from the first state, `update` adds one more state, and `result` turns
    the carry into the value that is recorded at each save.
    """

    @abc.abstractmethod
    def init(self, x: Any, control: Any, t: Array) -> PyTree[Array]:
        """The carry after the first state."""

    @abc.abstractmethod
    def update(self, carry: PyTree[Array], x: Any, control: Any, t: Array) -> PyTree[Array]:
        """The carry after one more state."""

    @abc.abstractmethod
    def result(self, carry: PyTree[Array]) -> PyTree[Array]:
        """The value recorded at a save."""


class Mean(AbstractObserver):
    r"""The time average $\bar f_n = \frac1{n+1}\sum_{m=0}^n f(x_m, \lambda_m, t_m)$ so far.

    Args:
        function: `f(x, control, t) -> pytree of arrays`.
    """

    function: Observable

    def init(self, x, control, t):
        return jnp.ones(()), self.function(x, control, t)

    def update(self, carry, x, control, t):
        count, mean = carry
        count = count + 1
        value = self.function(x, control, t)
        mean = jax.tree.map(lambda m, v: m + (v - m) / count.astype(v.dtype), mean, value)
        return count, mean

    def result(self, carry):
        return carry[1]


class Variance(AbstractObserver):
    r"""The variance in time $\frac1{n+1}\sum_m (f_m - \bar f_n)^2$ up to each save (Welford 1962).

    Args:
        function: `f(x, control, t) -> pytree of arrays`.
    """

    function: Observable

    def init(self, x, control, t):
        value = self.function(x, control, t)
        return jnp.ones(()), value, jax.tree.map(jnp.zeros_like, value)

    def update(self, carry, x, control, t):
        count, mean, variance = carry
        value = self.function(x, control, t)
        count = count + 1

        def merge(m, s, v):
            weight = 1 / count.astype(v.dtype)
            return s + weight * ((1 - weight) * (v - m) ** 2 - s)

        variance = jax.tree.map(merge, mean, variance, value)
        mean = jax.tree.map(lambda m, v: m + (v - m) / count.astype(v.dtype), mean, value)
        return count, mean, variance

    def result(self, carry):
        return carry[2]


class Histogram(AbstractObserver):
    """Counts of f(x, λ, t) in bins up to each save; every element of f counts once.

    Args:
        function: `f(x, control, t) -> array`.
        edges: ascending bin edges, shape `(bins + 1,)`. A bin holds its lower edge; the last holds
            both. Values outside are not counted.

    Raises:
        ValueError: fewer than two edges, or edges that do not ascend.
    """

    function: Observable
    edges: Array = eqx.field(converter=as_parameter)

    def __check_init__(self):
        if is_concrete(self.edges) and isinstance(self.edges, jax.Array):
            edges = np.asarray(self.edges)
            if edges.ndim != 1 or edges.size < 2 or (np.diff(edges) <= 0).any():
                raise ValueError(f"edges must be at least two ascending numbers, got {edges}")

    def _count(self, x, control, t):
        value = jnp.ravel(self.function(x, control, t))
        bins = jnp.searchsorted(self.edges, value, side="right") - 1
        n_bins = self.edges.shape[0] - 1
        bins = jnp.where(value == self.edges[-1], n_bins - 1, bins)
        inside = (bins >= 0) & (bins < n_bins)
        bins = jnp.clip(bins, 0, n_bins - 1)
        return jnp.zeros(n_bins, jnp.int32).at[bins].add(inside.astype(jnp.int32))

    def init(self, x, control, t):
        return self._count(x, control, t)

    def update(self, carry, x, control, t):
        return carry + self._count(x, control, t)

    def result(self, carry):
        return carry
