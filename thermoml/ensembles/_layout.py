"""Layout of an ensemble: chunks of trajectories that fit the caches, shared over the devices."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import check_count
from ..numerics.choices import is_choice
from ..numerics.compile import is_traced_now

# Numbers that an array of one chunk may hold on one device, so that it fits its caches.
_ROOM = {"cpu": 2**20, "gpu": 2**28, "tpu": 2**28}
# Trajectories for each device beyond the first that outweigh the longer compilation.
_WORTH_A_DEVICE = 16


class Footprint(NamedTuple):
    """What limits the number of trajectories side by side.

    Attributes:
        numbers: a function that returns how many numbers the largest array of one trajectory
            holds; it is called only where there are many trajectories.
        vector: trajectories that are computed together; a chunk is a multiple of it on each device,
            because a remainder would be computed as scalars and round differently.
        widest: trajectories at most on one core of a CPU.
        elsewhere: trajectories at most on another device.
        alone: the numbers beyond which a lone trajectory is not filled up to a whole vector.
        plain: whether the loop over steps is to be one function, see `as_one_function`.
    """

    numbers: Callable[[], int]
    vector: int = 1
    widest: int | None = None
    elsewhere: int | None = None
    alone: int = 0
    plain: bool = False


class Division(NamedTuple):
    """Trajectories in a chunk, and the devices that share it (None for a single one)."""

    chunk: int
    mesh: Mesh | None

    @property
    def shares(self) -> int:
        """The number of parts into which `share` cuts."""
        return 1 if self.mesh is None else self.mesh.size


@dataclasses.dataclass(frozen=True)
class Layout:
    """How an ensemble is laid out: side by side, one chunk after another, on which devices.

    Trajectories are the same in every layout, to rounding. Whatever is left out is chosen for the
    machine when a run begins: all devices, but one of a CPU's under `grad` or `vmap` outside of
    jit.

    Args:
        chunk: largest number of trajectories side by side, rounded to whole vectors on each device.
        n_devices: number of local devices that share a chunk, the first ones.
        platform: "cpu", "gpu" or "tpu", for which sizes are chosen.

    Raises:
        ValueError, TypeError: counts below 1, more devices than there are, an unknown platform.

    Example:
        >>> layout = Layout(chunk=64, n_devices=1)
    """

    chunk: int | None = None
    n_devices: int | None = None
    platform: str | None = None

    def __post_init__(self):
        for name in ("chunk", "n_devices"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.platform is not None and not is_choice(self.platform, _ROOM):
            names = ", ".join(_ROOM)
            raise ValueError(f"platform must be one of {names}, got {self.platform!r:.80}")

    @classmethod
    def of(cls, layout: Any) -> "Layout":
        """An argument `layout` with nothing left out; TypeError if it is neither one nor None."""
        if layout is None:
            return cls().here()
        if not isinstance(layout, cls):
            raise TypeError(f"layout must be a Layout or None, got {layout!r:.80}")
        return layout.here()

    def here(self) -> "Layout":
        """This layout with this machine's devices and platform where they are left out."""
        local = jax.local_device_count()
        if self.n_devices is not None and self.n_devices > local:
            raise ValueError(
                f"n_devices must not exceed the {local} local devices, got {self.n_devices}; on a "
                'CPU, jax.config.update("jax_num_cpu_devices", n) before the first computation '
                "makes more"
            )
        platform = self.platform or jax.default_backend()
        # What is computed next from the traced result would leave sums to wait, see `collect`.
        alone = platform == "cpu" and is_traced_now() and not _is_staged()
        return Layout(self.chunk, self.n_devices or (1 if alone else local), platform)

    def divide(self, n_trajectories: int, footprint: Footprint) -> Division:
        """The chunk and the devices for an ensemble, of a layout that leaves nothing out."""
        assert self.n_devices is not None
        assert self.platform is not None
        vector = footprint.vector
        worth = (
            -(-n_trajectories // _WORTH_A_DEVICE) if n_trajectories >= 2 * _WORTH_A_DEVICE else 1
        )
        n_devices = min(self.n_devices, worth)
        room = _ROOM.get(self.platform, _ROOM["gpu"])
        if self.chunk is not None:
            part = max(1, self.chunk // n_devices)
        else:
            part = max(1, room // footprint.numbers())
            widest = footprint.widest if self.platform == "cpu" else footprint.elsewhere
            part = part if widest is None else min(part, widest)
        part = max(part, vector)
        if n_trajectories == 1 and vector > 1 and footprint.numbers() * vector > footprint.alone:
            return Division(1, None)
        n_chunks = -(-n_trajectories // (part * n_devices))
        part = -(-n_trajectories // (n_chunks * n_devices))
        part = -(-part // vector) * vector
        return Division(part * n_devices, _trajectory_mesh(n_devices))

    def collect(self, result: PyTree[Any]) -> PyTree[Any]:
        """The result of a run, on one device if CPU devices have shared it.

        Each sum over an array that CPU devices share makes them wait for one another. With two
        such sums in flight XLA's threads can wait forever, so none is left to the caller. Inside
        jit, and on GPUs and TPUs, arrays stay where they are.
        """
        return jax.tree.map(_on_one_device, result) if self.platform == "cpu" else result


def _trajectory_mesh(n_devices: int) -> Mesh | None:
    """The first local devices as a mesh to share trajectories over; None for a single one."""
    if n_devices <= 1:
        return None
    return Mesh(np.array(jax.local_devices()[:n_devices]), ("trajectory",))


def _is_staged() -> bool:
    """True inside jit, where what is computed from constants is traced too."""
    return not is_concrete(jnp.add(0, 0))


def _on_one_device(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or not is_concrete(leaf):
        return leaf
    if len(leaf.sharding.device_set) == 1:
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jnp.asarray(np.asarray(jax.random.key_data(leaf)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return jnp.asarray(np.asarray(leaf))


def gather(tree: PyTree[Array], mesh: Mesh | None) -> PyTree[Array]:
    """Inside jit: whole arrays on every device, from where on their number does not matter."""
    if mesh is None:
        return tree
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: lax.with_sharding_constraint(leaf, whole), tree)


def share(tree: PyTree[Array], mesh: Mesh | None, axis: int) -> PyTree[Array]:
    """Inside jit: the arrays of `tree` with `axis` cut into equal parts, one on each device."""
    if mesh is None:
        return tree

    def constrain(leaf: Any) -> Array:
        spec: list[str | None] = [None] * leaf.ndim
        spec[axis] = "trajectory"
        return lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(*spec)))

    return jax.tree.map(constrain, tree)
