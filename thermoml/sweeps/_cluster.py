"""Dask clients for the command line: a running scheduler, or workers on this machine."""

import contextlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..numerics.cores import stay_on, usable_cores

if TYPE_CHECKING:
    from distributed import Client, WorkerPlugin

_CONNECT_SECONDS = 10


class ClusterError(RuntimeError):
    """Absence of a cluster to run on; the message gives the reason."""


def _distributed() -> ModuleType:
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "running on workers needs Dask: pip install 'thermoml[cluster]'"
        ) from None
    return distributed


def _own_default() -> contextlib.AbstractContextManager:
    """A context that leaves Dask's default scheduler as it was.

    A client that lost its scheduler restores, late, the default that it found: a harmless one.
    """
    from dask import config

    return config.set(scheduler=None)


@contextlib.contextmanager
def connected(address: str) -> "Iterator[Client]":
    """A client of the scheduler at `address`.

    Raises:
        ClusterError: no scheduler answers there within 10 s.
    """
    distributed = _distributed()
    with _own_default():
        try:
            client = distributed.Client(address, timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no scheduler answers at {address} ({type(error).__name__}); is dask-scheduler "
                "running there, and can this machine reach it?"
            ) from None
        with client:
            yield client


@contextlib.contextmanager
def local_workers(count: int) -> "Iterator[Client]":
    """A client of `count` worker processes, each with its own GPU or group of cores."""
    distributed = _distributed()
    cluster = distributed.LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    )
    with _own_default(), cluster, distributed.Client(cluster) as client:
        client.register_plugin(_placement(distributed, count))
        cluster.scale(count)
        yield client


def _placement(distributed: ModuleType, count: int) -> "WorkerPlugin":
    """A plugin that assigns devices to each worker before JAX sees them."""
    contents = {"name": "thermoml-placement", "count": count, "setup": _set_up}
    return type("Placement", (distributed.WorkerPlugin,), contents)()


def _set_up(plugin: Any, worker: Any) -> None:
    _take_devices(int(worker.name) % plugin.count, plugin.count)


def _take_devices(index: int, count: int) -> None:
    """Reserve the devices of worker `index` of `count`: one GPU if there are any, else cores."""
    gpus = _visible_gpus()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
        return
    cores = usable_cores()
    share = max(1, len(cores) // count)
    first = index * share % len(cores)
    own = cores[first : first + share]
    stay_on(own)
    import jax

    jax.config.update("jax_num_cpu_devices", len(own))


def _visible_gpus() -> list[str]:
    """The CUDA devices of this machine, without JAX, which would allocate them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    numbers = [name[6:] for name in os.listdir("/dev") if name.startswith("nvidia")]
    return sorted(number for number in numbers if number.isdigit())
