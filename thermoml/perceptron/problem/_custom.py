"""Rules made of a function, and the kinks of a rule: the places where F or a derivative jumps."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ...numerics.arrays import is_concrete
from ...numerics.checks import flag, parameter
from ...numerics.compile import jitted
from ...numerics.kinks import find_kinks
from ...numerics.quadrature import tanh_sinh
from ._rules import AbstractPowerRule, AbstractRule


def rule_kinks(rule: Callable[[Array], Array], dtype: DTypeLike) -> Float[Array, " kink"]:
    """The `kinks` of a rule, or else the places where the program of F compares.

    Comparisons inside loops and branches of `lax`, steps such as `floor`, more than twelve kinks,
    and steep but smooth steps must be named; averages that have not converged for lack of a name
    are refused.
    """
    kinks = rule.kinks if isinstance(rule, AbstractRule) else None
    if kinks is None:
        return find_kinks(rule, dtype)
    return jnp.asarray(kinks, dtype).reshape(-1)


def potential_by_quadrature(
    rule: Callable[[Array], Array], s: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""$\Phi(s) = s\int_0^1 F(su)\,du$ by tanh-sinh quadrature, for rules without a closed form.

    Args:
        rule: F, on a scalar: a rule, whose `kinks` are used, or a function, whose kinks are
            searched.
        s: stabilities, any shape.

    Returns:
        Φ of the shape of s. Exact to rounding for F analytic between its kinks (singularities
        there allowed).

    Cost: 79 evaluations of F per s and stretch between kinks.
    """
    kinks = rule_kinks(rule, s.dtype)
    nodes, weights = (jnp.asarray(x, s.dtype) for x in tanh_sinh())

    def integral(s):
        parts = jnp.clip(kinks / jnp.where(s == 0, 1, s), 0, 1)
        zero, one = jnp.zeros(1, s.dtype), jnp.ones(1, s.dtype)
        ends = jnp.concatenate([zero, jnp.sort(parts), one])
        widths = jnp.diff(ends)[:, None]
        force = jax.vmap(jax.vmap(rule))(s * (ends[:-1, None] + widths * nodes[None]))
        return s * jnp.sum(widths * weights[None] * force)

    return jnp.vectorize(integral)(s)


def _kinks_given(kinks: Any) -> Any:
    return None if kinks is None else parameter("kinks")(kinks)


class CustomRule(AbstractRule):
    """A rule made of a function F(s) alone; Φ is computed by quadrature.

    Args:
        force: `force(s) -> F(s)` on a scalar s; a function or a module, such as a network.
        continuous: True if F does not jump.
        kinks: where F or a derivative jumps, a number or several; see `AbstractRule`. If None, they
            are searched in the program of F.

    Raises:
        TypeError: `force` is not callable.

    Example:
        >>> import thermoml as tml
        >>> margin = tml.perceptron.CustomRule(lambda s: jnp.where(s < 0.5, 1.0, 0.0))
        >>> print(f"{tml.steady_state(tml.LearningProblem(margin, learning_rate=1.0)).error:.6f}")
        0.357224
    """

    force: Callable[[Array], Array]
    continuous: bool = eqx.field(
        default=False, static=True, kw_only=True, converter=flag("continuous")
    )
    kinks: Float[Array, "..."] | None = eqx.field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, kw_only=True, converter=_kinks_given
    )

    def __check_init__(self):
        if not callable(self.force):
            raise TypeError(f"force must be a function of s, got {self.force!r}")
        if self.kinks is not None and is_concrete(self.kinks):
            if not np.isfinite(np.asarray(self.kinks)).all():
                raise ValueError(f"kinks must be finite, got {self.kinks}")

    def __call__(self, s):
        return self.force(s)

    def potential(self, s):
        return potential_by_quadrature(self, jnp.asarray(s))

    @property
    def smooth(self):
        return self.continuous


class KinkedRule(AbstractRule):
    """A rule with its kinks searched once, before they are used in a loop."""

    rule: AbstractRule
    kinks: Float[Array, " kink"]  # pyright: ignore

    def __call__(self, s):
        return self.rule(s)

    def potential(self, s):
        return self.rule.potential(s)

    @property
    def smooth(self):
        return self.rule.smooth


@jitted
def _searched(rule: AbstractRule, dtype: DTypeLike) -> Float[Array, " kink"]:
    return rule_kinks(rule, dtype)


def with_kinks(rule: AbstractRule, dtype: DTypeLike) -> AbstractRule:
    """The rule with its kinks known; one of powers has none but 0."""
    if isinstance(rule, AbstractPowerRule | KinkedRule):
        return rule
    kinks = _searched(rule, dtype)
    if is_concrete(kinks):  # most are 0, to fill up
        kinks = jnp.asarray(np.unique(np.asarray(kinks)), dtype)
    if isinstance(rule, CustomRule):
        return dataclasses.replace(rule, kinks=kinks)
    return KinkedRule(rule, kinks)
