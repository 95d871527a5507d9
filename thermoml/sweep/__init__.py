"""Sweeps over grids of parameters: work units, their store, and where they are run."""

from ..numerics._labels import Labelled
from ._cluster import ClusterError, connected, local_workers
from ._executors import SchedulerLost
from ._grid import Grid
from ._plan import parse_size
from ._store import Store, StoreError, StoreWarning
from ._sweep import Sweep, sweep
from ._task import Task

__all__ = [
    "ClusterError",
    "Grid",
    "Labelled",
    "SchedulerLost",
    "Store",
    "StoreError",
    "StoreWarning",
    "Sweep",
    "Task",
    "connected",
    "local_workers",
    "parse_size",
    "sweep",
]
