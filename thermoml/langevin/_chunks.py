"""How an ensemble is cut into chunks that caches hold, each shared over the devices."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import subjaxprs
from jax.sharding import Mesh

from ..numerics.devices import trajectory_mesh

# Numbers that an array of one chunk may hold on one device.
_ROOM = {"cpu": 2**20, "other": 2**28}
# Trajectories from which on a second device is worth the compiler's trouble.
_WORTH_SHARING = 32


def _sizes(jaxpr: Any) -> Iterator[int]:
    for equation in jaxpr.eqns:
        yield from (getattr(variable.aval, "size", 0) for variable in equation.outvars)
    for inner in subjaxprs(jaxpr):
        yield from _sizes(inner)


def widest_array(function: Callable[..., Any], *arguments: Any) -> int:
    """The numbers in the largest array that `function` makes on its way."""
    return max(_sizes(jax.make_jaxpr(function)(*arguments).jaxpr), default=1)


def layout(width: Callable[[], int], n_trajectories: int) -> tuple[int, Mesh | None]:
    """How many trajectories run side by side, and the devices that share them.

    `width()`: numbers in the largest array of one trajectory; not asked where there are few.
    """
    if n_trajectories < _WORTH_SHARING:
        return n_trajectories, None
    n_devices = jax.local_device_count()
    room = _ROOM["cpu" if jax.default_backend() == "cpu" else "other"]
    part = max(1, room // width())
    n_chunks = -(-n_trajectories // (part * n_devices))
    return -(-n_trajectories // (n_chunks * n_devices)) * n_devices, trajectory_mesh(n_devices)
