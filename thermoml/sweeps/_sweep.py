"""`sweep`: a function at every point of a grid, with its results in a resumable store."""

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Key

from ..numerics.arrays import default_float
from ..numerics.checks import check_count, check_key
from ..numerics.labels import Labelled
from ._executors import SchedulerLost, environment_of, interruptible, run_here, run_on_dask
from ._grid import Grid
from ._plan import Plan, make_plan, parse_size
from ._program import program_of, without_program
from ._progress import ProgressBar
from ._store import Store
from ._task import Task, UnitRunner
from ._variables import Kept, Variable, store_variables

if TYPE_CHECKING:
    import xarray
    from distributed import Client

# Default number of trajectories in a unit: a few times what the devices run side by side.
_PER_UNIT = {"cpu": 1024, "other": 2**16}


def sweep(
    grid: Grid | Mapping[str, Any],
    function: Callable[..., Any],
    *,
    store: str | os.PathLike[str],
    key: Key[Array, ""],
    n_trajectories: int = 1,
    static: tuple[str, ...] = (),
    trajectories: bool = False,
    replicates: str = "trajectory",
    standard_errors: bool | None = None,
    memory: int | str = "1GB",
    per_unit: int | None = None,
    executor: "Client | None" = None,
    resume: bool = False,
    same_program: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> "xarray.Dataset":
    r"""Run `function` with an ensemble of trajectories at every point of a grid, into a store.

    For each result x the store holds the mean and the standard error over the M trajectories,

    $$\bar x = \frac1M\sum_i x_i, \qquad
      s_{\bar x}^2 = \frac{1}{M(M-1)}\sum_i (x_i-\bar x)^2.$$

    A result without the dimension of trajectories is exact: it is stored once a point, as it is.
    A variable that only some points return is NaN at the others.

    The grid is cut into units, blocks of points that differ in numbers only times blocks of
    trajectories. A unit is one compiled call, `vmap`ped over its points; its results are one chunk
    of each array, followed by a line in the journal. A sweep that was stopped, by whatever means,
    continues with `resume=True` and ends with the same bits. It is refused, with the difference,
    where these could not be the same: another grid, key or function (with its closure, defaults,
    partial arguments, globals, and helpers in modules of your own), other versions, settings of JAX
    and XLA that change numbers, another kind of device or CPU vectors.

    Args:
        grid: a `Grid`, or a mapping from parameters to values for `Grid(**mapping)`.
        function: `function(ensemble, **parameters)` returns a `LearningCurve`, a `Solution`, or a
            mapping from names to arrays with one row per trajectory. `Labelled` ones have dims,
            units and words; their first dim is `replicates`, unless they are exact: the same
            whatever part of the ensemble the function is called for. `ensemble` has `key`,
            `n_trajectories`, `first_trajectory` and `progress`: pass it on, `learn(problem, level,
            t1=..., **ensemble)`. Floats of the grid arrive traced; integers, strings and
            parameters in `static` arrive as they are, and each different one is compiled.
        store: the results directory; `results.zarr` in it is an ordinary labelled Zarr store.
        key: `jax.random.key(...)`. Point p (row-major) draws from `fold_in(key, p)`.
        n_trajectories: M, at each point.
        static: names of floats that fix shapes, such as dt.
        trajectories: also keep every trajectory, as `<name>_trajectories`.
        replicates: name of the store's dimension of the M rows, if they are no trajectories:
            "resample" keeps them as `<name>_resamples`, and so on.
        standard_errors: whether `<name>_standard_error` is stored. None: for trajectories only;
            spread/√M is no standard error of bootstrap resamples, for example.
        memory: bound on what a unit needs on the devices, such as "500MB"; the need is estimated
            from the compiled code beforehand.
        per_unit: trajectories of a unit, all points together; by default 1024 on CPUs, else 65536.
        executor: None for this process and its local devices, or a `dask.distributed.Client`.
        resume: continue the store; start one if there is none or a torn one.
        same_program: with `resume`, your word that function and values of the grid are those of the
            store, where this cannot be told (a closure over a lock or a generator; a store of an
            earlier thermoml or Python). They are not compared then.
        overwrite: replace the store.
        progress: a bar on stderr; None shows it on a terminal only.

    Returns:
        The store as an xarray Dataset over the grid's axes, read from disk as it is used.

    Raises:
        TypeError, ValueError: an argument or a result of the function that does not fit; an exact
            result that differs between parts of the ensemble.
        MemoryError: one trajectory of one point needs more than `memory`.
        StoreError: the store is in use, of another run, not empty, or cannot be written; what had
            finished is kept.
        SchedulerLost: the executor's scheduler went away; what had finished is kept.

    Cost: that of the function; compilation once per different shape; about 2 ms of writing for
    each array of a unit.
    """
    if not isinstance(grid, Grid | Mapping):
        raise TypeError(f"grid must be a Grid or a mapping from names to values, got {grid!r:.80}")
    grid = grid if isinstance(grid, Grid) else Grid(**grid)
    check_key(key, "samples")
    if not isinstance(static, list | tuple | set) or not all(isinstance(x, str) for x in static):
        raise TypeError(f'static must be a tuple of names such as ("dt",), got {static!r:.80}')
    n_trajectories = check_count("n_trajectories", n_trajectories)
    if n_trajectories >= 2**31:
        raise ValueError(
            f"n_trajectories must be below 2**31, for trajectories are numbered in 32 bits, got "
            f"{n_trajectories}; give several sweeps different keys"
        )
    x64 = default_float() == np.float64
    task = Task.of(
        function,
        grid,
        n_trajectories=n_trajectories,
        key=key,
        x64=x64,
        static=static,
        replicates=replicates,
    )
    sweep_of = Sweep(
        task,
        identity=_identity(task, trajectories),
        program=program_of(function, grid),
        keep=trajectories,
        standard_errors=standard_errors,
        memory=parse_size(memory),
        per_unit=per_unit,
    )
    with Store.claim(store, resume=resume, overwrite=overwrite) as place:
        sweep_of.run(
            place,
            executor=executor,
            resume=resume,
            same_program=same_program,
            progress=progress,
        )
        place.finish()
        return place.load()


def _identity(task: Task, trajectories: bool) -> str:
    """The part of a sweep that its store must agree with to be continued, as JSON."""
    identity = {
        "grid": {name: c.values.tolist() for name, c in task.grid.coordinates().items()},
        "dims": list(task.grid.dims),
        "static": sorted(task.static),
        "n_trajectories": task.n_trajectories,
        "trajectories": trajectories,
        "x64": task.x64,
    }
    return json.dumps(identity, sort_keys=True, ensure_ascii=False)


class Sweep:
    """A task with the settings of its store, ready to run into one.

    Args:
        task: the function over its grid.
        identity: JSON that a store must agree with to be continued.
        program: the same for code, with digests; see `program_of`.
        keep: whether single replicates are kept.
        standard_errors: whether they are stored; None: if the replicates are trajectories.
        memory: bytes that a unit may need.
        per_unit: trajectories of a unit; None for the platform's default.
    """

    def __init__(
        self,
        task: Task,
        *,
        identity: str,
        program: Mapping[str, str],
        keep: bool,
        memory: int,
        per_unit: int | None,
        standard_errors: bool | None = None,
    ):
        if jax.config.values["jax_disable_jit"]:
            raise ValueError("a sweep compiles its units; unset JAX_DISABLE_JIT (jax_disable_jit)")
        if task.grid.size == 0:
            raise ValueError("the grid must have at least one point")
        unknown = set(task.static) - set(task.grid.names)
        if unknown:
            raise ValueError(
                f"static must name parameters of the grid ({', '.join(task.grid.names)}), got "
                f"{', '.join(sorted(unknown))}"
            )
        self.task = task
        if standard_errors is None:
            standard_errors = task.replicates == "trajectory"
        self.kept = Kept(single=keep, standard_errors=standard_errors)
        self.memory = memory
        if per_unit is None:
            per_unit = _PER_UNIT["cpu" if jax.default_backend() == "cpu" else "other"]
        self.per_unit = check_count("per_unit", per_unit)
        self.attributes = {
            "config": identity,
            "program": dict(program),
            "key_data": task.key_data.tolist(),
            "key_implementation": task.key_implementation,
            "replicates": task.replicates,
            "standard_errors": standard_errors,
        }

    def run(
        self,
        store: Store,
        *,
        executor: "Client | None" = None,
        resume: bool = False,
        same_program: bool = False,
        progress: bool | None = None,
    ) -> None:
        """Run the units that the store does not hold yet; see `sweep` for the arguments.

        Raises:
            StoreError, SchedulerLost: as in `sweep`.
        """
        task = self.task
        bar = ProgressBar(progress)
        runner = UnitRunner(task, bar.meter if executor is None else False)
        try:
            plan, around = None, environment_of(executor)
            attributes = self.attributes | {"environment": around}
            if resume:
                wanted = without_program(attributes) if same_program else attributes
                shape, count = task.grid.shape, task.n_trajectories
                plan = store.resume(shape, count, wanted, lambda cut: self._labels(cut, runner))
            if plan is None:
                plan = interruptible(lambda: self._plan(runner))
                variables, coordinates = self._labels(plan, runner)
                store.create(
                    plan=plan,
                    variables=variables,
                    coordinates=coordinates,
                    attributes=attributes,
                )
            left = [number for number in range(len(plan)) if number not in store.done]
            bar.begin(len(plan), len(store.done))
            units = (
                run_here(runner, plan, left, self.kept)
                if executor is None
                else run_on_dask(executor, task, plan, left, self.kept, around)
            )
            for number, values, seconds in units:
                label = self._label(plan, number)
                store.write(plan.unit(number), plan, values, label, seconds)
                bar.advance(label)
        except SchedulerLost:
            raise SchedulerLost(
                f"the scheduler went away; {len(store.done)} units are in "
                f"{store.folder}, and --resume goes on from there"
            ) from None
        finally:
            bar.close()

    def _plan(self, runner: UnitRunner) -> Plan:
        """Cut the grid; this compiles."""
        return make_plan(
            runner.groups,
            self.task.n_trajectories,
            self.per_unit,
            self.memory,
            runner.memory,
            replicates=self.task.replicates,
        )

    def _labels(
        self, plan: Plan, runner: UnitRunner
    ) -> tuple[dict[str, Variable], dict[str, Labelled]]:
        """The arrays and coordinates of a plan's store; this compiles what is not yet compiled."""
        interruptible(lambda: runner.trace(plan))
        outcome, grid = runner.outcome(), self.task.grid
        variables = store_variables(outcome, plan, grid.dims, self.kept)
        return variables, {**grid.coordinates(), **outcome.coordinates}

    def _label(self, plan: Plan, number: int) -> str:
        unit = plan.unit(number)
        label = self.task.grid.label(unit.points[0])
        more = unit.n_points - 1
        return (
            label
            + (f" and {more} more" if more else "")
            + (f", block {unit.block + 1} of {plan.n_blocks}" if plan.n_blocks > 1 else "")
        )
