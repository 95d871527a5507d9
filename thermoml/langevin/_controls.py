"""Controls: external parameters as functions of time. Their arrays are leaves, to be tuned."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import parameter
from ._types import Time


def _leaves(name: str) -> Callable[[Any], Any]:
    """A converter of a field to a tree of finite arrays."""

    def convert(tree: Any) -> Any:
        return jax.tree.map(parameter(name), tree)

    return convert


class AbstractControl(eqx.Module):
    """A control λ(t), or a bath in time, whose breaks are known.

    Any function of time serves as a control. Subclass this for one that jumps or has kinks: an
    adaptive integration over time, as in `moment_equations`, then stops at each of them.
    """

    @property
    @abc.abstractmethod
    def breaks(self) -> Float[Array, " break"]:
        """Times of jumps and kinks, `(break,)`; empty for a smooth control."""

    @abc.abstractmethod
    def __call__(self, t: Time) -> PyTree[Array]:
        """λ(t), a pytree of one structure at all times."""


class Constant(AbstractControl):
    r"""A constant control, $\lambda(t) = \lambda_0$.

    Args:
        value: any pytree of finite numbers or arrays.
    """

    value: PyTree[Array] = eqx.field(converter=_leaves("value"))

    @property
    def breaks(self) -> Float[Array, " break"]:
        return jnp.zeros((0,))

    def __call__(self, t: Time) -> PyTree[Array]:
        return self.value


class Ramp(AbstractControl):
    r"""A linear ramp, $\lambda(t) = a + (b - a)\,\min(1, \max(0, (t - t_0)/(t_1 - t_0)))$.

    Args:
        start: a, a pytree of finite numbers or arrays.
        end: b, of the same structure and shapes; a number stands for a whole array.
        t0, t1: begin and end of the ramp, t1 > t0; constant outside.

    Raises:
        TypeError, ValueError: t1 <= t0, ends of different structure or shape, or what is no
            finite number.
    """

    start: PyTree[Array] = eqx.field(converter=_leaves("start"))
    end: PyTree[Array] = eqx.field(converter=_leaves("end"))
    t0: Float[Array, ""] = eqx.field(default=0.0, converter=parameter("t0", 0))
    t1: Float[Array, ""] = eqx.field(default=1.0, converter=parameter("t1", 0))

    def __check_init__(self):
        if is_concrete((self.t0, self.t1)) and not self.t1 > self.t0:
            raise ValueError(f"Ramp needs t1 > t0, got t0 = {self.t0}, t1 = {self.t1}")
        ends = jax.tree.leaves(self.start), jax.tree.leaves(self.end)
        structures = [jax.tree.structure(end) for end in (self.start, self.end)]
        if structures[0] != structures[1]:
            raise ValueError(
                f"end must have the structure of start, {structures[0]}, got {structures[1]}"
            )
        for a, b in zip(*ends, strict=True):
            if a.shape != b.shape and () not in (a.shape, b.shape):
                raise ValueError(f"end must have the shape of start, {a.shape}, got {b.shape}")

    @property
    def breaks(self) -> Float[Array, " break"]:
        return jnp.stack([self.t0, self.t1])

    def __call__(self, t: Time) -> PyTree[Array]:
        fraction = jnp.clip((t - self.t0) / (self.t1 - self.t0), 0, 1)
        return jax.tree.map(lambda a, b: a + fraction * (b - a), self.start, self.end)


def _knot_values(values: Any) -> Any:
    if isinstance(values, list | tuple) and all(np.isscalar(v) for v in values):
        return parameter("values")(np.asarray(values))  # a list of numbers is one array
    return _leaves("values")(values)


class PiecewiseLinear(AbstractControl):
    r"""Linear interpolation between knots; a time that occurs twice is a jump.

    At a jump inside or at the end the later value holds; at the first knot the earlier value
    holds, so that a run that starts there starts before the jump, and the jump is work.

    Args:
        times: knots in ascending order, shape `(knots,)`, at least two.
        values: a pytree whose leaves have shape `(knots, ...)`.

    Raises:
        TypeError, ValueError: fewer than two knots, times that descend, leaves of another length,
            or what is no finite number.
    """

    times: Float[Array, " knots"] = eqx.field(converter=parameter("times", 1))
    values: PyTree[Array] = eqx.field(converter=_knot_values)

    def __check_init__(self):
        if not isinstance(self.times, jax.Array) or not is_concrete(self.times):
            return
        if self.times.ndim != 1 or self.times.shape[0] < 2:
            raise ValueError(f"times must hold at least two knots, got shape {self.times.shape}")
        if (np.diff(np.asarray(self.times)) < 0).any():
            raise ValueError(f"times must not descend, got {self.times}")
        for leaf in jax.tree.leaves(self.values):
            if leaf.shape[:1] != self.times.shape:
                raise ValueError(
                    f"values must have one row for each of the {self.times.shape[0]} times, "
                    f"got a leaf of shape {leaf.shape}"
                )

    @staticmethod
    def between(start: Any, inside: Any, end: Any, *, t0: Any = 0.0, t1: Any) -> "PiecewiseLinear":
        """A control from `start` at t0 to `end` at t1 that may jump at both.

        Args:
            start, end: numbers or arrays, the values at the ends.
            inside: `(knots, …)`, at least two: values at equal distances from just after t0 to
                just before t1. Optimise a protocol over these.
            t0, t1: begin and end.
        """
        inside = parameter("inside")(inside)
        if inside.ndim == 0:
            raise ValueError(f"inside must have shape (knots, …), got the number {inside}")
        ends = []
        for name, end_value in (("start", start), ("end", end)):
            value = parameter(name)(end_value).astype(inside.dtype)
            if value.shape not in ((), inside.shape[1:]):
                raise ValueError(
                    f"{name} must be a number or have shape {inside.shape[1:]}, as each knot of "
                    f"inside, got shape {value.shape}"
                )
            ends.append(jnp.broadcast_to(value, inside.shape[1:])[None])
        t0, t1 = (
            parameter(name, 0)(t).astype(inside.dtype)[None] for name, t in (("t0", t0), ("t1", t1))
        )
        if is_concrete((t0, t1)) and not t1[0] >= t0[0]:
            raise ValueError(f"t1 must not be before t0 = {t0[0]}, got {t1[0]}")
        fractions = jnp.linspace(0, 1, inside.shape[0], dtype=inside.dtype)
        times = jnp.concatenate([t0, t0 + (t1 - t0) * fractions, t1])
        return PiecewiseLinear(times, jnp.concatenate([ends[0], inside, ends[1]]))

    @property
    def breaks(self) -> Float[Array, " break"]:
        return self.times

    def __call__(self, t: Time) -> PyTree[Array]:
        # t = t0 + n dt is rounded: a few units of rounding must not miss a jump.
        slack = 8 * jnp.finfo(self.times.dtype).eps * jnp.max(jnp.abs(self.times))
        last = self.times.shape[0] - 1
        right = jnp.searchsorted(self.times, t + slack, side="right")
        right = jnp.clip(jnp.where(t <= self.times[0], 1, right), 1, last)
        before, after = self.times[right - 1], self.times[right]
        width = after - before
        # The bracket has zero width only at a jump at the begin or end of the control.
        fraction = jnp.where(width > 0, (t - before) / jnp.where(width > 0, width, 1), 1)
        fraction = jnp.where(t <= self.times[0], 0, jnp.clip(fraction, 0, 1))

        def interpolate(values):
            return values[right - 1] + fraction * (values[right] - values[right - 1])

        return jax.tree.map(interpolate, self.values)
