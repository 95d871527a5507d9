"""Strokes of an engine's cycle."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree

from ..langevin import Constant, Time
from ..numerics.arrays import as_parameter, known_now
from ..numerics.checks import check_bound, check_number, parameter


class Stroke(eqx.Module):
    """A part of a cycle, in contact with one bath.

    Args:
        control: λ as a function of the time since the stroke began, such as
            `Ramp(4.0, 1.0, t1=2.0)`; a number or another pytree of arrays is constant. If it does
            not begin at the end of the stroke before, the control jumps, which is work only.
        duration: > 0.
        bath: the name of one of the cycle's baths.

    Raises:
        ValueError: a duration that is not positive.
    """

    control: Callable[[Float[Array, ""]], PyTree[Array]]
    duration: Float[Array, ""]
    bath: str = eqx.field(static=True)

    def __init__(
        self,
        control: Callable[[Float[Array, ""]], PyTree[Array]] | PyTree[Any],
        *,
        duration: Time,
        bath: str,
    ):
        check_number("duration", duration)
        check_bound("duration", duration, ">", 0.0)
        if not isinstance(bath, str):
            raise TypeError(f"bath must be the name of one of the cycle's baths, got {bath!r:.80}")
        if not callable(control):
            control = Constant(jax.tree.map(parameter("control"), control))
        self.control = control
        with known_now(duration):
            self.duration = as_parameter(duration, "duration")
        self.bath = bath
