"""Adjoints: layouts of the loop over steps, which fix what differentiating it costs."""

import abc
import math
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

Step = Callable[[Any, Array], Any]


class AbstractAdjoint(eqx.Module):
    """The loop over the steps between two saves."""

    @abc.abstractmethod
    def steps(self, step: Step, carry: Any, first: Array, count: int) -> Any:
        """The carry after `step(carry, n)` for n = first ... first + count - 1."""

    @abc.abstractmethod
    def block(self, function: Callable) -> Callable:
        """`function`, which runs from one save to the next, as reverse mode should see it."""

    @property
    @abc.abstractmethod
    def of_diffrax(self) -> diffrax.AbstractAdjoint:
        """The corresponding adjoint of diffrax, for ordinary differential equations."""


def _scan_steps(step: Step, carry: Any, first: Array, count: int) -> Any:
    return lax.scan(lambda c, n: (step(c, first + n), None), carry, jnp.arange(count))[0]


def _near_root(count: int) -> int:
    """A number near √count that divides it if possible: a rest would be compiled once more."""
    root = max(1, math.isqrt(count))
    divisors = [d for d in range(max(1, root // 4), 4 * root + 1) if count % d == 0]
    return min(divisors, key=lambda d: abs(d - root), default=root)


class Direct(AbstractAdjoint):
    """A plain scan. Reverse mode keeps every step: the fastest, with O(steps) memory."""

    def steps(self, step, carry, first, count):
        return _scan_steps(step, carry, first, count)

    def block(self, function):
        return function

    @property
    def of_diffrax(self):
        return diffrax.DirectAdjoint()


class RecursiveCheckpoint(AbstractAdjoint):
    """Reverse mode that keeps O(√steps) states and recomputes the rest: about one forward run more.

    Without differentiation, and in forward mode, it costs nothing.

    Source: Griewank and Walther 2000, ACM Trans. Math. Softw. 26, 19 (two levels).
    """

    def steps(self, step, carry, first, count):
        block = _near_root(count)

        @jax.checkpoint
        def run_block(c, start):
            return _scan_steps(jax.checkpoint(step), c, start, block)

        blocks = count // block
        carry, _ = lax.scan(
            lambda c, i: (run_block(c, first + i * block), None), carry, jnp.arange(blocks)
        )
        rest = count - blocks * block
        if rest == 0:
            return carry
        return _scan_steps(jax.checkpoint(step), carry, first + blocks * block, rest)

    def block(self, function):
        return jax.checkpoint(function)

    @property
    def of_diffrax(self):
        return diffrax.RecursiveCheckpointAdjoint()


class ForwardMode(AbstractAdjoint):
    """For forward-mode derivatives and none: a loop that reverse mode refuses. Constant memory."""

    def steps(self, step, carry, first, count):
        # fori_loop with known bounds would become a scan, which reverse mode stores step by step.
        last = first + count

        def advance(state):
            n, carry = state
            return n + 1, step(carry, n)

        return lax.while_loop(lambda state: state[0] < last, advance, (first, carry))[1]

    def block(self, function):
        return function

    @property
    def of_diffrax(self):
        return diffrax.ForwardMode()
