"""Potentials and forces of harmonic systems, with parameters that are numbers or controls."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..numerics.checks import parameter, parameters
from ._parameters import over_state


class FromControl(eqx.Module):
    r"""A parameter that is the control λ itself, or one of its entries.

    For the stiffness or centre of a `HarmonicPotential` and the stiffness of `ExactLinear`. Two of
    them are equal if their entries are, so that unlike a lambda it never compiles anything anew.

    Args:
        entry: the key or index of the entry; None for the whole control.
    """

    entry: str | int | None = eqx.field(default=None, static=True)

    def __call__(self, control: Any) -> Any:
        return control if self.entry is None else control[self.entry]


class HarmonicPotential(eqx.Module):
    r"""A harmonic trap, $U(x, \lambda) = \tfrac12\sum_i k_i\,(x_i - c_i)^2$.

    Args:
        stiffness: k, in units of energy over squared length: a number, an array that broadcasts
            against a leaf of the state, a function of the control such as `FromControl()`, or a
            pytree of these whose structure is a prefix of the state's.
        centre: c, of the same forms; 0 by default.

    Example: a trap that is dragged, integrated exactly,

        trap = HarmonicPotential(2.0, centre=FromControl())
        system = Langevin(trap, control=Ramp(0.0, 1.0))
        simulate(system, 0.0, integrator=ExactLinear(trap.stiffness), ...)

    Cost: O(d).
    """

    stiffness: PyTree[Any] = eqx.field(converter=parameters("stiffness"))
    centre: PyTree[Any] = eqx.field(default=0.0, kw_only=True, converter=parameters("centre"))

    def __call__(self, x: PyTree[Any], control: Any) -> Float[Array, ""]:
        def energy(leaf, k, c):
            squares = (leaf - c) ** 2
            return k * jnp.sum(squares) if k.ndim == 0 else jnp.sum(k * squares)

        stiffness = over_state("stiffness", self.stiffness, x, control, argument="the control")
        centre = over_state("centre", self.centre, x, control, argument="the control")
        # Halved before the product: as one writes it, to the last bit
        halves = jax.tree.map(lambda k: 0.5 * k, stiffness)
        return jax.tree.reduce(jnp.add, jax.tree.map(energy, x, halves, centre))


class QuadraticPotential(eqx.Module):
    r"""A quadratic potential of a vector, $U(x) = \tfrac12\,x\cdot Kx$.

    Args:
        stiffness: K, symmetric, `(d, d)`.
    """

    stiffness: Float[Array, "d d"] = eqx.field(converter=parameter("stiffness", 2))

    def __call__(self, x: Float[Array, " d"], control: Any) -> Float[Array, ""]:
        return x @ self.stiffness @ x / 2


class LinearForce(eqx.Module):
    r"""A drive linear in a vector, $f(x) = Mx$.

    Args:
        matrix: M, `(d, d)`.
    """

    matrix: Float[Array, "d d"] = eqx.field(converter=parameter("matrix", 2))

    def __call__(self, x: Float[Array, " d"], control: Any) -> Float[Array, " d"]:
        return self.matrix @ x
