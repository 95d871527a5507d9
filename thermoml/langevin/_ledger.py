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


def _stratonovich(before: PyTree[Array], after: PyTree[Array], move: PyTree[Array]) -> Any:
    """½(f + f')·dx leaf by leaf, summed over each leaf's elements."""
    return jax.tree.map(lambda f, g, dx: jnp.sum((f + g) / 2 * dx), before, after, move)


def _is_sum(value: Any) -> bool:
    return isinstance(value, CompensatedSum)


class Ledger(eqx.Module):
    r"""Cumulative work, heat and entropy flow of one trajectory.

    In a step the control moves first, λ→λ', then the state, x→x', at a fixed sample ξ:
    $$\delta W = U(x, \lambda', \xi) - U_\text{before} + f\circ dx, \qquad
      \delta Q = -[U(x', \lambda', \xi) - U(x, \lambda', \xi)] + f\circ dx,$$
    with ∘ the mean of both end points (Stratonovich). U_before is the energy at the end of the
    last step, so a new sample that enters U is work. Hence dU = δW - δQ identically. Heat is
    positive into the bath. Leaf by leaf $\delta Q_l = F_l\circ dx_l$; the sum differs from δQ by
    O(|dx|³), and not at all for quadratic U.

    Source: Sekimoto 2010, ch. 4; Seifert 2012, eqs. 8-15.
    """

    work: CompensatedSum
    heat: CompensatedSum
    heat_by_leaf: PyTree[CompensatedSum]
    entropy_flow_by_leaf: PyTree[CompensatedSum]

    @classmethod
    def empty(cls, state: PyTree[Array], dtype: Any) -> "Ledger":
        """An empty ledger for one state."""
        zero = CompensatedSum.zeros((), dtype)
        by_leaf = jax.tree.map(lambda _: zero, state)
        return cls(zero, zero, by_leaf, by_leaf)

    def totals(self) -> "Ledger":
        """The same ledger with plain numbers in place of its sums."""
        return jax.tree.map(lambda running: running.value, self, is_leaf=_is_sum)

    def record(
        self,
        energy_before: Float[Array, ""],
        start: Forces,
        end: Forces,
        move: PyTree[Array],
        temperature: PyTree[Array],
    ) -> "Ledger":
        """The ledger after a step from `start` to `end` (same λ', ξ) with displacement `move`.

        Args:
            energy_before: U at the end of the last step.
            start, end: energy and forces at both ends of the step.
            move: dx, like the state.
            temperature: T like the state, each leaf a scalar or of the leaf's shape.
        """
        leaf_heat = _stratonovich(start.force, end.force, move)
        driven = jnp.zeros_like(start.energy)
        if start.drive is not None:
            driven = sum(jax.tree.leaves(_stratonovich(start.drive, end.drive, move)), driven)

        def flow(before, after, dx, T):
            heated = T > 0
            ratio = (before + after) / 2 * dx / jnp.where(heated, T, 1)
            return jnp.sum(jnp.where(heated, ratio, jnp.nan))  # undefined for a bath at T = 0

        flows = jax.tree.map(flow, start.force, end.force, move, temperature)
        return Ledger(
            self.work.add(start.energy - energy_before + driven),
            self.heat.add(start.energy - end.energy + driven),
            jax.tree.map(CompensatedSum.add, self.heat_by_leaf, leaf_heat, is_leaf=_is_sum),
            jax.tree.map(CompensatedSum.add, self.entropy_flow_by_leaf, flows, is_leaf=_is_sum),
        )
