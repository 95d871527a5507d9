"""Values that no one should pass, and some that one may: numbers, words, containers, arrays."""

import datetime
import math
from typing import Any

import jax
import numpy as np
from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 7, -3, 2**31, 2**31 - 1, 2**32, 2**63, 2**64, 10**30]),
    st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.5, 1e-3, 1e-12, 1e-45, 5e-324, 1e-300, 10**400]),
    st.sampled_from([1e10, 1e38, 1e39, 1e300, 1e308, -1e308, math.nan, math.inf, -math.inf]),
)
WORDS = st.one_of(
    st.sampled_from(["", " ", "1e-3", "yes", "no", "on", "null", "~", "nan", ".nan", ".inf"]),
    st.sampled_from(["binary", "gaussian", "hebbian", "alpha_tron", "reduced", "x" * 300]),
    st.sampled_from(["1GB", "-1GB", "infGB", "nanGB", "2026-11-27", "12:30:00", "0x1f", "1_000"]),
    st.sampled_from(["ünïcode 测试", "\x00", "a\nb", "../x", "a/b", ".x", "no_such.py:Name"]),
    st.sampled_from(["no_such_module:Name", "sys:path", "os:system", "math:nan"]),
)
ATOMS = st.one_of(
    NUMBERS,
    WORDS,
    st.booleans(),
    st.none(),
    st.floats(),
    st.integers(),
    st.text(max_size=8),
)


def _nested(inner: st.SearchStrategy[Any], *others: Any) -> st.SearchStrategy[Any]:
    keys = st.one_of(WORDS, st.sampled_from(["linear", "log", "zip", "name", "kind", *others]))
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3))


# What a YAML file can hold
CONTENT = st.recursive(ATOMS, lambda inner: _nested(inner, 1, None), max_leaves=5)


class Strange:
    """An object of a class of its own, which nothing can be done with."""

    def __repr__(self) -> str:
        return "Strange()"


ARRAYS = st.sampled_from(
    [
        np.zeros(0),
        np.zeros((0, 3)),
        np.ones(1),
        np.array([1.0, np.nan]),
        np.array([np.inf, 1.0, 2.0]),
        np.array([-1.0, 2.0, 3.0]),
        np.ones((2, 2)),
        np.ones((3, 2, 1)),
        np.array([[1.0, 2.0], [0.5, 1.0]]),
        np.array(["a", "b"]),
        np.array([1, None], object),
        np.array([1 + 2j, 3j]),
        np.array([True, False]),
        np.array([1, 2, 3], np.int8),
        np.array(1.0),
        np.array([1.0, 2.0], np.float16),
        np.datetime64("2026-11-27"),
        np.float32(2.5),
        np.int64(3),
    ]
)
OBJECTS = st.sampled_from(
    [
        (),
        (1.0, "a"),
        [1.0, [2.0, 3.0]],
        [1.0, 2.0],
        {1, 2},
        b"bytes",
        1 + 2j,
        complex(math.nan, 0),
        datetime.date(2026, 11, 27),
        Strange(),
        Strange,
        int,
        len,
        object(),
        {"a": 1.0},
        {},
        range(3),
        Ellipsis,
    ]
)
# What can be passed in Python
ANYTHING = st.one_of(ATOMS, ARRAYS, OBJECTS, st.recursive(ATOMS, _nested, max_leaves=5))


def holds_nan(value: Any) -> bool:
    """Whether a number within a value, however deep, is NaN."""
    if isinstance(value, dict):
        return any(map(holds_nan, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(holds_nan, value))
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
            return False  # random keys
        return np.asarray(value).dtype.kind in "fc" and bool(np.isnan(np.asarray(value)).any())
    return isinstance(value, float | complex) and value != value
