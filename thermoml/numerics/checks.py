"""Checks of concrete values, with errors that name the argument, the value and the remedy."""

import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .arrays import as_parameter, as_parameters, default_int, is_concrete, real_numbers

_RELATIONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def check_bound(name: str, value: Any, relation: str, bound: float, remedy: str = "") -> None:
    """ValueError unless every element of `value` is finite and stands in `relation` to `bound`.

    Traced values pass: they are checked where they are used.
    """
    if callable(value) or not is_concrete(value):
        return
    array = real_numbers(name, value).astype(float)
    if not (np.isfinite(array) & _RELATIONS[relation](array, bound)).all():
        text = f"{array:g}" if array.ndim == 0 else f"{value}"
        ending = f"; {remedy}" if remedy else ""
        raise ValueError(f"{name} must be finite and {relation} {bound:g}, got {text}{ending}")


def check_finite(name: str, value: Any) -> None:
    """ValueError unless all floats of `value`, which may be a tree, are finite or traced."""
    for leaf in jax.tree.leaves(value, is_leaf=callable):
        if not callable(leaf) and is_concrete(leaf) and eqx.is_inexact_array_like(leaf):
            if not np.isfinite(np.asarray(leaf)).all():
                raise ValueError(f"{name} must be finite, got {value}")


def parameter(name: str, ndim: int | None = None) -> Callable[[Any], jax.Array]:
    """A converter of a field to an array of finite real numbers, of `ndim` axes if it is given.

    The converter raises TypeError or ValueError with the name for any other value.
    """

    def convert(value: Any) -> jax.Array:
        array = as_parameter(value, name)
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(f"{name} must be a number or an array of real numbers, got {array}")
        if ndim is not None and array.ndim != ndim:
            kind = {0: "a scalar", 1: "a vector", 2: "a matrix"}[ndim]
            raise ValueError(f"{name} must be {kind}, got shape {array.shape}")
        check_finite(name, array)
        return array

    return convert


def parameters(name: str) -> Callable[[Any], Any]:
    """A converter of a field to a tree of finite numbers and of functions."""

    def convert(tree: Any) -> Any:
        tree = as_parameters(tree, name)
        check_finite(name, tree)
        return tree

    return convert


def check_number(name: str, value: Any, remedy: str = "") -> None:
    """An error unless `value` is one finite real number, or traced."""
    if is_concrete(value):
        array = real_numbers(name, value)
        if array.ndim:
            raise ValueError(f"{name} must be one number, got {value!r:.80}")
        if not np.isfinite(array):
            raise ValueError(f"{name} must be finite, got {value}{remedy and '; '}{remedy}")


def number(name: str, remedy: str = "") -> Callable[[Any], Any]:
    """A converter of a static field to a Python number; an error for any other value."""

    def convert(value: Any) -> Any:
        check_number(name, value, remedy)
        return np.asarray(value).item() if isinstance(value, jax.Array | np.generic) else value

    return convert


def flag(name: str) -> Callable[[Any], bool]:
    """A converter of a field that takes True and False alone; TypeError for anything else."""

    return lambda value: check_flag(name, value)


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool; TypeError unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r:.80}")
    return bool(value)


def check_count(name: str, value: Any, least: int = 1, remedy: str = "") -> int:
    """`value` as an int; an error unless it is a whole number not below `least`."""
    ending = f"; {remedy}" if remedy else ""
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} fixes array shapes, so it must be a Python int, not a traced value"
        )
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r:.80}{ending}")
    if int(value) > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be below 2**63, got {value!s:.40}{ending}")
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
    """`key`; TypeError where it is no single random key, and `drawn` cannot be drawn without."""
    if key is None:
        raise TypeError(f"key is needed to draw {drawn}: pass key=jax.random.key(0)")
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed:
        raise TypeError(f"key must be a random key such as jax.random.key(0), got {key!r:.80}")
    if key.shape != ():
        raise TypeError(
            f"key must be a single random key, got keys of shape {key.shape}; pass one of them, "
            "or map over them with jax.vmap"
        )
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
            raise TypeError(f"{name} must be a number, got {value!r:.80}")
        check_bound(name, value, "<", np.inf)
    t0, t1, dt = float(t0), float(t1), float(dt)
    check_bound("dt", dt, ">", 0.0)
    if t1 <= t0:
        raise ValueError(f"t1 must be later than t0 = {t0:g}, got {t1:g}")
    largest = float(np.finfo(dtype).max)
    for name, value in (("t0", t0), ("t1", t1), ("dt", dt)):
        if abs(value) > largest:
            raise ValueError(
                f"{name} must be in the range of {np.dtype(dtype).name}, up to {largest:g}, got "
                f"{value:g}"
            )
    latest = np.asarray(max(abs(t0), abs(t1)), dtype)
    if np.asarray(dt, dtype) == 0 or np.spacing(latest) > dt:
        raise ValueError(
            f"dt = {dt:g} is lost to rounding when added to the later of t0 and t1, "
            f"t = {float(latest):g} in {np.dtype(dtype).name}; use a larger dt or float64"
        )
    steps = (t1 - t0) / dt
    most = np.iinfo(default_int()).max
    if not steps < most:
        raise ValueError(
            f"dt = {dt:g} must divide t1 - t0 = {t1 - t0:g} into at most {most} steps, so that "
            f"their number is an {np.dtype(default_int()).name}; use a larger dt"
        )
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
