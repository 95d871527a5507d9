"""Calls with one argument replaced, and what becomes of them."""

import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, strategies as st

from .calls import CALLS, SLOW
from .judgement import objection
from .values import ANYTHING, NUMBERS, holds_nan


def _near(value: Any) -> st.SearchStrategy[Any]:
    """Values that are nearly right in the place of another."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        keys = [jax.random.split(value), jax.random.PRNGKey(0), 0, None, jax.random.key_data(value)]
        return st.sampled_from(keys)
    if isinstance(value, np.ndarray | jax.Array) and np.ndim(value):
        array = np.asarray(value)
        spoilt = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e30]).map(
            lambda x: np.concatenate([[x], array.ravel()[1:]]).reshape(array.shape)
        )
        others = [array[:0], array[:1], array[None], array.ravel(), array.tolist(), array.T]
        others += [-array, 1e30 * array, 1e-30 * array, array.astype(int), array > 0, array + 0j]
        return st.one_of(spoilt, st.sampled_from([*others, 0 * array, array.astype("U8")]))
    if isinstance(value, float | int) and not isinstance(value, bool):
        return st.one_of(NUMBERS, st.sampled_from([[value], jnp.full(3, value), f"{value}"]))
    return ANYTHING


# A function there is the user's own, and so are its errors.
_FUNCTIONS = {"teacher", "weights", "rule", "observables", "potential", "drive", "control", "state"}
_FUNCTIONS |= {"objective", "function", "activation", "force", "build", "grid", "a", "b"}
_MOST = 10**5  # a count beyond it is right, and takes memory


@st.composite
def mutated(draw: st.DrawFn, name: str | None = None) -> tuple[str, dict[str, Any]]:
    """The name of a call, and one argument to put in the place of a right one."""
    name = name or draw(st.sampled_from(sorted(CALLS)))
    arguments = CALLS[name].arguments
    key = draw(st.sampled_from(sorted(k for k, x in arguments.items() if not inspect.isroutine(x))))
    value = draw(st.one_of(_near(arguments[key]), ANYTHING))
    assume(not (key in _FUNCTIONS and callable(value)))
    assume(not (isinstance(arguments[key], int) and _MOST < _size(value) < 2**63))
    return name, {key: value}


def _size(value: Any) -> Any:
    return value if isinstance(value, int | np.integer) else 0


def objections(name: str, change: dict[str, Any]) -> str | None:
    """The objection to what a call does with one argument changed."""
    call, (key,) = CALLS[name], change
    return objection(
        lambda: call.function(**call.arguments | change),
        names=(key, *call.words),
        senseless=key not in call.nan and holds_nan(change),
        seconds=30.0 if name in SLOW else None,
    )
