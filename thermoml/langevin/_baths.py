"""Baths: temperature and mobility of a whole state, of its parts, or as functions of time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..numerics.arrays import is_concrete, known_now
from ..numerics.checks import check_bound, parameters
from ._parameters import over_state, parameter_leaves
from ._types import Time


def _known(name: str) -> Callable[[Any], Any]:
    """A converter of a field to a tree of finite numbers and functions, concrete inside jit too."""

    def convert(tree: Any) -> Any:
        with known_now(tree):
            return parameters(name)(tree)

    return convert


class Baths(eqx.Module):
    r"""Heat baths in contact with a state: temperature T and mobility μ, with k_B = 1.

    $$dx = \mu F\,dt + \sqrt{2\mu T}\,dW$$

    Args:
        temperature: T >= 0 in units of energy, 1 by default: a number, an array that broadcasts
            against a leaf of the state, a function of time, or a pytree of these whose structure is
            a prefix of the state's (one bath for each part). T = 0 is deterministic.
        mobility: μ >= 0, of the same forms.

    Example:
        >>> baths = Baths({"slow": 1.0, "fast": lambda t: 2 + t}, mobility=0.5)
        >>> now = baths.at(3.0, {"slow": jnp.zeros(2), "fast": jnp.zeros(3)})
        >>> float(now.temperature["fast"])
        5.0
    """

    temperature: PyTree[Any] = eqx.field(default=1.0, converter=_known("temperature"))
    mobility: PyTree[Any] = eqx.field(default=1.0, converter=_known("mobility"))

    def at(self, t: Time, like: PyTree[Any]) -> "Baths":
        """The baths at one time, with temperature and mobility as pytrees of a state's structure.

        Args:
            t: time, scalar.
            like: a state. Each leaf of the result has its dtype, and its shape or ().

        Raises:
            ValueError: a bath that does not fit the state.
        """
        return Baths(
            over_state("temperature", self.temperature, like, t, argument="time"),
            over_state("mobility", self.mobility, like, t, argument="time"),
        )

    def check(self, like: PyTree[Any], times: Callable[[], Float[Array, " time"]]) -> Any:
        """A check that T >= 0 and μ >= 0, both finite.

        Args:
            like: a state.
            times: returns the times, `(time,)`, at which functions of time are checked; called only
                if there are any.

        Returns:
            None where all values are known; else a traced flag, True where one is out of range.

        Raises:
            ValueError: a known value that is negative, not finite or no number.
        """
        flags = [
            *out_of_range("temperature", self.temperature, like, times, ">="),
            *out_of_range("mobility", self.mobility, like, times, ">="),
        ]
        return jnp.any(jnp.stack(flags)) if flags else None


def out_of_range(
    name: str,
    parameter: PyTree[Any],
    like: PyTree[Any],
    times: Callable[[], Array],
    relation: str,
) -> list[Bool[Array, ""]]:
    """A flag for each traced value of a parameter that must stand in `relation` to 0 and be finite.

    Raises:
        ValueError: a known value that is out of range, with the name.
    """
    flags = []
    for leaf in parameter_leaves(name, parameter, like, argument="time")[0]:
        for values in jax.tree.leaves(jax.vmap(leaf)(times()) if callable(leaf) else leaf):
            if is_concrete(values):
                check_bound(name, values, relation, 0.0)
            else:
                good = values > 0 if relation == ">" else values >= 0
                flags.append(~jnp.all(jnp.isfinite(values) & good))
    return flags
