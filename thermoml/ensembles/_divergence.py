"""Divergence of trajectories: the error, and NaN in place of what follows."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree


class SimulationDiverged(RuntimeError):
    """A trajectory turned non-finite. `solution` holds the run, NaN from the failure on.

    In another process it is None if it cannot be pickled, for it holds a lambda.
    """

    def __init__(self, message: str, solution: Any):
        super().__init__(message)
        self.solution = solution

    def __reduce__(self):
        try:
            pickle.dumps(self.solution)
        except Exception:  # it holds a lambda: the message alone crosses to another process
            return type(self), (str(self), None)
        return type(self), (str(self), self.solution)


def raise_if_diverged(diverged_step: Int[Array, " trajectory"], solution: Any, remedy: str) -> None:
    """SimulationDiverged, naming the earliest step and its trajectory, if any has diverged."""
    steps = np.asarray(diverged_step)
    failed = np.flatnonzero(steps >= 0)
    if failed.size:
        first = failed[np.argmin(steps[failed])]
        raise SimulationDiverged(
            f"trajectory {first} turned non-finite at step {steps[first]} "
            f"({failed.size} of {steps.size} trajectories in all); {remedy}",
            solution,
        )


def blank_after(
    records: PyTree[Array], diverged_step: Int[Array, " trajectory"], steps: Int[Array, " save"]
) -> PyTree[Array]:
    """Records `[trajectory, save, ...]` with NaN at the saves after a trajectory has diverged."""
    bad = diverged_step[:, None]
    lost: Bool[Array, "trajectory save"] = (bad >= 0) & (steps[None] > bad)

    def blank(values: Array) -> Array:
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            return values
        return jnp.where(lost.reshape(lost.shape + (1,) * (values.ndim - 2)), jnp.nan, values)

    return jax.tree.map(blank, records)
