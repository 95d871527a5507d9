"""Execution of units: in this process, or as tasks on the workers of a Dask cluster."""

import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ._cluster import ClusterError
from ._environment import environment
from ._plan import Plan
from ._provenance import versions
from ._task import Task, UnitRunner
from ._variables import Kept, unit_values

if TYPE_CHECKING:
    from distributed import Client, Future

_T = TypeVar("_T")

# (unit's number, the arrays it writes, seconds it took)
Finished = tuple[int, dict[str, np.ndarray], float]


class SchedulerLost(RuntimeError):
    """Loss of the connection to the scheduler; the message says which results are safe."""


def run_here(
    runner: UnitRunner, plan: Plan, numbers: Sequence[int], kept: Kept
) -> Iterator[Finished]:
    """Units one by one in this process, on its local devices."""
    for number in numbers:
        began = time.perf_counter()
        values = interruptible(lambda n=number: _run(runner, plan, n, kept))
        yield number, values, time.perf_counter() - began


def interruptible(call: Callable[[], _T]) -> _T:
    """`call()` in a thread: compiled code does not heed signals, waiting for it does.

    After an interrupt the thread's work is lost, as it would be with the process.
    """
    future: concurrent.futures.Future[_T] = concurrent.futures.Future()

    def target():
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=target, daemon=True).start()
    return future.result()


def _run(runner: UnitRunner, plan: Plan, number: int, kept: Kept) -> dict[str, np.ndarray]:
    unit = plan.unit(number)
    results = runner.run(unit, plan)
    return unit_values(results, runner.quantities(unit), unit, plan, kept)


def environment_of(client: "Client | None") -> dict[str, Any]:
    """The environment of the workers, or of this process.

    Raises:
        SchedulerLost: the scheduler went away.
    """
    if client is None:
        return environment()
    future = client.submit(environment, pure=False)
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise SchedulerLost from None


def run_on_dask(
    client: "Client",
    task: Task,
    plan: Plan,
    numbers: Sequence[int],
    kept: Kept,
    expected: Mapping[str, Any],
) -> Iterator[Finished]:
    """Units as tasks of a `dask.distributed.Client`, in the order in which they finish.

    A task whose worker dies is run again elsewhere by the scheduler.

    Raises:
        SchedulerLost: the scheduler went away.
        ClusterError: a worker computes with other versions than this process or in another
            environment than `expected`, or workers die of a unit again and again.
    """
    import cloudpickle
    import distributed
    from distributed.comm.core import CommClosedError

    payload = cloudpickle.dumps((task, plan, kept))
    ours = {**versions(), **expected}
    futures = {
        client.submit(_run_remotely, payload, number, pure=False): number for number in numbers
    }
    try:
        for future in distributed.as_completed(futures):
            if future.status in ("cancelled", "lost"):
                raise SchedulerLost
            values, seconds, theirs = future.result()
            if theirs != ours:
                differ = {k: v for k, v in theirs.items() if v != ours[k]}
                raise ClusterError(
                    "a worker computes with other versions, settings or vectors than the rest: "
                    f"{differ}, elsewhere { {k: ours[k] for k in differ} }; install and set the "
                    "same everywhere"
                )
            future.release()
            yield futures.pop(future), values, seconds
    except distributed.KilledWorker as error:
        raise ClusterError(
            f"workers died {error.allowed_failures + 1} times over the same unit; they may lack "
            "memory: lower memory or per_unit, and --resume"
        ) from None
    except (concurrent.futures.CancelledError, CommClosedError):  # Dask's own derives from it
        raise SchedulerLost from None
    finally:
        _cancel(client, list(futures))


def _cancel(client: "Client", futures: "list[Future]") -> None:
    """Cancel the tasks that have not run, unless the scheduler has gone."""
    if futures and client.status == "running":
        client.cancel(futures, force=True)


@functools.lru_cache(maxsize=4)
def _runner(payload: bytes) -> tuple[UnitRunner, Plan, Kept]:
    """The same runner for all units of a sweep that this worker gets, compiled once."""
    import cloudpickle

    task, plan, kept = cloudpickle.loads(payload)
    return UnitRunner(task), plan, kept


_one_at_a_time = threading.Lock()  # the threads of a worker share its devices


def _run_remotely(
    payload: bytes, number: int
) -> tuple[dict[str, np.ndarray], float, dict[str, Any]]:
    with _one_at_a_time:
        began = time.perf_counter()
        runner, plan, kept = _runner(payload)
        values = _run(runner, plan, number, kept)
        return values, time.perf_counter() - began, versions() | environment()
