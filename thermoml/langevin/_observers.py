"""Observables at saves, and observers: statistics of every step, streamed and never stored."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import parameter
from ..numerics.sums import CompensatedSum
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


def _numbers(tree: PyTree[Any]) -> PyTree[Array]:
    """Truths and whole numbers as floats, so that they have means; floats stay as they are."""

    def convert(value):
        value = jnp.asarray(value)
        return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(float)

    return jax.tree.map(convert, tree)


def _zero_sums(values: PyTree[Array]) -> PyTree[CompensatedSum]:
    return jax.tree.map(lambda v: CompensatedSum.zeros(v.shape, v.dtype), values)


def _added(sums: PyTree[CompensatedSum], terms: PyTree[Array]) -> PyTree[CompensatedSum]:
    return jax.tree.map(lambda s, v: s.add(v), sums, terms, is_leaf=_is_sum)


def _divided(sums: PyTree[CompensatedSum], count: Array) -> PyTree[Array]:
    return jax.tree.map(lambda s: s.value / count.astype(s.total.dtype), sums, is_leaf=_is_sum)


def _is_sum(node: Any) -> bool:
    return isinstance(node, CompensatedSum)


class Mean(AbstractObserver):
    r"""The time average $\bar f_n = \frac1{n+1}\sum_{m=0}^n f(x_m, \lambda_m, t_m)$ so far.

    The sum is compensated and the count a whole number, so that float32 serves for 10⁹ steps.

    Args:
        function: `f(x, control, t) -> pytree of arrays`; the mean of a truth such as `x > 0` is
            its probability.
    """

    function: Observable

    def init(self, x, control, t):
        values = _numbers(self.function(x, control, t))
        return jnp.ones((), jnp.int32), _added(_zero_sums(values), values)

    def update(self, carry, x, control, t):
        count, sums = carry
        return count + 1, _added(sums, _numbers(self.function(x, control, t)))

    def result(self, carry):
        count, sums = carry
        return _divided(sums, count)


class Variance(AbstractObserver):
    r"""The variance in time $\frac1{n+1}\sum_m |f_m - \bar f_n|^2$ up to each save.

    By Welford's recurrence (1962), with compensated sums.

    Args:
        function: `f(x, control, t) -> pytree of arrays`; truths and whole numbers count as floats.
    """

    function: Observable

    def init(self, x, control, t):
        values = _numbers(self.function(x, control, t))
        squares = _zero_sums(jax.tree.map(jnp.real, values))
        return jnp.ones((), jnp.int32), _added(_zero_sums(values), values), squares

    def update(self, carry, x, control, t):
        count, sums, squares = carry
        values, means = _numbers(self.function(x, control, t)), _divided(sums, count)

        def term(value, mean):
            distance = value - mean
            share = 1 - 1 / (count + 1).astype(jnp.real(value).dtype)
            return share * jnp.real(distance * jnp.conj(distance))

        terms = jax.tree.map(term, values, means)
        return count + 1, _added(sums, values), _added(squares, terms)

    def result(self, carry):
        count, _, squares = carry
        return _divided(squares, count)


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
    edges: Array = eqx.field(converter=parameter("edges", 1))

    def __check_init__(self):
        if is_concrete(self.edges) and isinstance(self.edges, jax.Array):
            edges = np.asarray(self.edges)
            if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
                raise ValueError(f"edges must be at least two ascending numbers, got {edges}")

    def _count(self, x, control, t):
        value = jnp.ravel(_numbers(self.function(x, control, t)))
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
