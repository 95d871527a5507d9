"""Heat that the chords of the steps leave out of a driven path that turns."""

import warnings
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PyTree

from ..numerics.arrays import is_concrete
from ._ledger import total
from ._momentum import Underdamped
from ._systems import AbstractSystem

_PART = 0.05  # of the heat, above which `simulate` warns
_SURE = 3.0  # standard errors of what is missing


class HeatWarning(UserWarning):
    """A time step at which the heat of a driven system is not what it means."""


class Chords(eqx.Module):
    r"""What the heat of one trajectory loses where two steps are taken as one, by each step.

    Two steps dx₀, dx₁ as one chord have the heat ½(F₀ + F₂)∘(dx₀ + dx₁), by
    $$D = \tfrac12\big[(F_1 - F_0)\cdot dx_1 - (F_2 - F_1)\cdot dx_0\big]$$
    less than each with its own chord. Each chord cuts off a part of order dt², so that half of the
    sum of D over all pairs of neighbours is what the ledger's own chords leave out. D is odd under
    time reversal: without a drive, in equilibrium, its mean is 0.

    Attributes:
        force_change, move: F' - F and dx of the last step.
        missing: ΣD/2.
        square: Σ(D/2)², to leading order in dt the variance of the sum.
    """

    force_change: PyTree[Array]
    move: PyTree[Array]
    missing: Float[Array, "*trajectories"]
    square: Float[Array, "*trajectories"]

    def stats(self) -> dict[str, Array]:
        """What `Solution.stats` says of it."""
        return {"missing_heat": self.missing, "missing_heat_error": jnp.sqrt(self.square)}

    @classmethod
    def begin(
        cls, system: AbstractSystem, states: PyTree[Float[Array, "trajectory ..."]], t: Any
    ) -> "Chords | None":
        """Of many trajectories; None without a drive, with momentum, where a path is smooth, or
        with samples, which change the force from step to step.
        """

        def drive(states):
            first = jax.tree.map(lambda leaf: leaf[0], states)
            sample = system.draw(jax.random.key(0))
            return sample, system.drive_force(first, system.control_at(t), sample)

        sample, force = eqx.filter_eval_shape(drive, states)
        if isinstance(system, Underdamped) or force is None or sample is not None:
            return None
        nothing, leaf = jax.tree.map(jnp.zeros_like, states), jax.tree.leaves(states)[0]
        zero = jnp.zeros(leaf.shape[:1], leaf.dtype)
        return cls(nothing, nothing, zero, zero)

    def after(self, force_change: PyTree[Array], move: PyTree[Array]) -> "Chords":
        """With one more step. No derivative goes through it."""
        force_change, move = lax.stop_gradient((force_change, move))

        def turn(df, dx, df_before, dx_before):
            return (df_before * dx - df * dx_before) / 4

        missing = total(jax.tree.map(turn, force_change, move, self.force_change, self.move))
        return Chords(force_change, move, self.missing + missing, self.square + missing**2)


def warn_of_missing_heat(
    stats: Mapping[str, Array], heat: Float[Array, "trajectory save"], dt: Any, *, stacklevel: int
) -> None:
    """HeatWarning where more than 5 % of the heat is missing, and certainly so."""
    if "missing_heat" not in stats or not is_concrete((dict(stats), heat)):
        return
    missing, error = (
        np.asarray(stats[name], float) for name in ("missing_heat", "missing_heat_error")
    )
    missing, exchanged = missing.mean(), float(np.mean(heat[:, -1] - heat[:, 0]))
    error = np.sqrt(np.sum(error**2)) / len(heat)
    if not abs(missing) - _SURE * error > _PART * abs(exchanged):  # nor where they are NaN
        return
    warnings.warn(
        f"the heat of this driven system is not that of dt -> 0: beside {exchanged:.4g} on "
        f"average, steps of dt = {dt:g} leave out about {missing:.2g} of a path that turns, "
        "whatever the integrator, whose own error comes in addition. Use a smaller dt, or average "
        "Mean(HeatRate(system)) with Heun()",
        HeatWarning,
        stacklevel=stacklevel + 1,
    )
