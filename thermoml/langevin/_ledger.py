"""The ledger: work, heat and entropy flow of each step, summed without loss."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..numerics.sums import CompensatedSum
from ._systems import AbstractSystem


class Forces(eqx.Module):
    """Energy U, total force F and drive f at one state, control and sample."""

    energy: Float[Array, ""]
    force: PyTree[Array]
    drive: PyTree[Array] | None


def evaluate(system: AbstractSystem, state: PyTree[Array], control: Any, sample: Any) -> Forces:
    """Energy and forces at one state, by one gradient of the energy and one call of the drive."""
    energy, gradient = jax.value_and_grad(system.energy)(state, control, sample)
    drive = system.drive_force(state, control, sample)
    if drive is None:
        force = jax.tree.map(jnp.negative, gradient)
    else:
        force = jax.tree.map(lambda f, g: f - g, drive, gradient)
    return Forces(energy, force, drive)


class Exchange(eqx.Module):
    """Work and heat of one step.

    Attributes:
        work, heat: of all elements together.
        heat_by_element: like the position.
        path_heat: heat by the step's path probabilities, like the position; None where these are
            not known.
        shadow_work: work of the discretisation; None where there is no path heat.
    """

    work: Float[Array, ""]
    heat: Float[Array, ""]
    heat_by_element: PyTree[Array]
    path_heat: PyTree[Array] | None
    shadow_work: Float[Array, ""] | None


def stratonovich(before: PyTree[Array], after: PyTree[Array], move: PyTree[Array]) -> PyTree[Array]:
    """½(f + f')dx, element by element."""
    return jax.tree.map(lambda f, g, dx: (f + g) / 2 * dx, before, after, move)


def total(tree: PyTree[Array]) -> Any:
    """The sum over all elements of all leaves."""
    return jax.tree.reduce(jnp.add, jax.tree.map(jnp.sum, tree))


def exchange(
    forces: tuple[Forces, Forces],
    energies: tuple[Array, Array, Array],
    move: PyTree[Array],
    path_heat: PyTree[Array] | None,
    kinetic: PyTree[Array] | None,
) -> Exchange:
    """Work and heat of a step.

    Args:
        forces: at both ends of the step, at the same λ' and ξ.
        energies: E at the end of the last step; at the start of this one, after λ has moved; at its
            end.
        move: dx, like the position.
        path_heat: δQ* by element, like the position, where the integrator knows it.
        kinetic: (p/m)∘dp by element of a system with momentum, else None. With momentum the heat is
            δQ* where this is known.
    """
    start, end = forces
    before, now, after = energies
    driven = jnp.zeros_like(now)
    if start.drive is not None:
        driven = driven + total(stratonovich(start.drive, end.drive, move))
    heat, by_element = now - after + driven, stratonovich(start.force, end.force, move)
    shadow_work = None if path_heat is None else total(path_heat) - heat
    if kinetic is not None:
        by_element = jax.tree.map(jnp.subtract, by_element, kinetic)
        if path_heat is not None:
            heat, by_element = total(path_heat), path_heat
    return Exchange(now - before + driven, heat, by_element, path_heat, shadow_work)


def _is_sum(value: Any) -> bool:
    return isinstance(value, CompensatedSum)


class Shadow(eqx.Module):
    """Cumulative shadow work of one trajectory, and Σ (δQ* - δQ)/T over the elements."""

    work: Any
    entropy_flow: Any


class Ledger(eqx.Module):
    r"""Cumulative work, heat and entropy flow of one trajectory.

    In a step the control moves first, λ→λ', then the state, x→x', at a fixed sample ξ:
    $$\delta W = U(x, \lambda', \xi) - U_\text{before} + f\circ dx, \qquad
      \delta Q = -[U(x', \lambda', \xi) - U(x, \lambda', \xi)] + f\circ dx,$$
    with ∘ the mean of both end points (Stratonovich). U_before is the energy at the end of the
    last step, so a new sample that enters U is work. Hence dU = δW - δQ identically. Heat is
    positive into the bath. Leaf by leaf $\delta Q_l = F_l\circ dx_l$; the sum differs from δQ by
    O(|dx|³), and not at all for quadratic U. With momentum, E = U + K takes the place of U and the
    heat is what the friction and noise of the bath take; then dE = δW + δW_shadow - δQ.

    Source: Sekimoto 2010, ch. 4; Seifert 2012, eqs. 8-15.
    """

    work: CompensatedSum
    heat: CompensatedSum
    heat_by_leaf: PyTree[CompensatedSum]
    entropy_flow_by_leaf: PyTree[CompensatedSum]
    shadow: Shadow | None = None

    @classmethod
    def empty(cls, position: PyTree[Array], dtype: Any, *, shadow: bool = False) -> "Ledger":
        """An empty ledger for one state."""
        zero = CompensatedSum.zeros((), dtype)
        by_leaf = jax.tree.map(lambda _: zero, position)
        return cls(zero, zero, by_leaf, by_leaf, Shadow(zero, zero) if shadow else None)

    def totals(self) -> "Ledger":
        """The same ledger with plain numbers in place of its sums."""
        return jax.tree.map(lambda running: running.value, self, is_leaf=_is_sum)

    def record(self, step: Exchange, temperature: PyTree[Array]) -> "Ledger":
        """The ledger after one more step.

        Args:
            step: its work and heat.
            temperature: T like the position, each leaf a scalar or of the leaf's shape.
        """

        def add(sums, terms):
            terms = jax.tree.map(jnp.sum, terms)
            return jax.tree.map(CompensatedSum.add, sums, terms, is_leaf=_is_sum)

        flows = _over_temperature(step.heat_by_element, temperature)
        shadow = None
        if self.shadow is not None:
            assert step.shadow_work is not None
            excess = jax.tree.map(jnp.subtract, step.path_heat, step.heat_by_element)
            shadow = Shadow(
                self.shadow.work.add(step.shadow_work),
                self.shadow.entropy_flow.add(total(_over_temperature(excess, temperature))),
            )
        return Ledger(
            self.work.add(step.work),
            self.heat.add(step.heat),
            add(self.heat_by_leaf, step.heat_by_element),
            add(self.entropy_flow_by_leaf, flows),
            shadow,
        )


def _over_temperature(heat: PyTree[Array], temperature: PyTree[Array]) -> PyTree[Array]:
    """δQ/T by element; NaN for a bath at T = 0, where it is undefined."""

    def flow(q, T):
        heated = T > 0
        return jnp.where(heated, q / jnp.where(heated, T, 1), jnp.nan)

    return jax.tree.map(flow, heat, temperature)
