"""The local devices, and how trajectories are shared out over them."""

from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


def trajectory_mesh(n_devices: int) -> Mesh | None:
    """The first local devices as a mesh to share trajectories over; None for a single one."""
    if n_devices <= 1:
        return None
    return Mesh(np.array(jax.local_devices()[:n_devices]), ("trajectory",))


def count_shares(mesh: Mesh | None) -> int:
    """Into how many parts `share` cuts."""
    return 1 if mesh is None else mesh.size


def gather(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Inside jit: whole arrays on every device, from where on their number does not matter."""
    if mesh is None:
        return tree
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: lax.with_sharding_constraint(leaf, whole), tree)


def share(tree: PyTree, mesh: Mesh | None, axis: int) -> PyTree:
    """Inside jit: the arrays of `tree` with `axis` cut into equal parts, one on each device."""
    if mesh is None:
        return tree

    def constrain(leaf: Any):
        spec: list[str | None] = [None] * leaf.ndim
        spec[axis] = "trajectory"
        return lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(*spec)))

    return jax.tree.map(constrain, tree)
