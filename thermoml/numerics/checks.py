"""Checks of concrete values, with errors that name the argument, the value and the remedy."""

import math
import numbers
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .arrays import default_int, is_concrete

_RELATIONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def check_bound(name: str, value: Any, relation: str, bound: float, remedy: str = "") -> None:
    """ValueError unless every element of `value` is finite and stands in `relation` to `bound`.

    Traced values pass: they are checked where they are used.
    """
    if callable(value) or not is_concrete(value):
        return
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or an array, got {value!r}") from None
    if not (np.isfinite(array) & _RELATIONS[relation](array, bound)).all():
        text = f"{array:g}" if array.ndim == 0 else f"{value}"
        ending = f"; {remedy}" if remedy else ""
        raise ValueError(f"{name} must be finite and {relation} {bound:g}, got {text}{ending}")


def check_count(name: str, value: Any, least: int = 1, remedy: str = "") -> int:
    """`value` as an int; an error unless it is a whole number not below `least`."""
    ending = f"; {remedy}" if remedy else ""
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} fixes array shapes, so it must be a Python int, not a traced value"
        )
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}{ending}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}{ending}")
    return int(value)


def check_first_trajectory(value: Any, n_trajectories: int, continued: bool = False) -> None:
    """An error unless it is a number that trajectories can have; traced ones must be integers.

    A run that is continued goes on with the numbers of its trajectories.
    """
    if not is_concrete(value):
        if not jnp.issubdtype(value.dtype, jnp.integer):
            raise TypeError(f"first_trajectory must be a whole number, got {value.dtype}")
        return
    if isinstance(value, jax.Array | np.ndarray) and np.ndim(value) == 0:
        value = np.asarray(value)[()]
    first = check_count("first_trajectory", value, 0)
    if first and continued:
        raise ValueError(
            "first_trajectory must be left out where a run is continued: its trajectories keep "
            f"their numbers, got {first}"
        )
    last = np.iinfo(default_int()).max
    if first > last - n_trajectories:
        raise ValueError(
            f"first_trajectory must be at most {last - n_trajectories}, so that the number of the "
            f"last of {n_trajectories} is an {np.dtype(default_int()).name}, got {first}"
        )


def check_key(key: Any, drawn: str) -> Any:
    """`key`; TypeError where there is none, and `drawn` cannot be drawn without it."""
    if key is None:
        raise TypeError(f"key is needed to draw {drawn}: pass key=jax.random.key(0)")
    return key


def count_matches(name: str, n_trajectories: int, size: int) -> int:
    """The number of trajectories that `name` brings along; ValueError if another was asked for."""
    if n_trajectories not in (1, size):
        raise ValueError(
            f"n_trajectories must be left out or equal the {size} trajectories of {name}, "
            f"got {n_trajectories}"
        )
    return size


def count_steps(t0: Any, t1: Any, dt: Any, dtype: Any) -> int:
    """The number of steps of size dt from t0 to t1; ValueError unless it is whole to 1e-6."""
    for name, value in (("t0", t0), ("t1", t1), ("dt", dt)):
        if not is_concrete(value):
            raise TypeError(f"{name} fixes the number of steps, so it must be a number, not traced")
        scalar = isinstance(value, jax.Array | np.ndarray | np.generic) and np.ndim(value) == 0
        if not scalar and not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value}")
    t0, t1, dt = float(t0), float(t1), float(dt)
    check_bound("dt", dt, ">", 0.0)
    if t1 <= t0:
        raise ValueError(f"t1 must be later than t0 = {t0:g}, got {t1:g}")
    latest = np.asarray(max(abs(t0), abs(t1)), dtype)
    if np.asarray(dt, dtype) == 0 or np.spacing(latest) > dt:
        raise ValueError(
            f"dt = {dt:g} is lost to rounding when added to t = {float(latest):g} in "
            f"{np.dtype(dtype).name}; use a larger dt or float64"
        )
    steps = (t1 - t0) / dt
    whole = round(steps)
    if whole < 1 or abs(steps - whole) > 1e-6 * max(1.0, 1e-3 * whole):
        below, above = max(1, math.floor(steps)), math.floor(steps) + 1
        raise ValueError(
            f"dt must divide t1 - t0 = {t1 - t0:g} into whole steps, got dt = {dt:g} "
            f"({steps:.6g} steps); dt = {(t1 - t0) / below:.9g} or {(t1 - t0) / above:.9g} would"
        )
    return whole


def count_saves(n_steps: int, save_every: int | None) -> int:
    """The number of saves after the start; ValueError unless `save_every` divides `n_steps`."""
    if save_every is None:
        return 1
    save_every = check_count("save_every", save_every)
    return divide_steps("save_every", n_steps, save_every)


def divide_steps(name: str, n_steps: int, divisor: int) -> int:
    """`n_steps / divisor`; ValueError with the nearest divisor unless it is whole."""
    if n_steps % divisor:
        divisors = [d for d in range(1, min(n_steps, 100_000) + 1) if n_steps % d == 0]
        nearest = min(divisors, key=lambda d: abs(d - divisor))
        raise ValueError(
            f"{name} must divide the {n_steps} steps of the run, got {divisor}; "
            f"the nearest that does is {nearest}"
        )
    return n_steps // divisor
