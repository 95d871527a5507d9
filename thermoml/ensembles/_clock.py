"""The clock of a run: times from whole numbers of steps, and the saves among them."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..numerics.arrays import argument, constant, default_int, is_concrete
from ..numerics.checks import count_saves, count_steps
from ..numerics.types import AnyArray


class Clock(eqx.Module):
    """The time after each step, `time_origin + (step - step_origin) dt`, from whole steps."""

    step_origin: Int[AnyArray, ""]
    time_origin: Float[AnyArray, ""]
    dt: Float[AnyArray, ""]

    @classmethod
    def at(cls, step: Any, time: Any, dt: Any, dtype: Any) -> "Clock":
        """The clock that shows `time` after `step` steps."""
        return cls(argument(step, default_int()), argument(time, dtype), argument(dt, dtype))

    def time(self, step: Any, after: Any = 0) -> Float[AnyArray, "..."]:
        """The time at the end of step `step`, or `after` steps later; concrete if all this is."""
        if is_concrete((self, step)):
            elapsed = np.asarray(step) + after - np.asarray(self.step_origin)
            elapsed = np.asarray(elapsed, self.dt.dtype) * np.asarray(self.dt)
            return argument(np.asarray(self.time_origin) + elapsed, self.dt.dtype)
        elapsed = jnp.asarray(jnp.asarray(step) + after - self.step_origin, self.dt.dtype)
        return self.time_origin + elapsed * self.dt

    def exact_time(self, step: Any, dt: Any) -> Any:
        """The time after `step` steps, unrounded, if `dt` is this clock's before it was rounded.

        In float32 the rounded time of a long run is too coarse to count further steps from.
        """
        if not is_concrete((self, step, dt)):
            return self.time(step)
        if np.asarray(dt, self.dt.dtype) != np.asarray(self.dt):
            return self.time(step)
        return float(self.time_origin) + (int(step) - int(self.step_origin)) * float(dt)

    def resume(self, earlier: "Clock") -> "Clock":
        """This clock, or `earlier` where dt is the same: then times agree to the last bit."""
        if is_concrete((self, earlier)):
            return earlier if np.asarray(earlier.dt) == np.asarray(self.dt) else self
        same = earlier.dt == self.dt
        return jax.tree.map(lambda a, b: jnp.where(same, a, b), earlier, self)


class Saves(NamedTuple):
    """The number of saves after the start, and of steps between two of them."""

    n_saves: int
    every: int

    @classmethod
    def of(cls, n_steps: int, save_every: int | None) -> "Saves":
        """Saves of `n_steps` steps; ValueError unless `save_every` divides them."""
        n_saves = count_saves(n_steps, save_every)
        return cls(n_saves, n_steps // n_saves)

    @classmethod
    def between(cls, t0: Any, t1: Any, dt: Any, dtype: Any, save_every: int | None) -> "Saves":
        """Saves from t0 to t1; ValueError unless that is a whole number of steps."""
        return cls.of(count_steps(t0, t1, dt, dtype), save_every)

    @property
    def n_steps(self) -> int:
        return self.n_saves * self.every

    @property
    def steps(self) -> np.ndarray:
        """Steps from the start to each save, `(save,)`; 0 is the start."""
        return np.arange(self.n_saves + 1) * self.every


def known_or(value: Any, traced: Any) -> Any:
    """`value` as constants where it alone is concrete: inside jit, times stay known."""
    if is_concrete(traced) or not is_concrete(value):
        return traced
    return jax.tree.map(lambda x: constant(x, x.dtype), value)


def with_known_times(result: Any, times: Any, step: Any, clock: Clock) -> Any:
    """A run's result; inside jit, with what is known of its times and of where its clock stands.

    It can then be continued there, which takes a known number of steps.
    """
    checkpoint = result.checkpoint
    if checkpoint is None:
        return result
    checkpoint = dataclasses.replace(
        checkpoint, step=known_or(step, checkpoint.step), clock=known_or(clock, checkpoint.clock)
    )
    return dataclasses.replace(result, times=known_or(times, result.times), checkpoint=checkpoint)
