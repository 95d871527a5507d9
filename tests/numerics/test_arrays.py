"""Casts, and an ensemble that is cut into parts and joined again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.numerics.arrays import argument, cast_floats, cut, joined


@pytest.mark.parametrize(
    ("count", "size", "shares"), [(24, 8, 2), (21, 8, 2), (7, 3, 1), (5, 6, 3)]
)
def test_what_was_cut_is_joined(count, size, shares):
    rows = {"a": jnp.arange(count), "b": jnp.arange(2.0 * count).reshape(count, 2)}
    parts = cut(rows, size, shares)
    assert parts["b"].shape == (-(-count // size), size, 2)
    again = joined(parts, count, shares)
    assert all((again[name] == rows[name]).all() for name in rows)


def test_a_part_takes_its_rows_from_every_share():
    """24 rows on two devices, 12 on each: a part of 8 has four from either, in order."""
    parts = np.asarray(cut(jnp.arange(24), 8, 2))
    assert parts.tolist()[0] == [0, 1, 2, 3, 12, 13, 14, 15]
    assert parts.tolist()[2] == [8, 9, 10, 11, 20, 21, 22, 23]


def test_a_last_part_is_filled_with_copies():
    assert np.asarray(cut(jnp.arange(5), 3)).tolist() == [[0, 1, 2], [3, 4, 4]]


def test_casts_leave_what_fits_and_make_weak_types_strong():
    fits, weak = jnp.ones(3, jnp.float32), jax.jit(lambda: 1.0)()
    assert weak.weak_type
    cast = cast_floats({"fits": fits, "weak": weak, "plain": 0.5, "count": 3}, jnp.float32)
    assert cast["fits"] is fits
    assert not cast["weak"].weak_type
    assert cast["plain"].dtype == jnp.float32
    assert cast["count"] == 3


def test_a_known_argument_stays_on_the_host_and_a_traced_one_is_cast():
    assert isinstance(argument(1, jnp.float32), np.ndarray)
    assert jax.jit(lambda x: argument(x, jnp.float32))(2).dtype == jnp.float32
