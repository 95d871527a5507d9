"""The computation at the points of a sweep, compiled once for each shape and run by units."""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..numerics.arrays import default_float, is_concrete
from ..numerics.compile import compiler_options
from ._grid import Grid
from ._outcome import BLOCK, Outcome, Quantity, Sheddable, describe
from ._plan import Plan, Unit


@dataclasses.dataclass(frozen=True)
class Task:
    """A function over a grid, in a form that can be sent to other processes.

    Attributes:
        function: `function(ensemble, **parameters)`; see `sweep`.
        grid: the parameters.
        static: names of floating parameters that fix shapes.
        n_trajectories: at each point.
        key_data, key_implementation: the random key.
        x64: whether JAX's x64 mode is on.
        replicates: name of the dimension of `n_trajectories`.
    """

    function: Callable[..., Any]
    grid: Grid
    static: tuple[str, ...]
    n_trajectories: int
    key_data: np.ndarray
    key_implementation: str
    x64: bool
    replicates: str

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        grid: Grid,
        *,
        n_trajectories: int,
        key: Key[Array, ""],
        x64: bool,
        static: Sequence[str] = (),
        replicates: str = "trajectory",
    ) -> "Task":
        """The task that draws from a typed key.

        Raises:
            ValueError: `replicates` is no name.
        """
        named = isinstance(replicates, str) and replicates.isidentifier()
        if not named or replicates == BLOCK:
            raise ValueError(
                f"replicates must be a name such as 'resample', and not {BLOCK!r}, which the store "
                f"itself uses; got {replicates!r:.80}"
            )
        data, implementation = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
        return cls(
            function, grid, tuple(static), n_trajectories, data, implementation, x64, replicates
        )

    @property
    def key(self) -> Key[Array, ""]:
        """The random key."""
        return jax.random.wrap_key_data(jnp.asarray(self.key_data), impl=self.key_implementation)

    def groups(self) -> np.ndarray:
        """For each point of the grid, the number of the compiled code that it shares."""
        seen: dict[Any, int] = {}
        groups = np.zeros(self.grid.shape, int)
        for index in np.ndindex(self.grid.shape):
            static, dynamic = self.split(index)
            shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(dynamic))
            code = (jax.tree.structure(dynamic), _Static(static), shapes)
            groups[index] = seen.setdefault(code, len(seen))
        return groups

    def split(self, index: Sequence[int]) -> tuple[Any, Any]:
        """The parameters at a point: static ones, which fix code and shapes, and numbers."""
        point = self.grid.point(index)
        frozen = {name: name in self.static for name in point}
        moving = {
            name: jax.tree.map(lambda leaf, off=frozen[name]: not off and _is_float(leaf), value)
            for name, value in point.items()
        }
        dynamic, static = eqx.partition(point, moving)
        return static, jax.tree.map(lambda leaf: np.asarray(leaf, default_float()), dynamic)


def _is_float(leaf: Any) -> bool:
    return eqx.is_inexact_array_like(leaf) and not isinstance(leaf, complex)


class _Static:
    """A tree of static values, as a key of a dictionary."""

    def __init__(self, tree: Any):
        leaves, self.structure = jax.tree.flatten(tree)
        self.leaves = [(type(x), x.tobytes() if isinstance(x, np.ndarray) else x) for x in leaves]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.structure)


@contextlib.contextmanager
def _advice_on_static() -> Iterator[None]:
    """A context that adds a remedy to the TypeError of a traced parameter used as a number."""
    try:
        yield
    except TypeError as error:  # among them JAX's own, about arrays that have no value yet
        message = str(error).splitlines()[0].rstrip(".")
        if "traced" not in message:
            raise
        raise TypeError(
            f"{message}; if a parameter of the grid fixes a shape or a number of steps, say so by "
            'static=("its name",)'
        ) from error


class UnitRunner:
    """Runs units of a task, compiling each code once."""

    def __init__(self, task: Task, meter: diffrax.AbstractProgressMeter | bool = False):
        self.task = task
        self.meter = meter
        self.outcomes: dict[int, Outcome] = {}
        self._rest: dict[int, Any] = {}  # the static part of each result
        self._compiled: dict[Any, Any] = {}
        self.groups = task.groups()

    def _mode(self) -> contextlib.AbstractContextManager:
        return jax.enable_x64(self.task.x64)

    def _arguments(self, unit: Unit) -> tuple[Any, Any, Any]:
        numbers = [np.ravel_multi_index(point, self.groups.shape) for point in unit.points]
        parameters = [self.task.split(point)[1] for point in unit.points]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *parameters)
        return jnp.asarray(numbers), jnp.asarray(unit.first_trajectory), stacked

    def _compile(self, unit: Unit, plan: Plan) -> Any:
        group = int(self.groups[unit.points[0]])
        code = (group, len(unit.points), plan.trajectories)
        if code not in self._compiled:
            function = self._function(group, unit.points[0], plan.trajectories)
            with self._mode(), _advice_on_static():
                arguments = self._arguments(unit)
                program = jax.jit(function).lower(*arguments)
                self._compiled[code] = program.compile(compiler_options=compiler_options())
        return self._compiled[code]

    def _function(self, group: int, point: Sequence[int], n_trajectories: int) -> Callable:
        task, static = self.task, self.task.split(point)[0]

        def one(number, first, dynamic):
            ensemble = {
                "key": jax.random.fold_in(task.key, number),
                "n_trajectories": n_trajectories,
                "first_trajectory": first,
                "progress": self.meter,
            }
            result = task.function(ensemble, **eqx.combine(dynamic, static))
            result = result.light() if isinstance(result, Sheddable) else result
            described = describe(result, n_trajectories, task.replicates)
            self.outcomes[group] = Outcome.of(described, task.grid.names, task.replicates)
            # Leaves that do not depend on the arguments, labels and times among them, stay here.
            arrays, self._rest[group] = eqx.partition(result, lambda leaf: not is_concrete(leaf))
            return arrays

        def many(numbers, first, dynamic):
            if len(numbers) > 1:
                return jax.vmap(one, (0, None, 0))(numbers, first, dynamic)
            only = one(numbers[0], first, jax.tree.map(lambda leaf: leaf[0], dynamic))
            return jax.tree.map(lambda leaf: leaf[None], only)

        return many

    def memory(self, plan: Plan, point: Sequence[SupportsIndex]) -> int:
        """Bytes on all local devices that a unit of the plan's size needs, as compiled."""
        compiled = self._compile(plan.unit_at(point), plan)
        analysis = compiled.memory_analysis()
        if analysis is None:  # a backend that does not tell
            return 0
        size = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes
        n_devices = len(compiled.runtime_executable().local_devices())  # sizes are of one of them
        return n_devices * (size + analysis.output_size_in_bytes)

    def trace(self, plan: Plan) -> None:
        """Make the outcomes of all codes known, by compiling those that are not."""
        for group in np.unique(self.groups):
            if group not in self.outcomes:
                first = np.argwhere(self.groups == group)[0]
                self._compile(plan.unit_at(first), plan)

    def outcome(self) -> Outcome:
        """The variables and coordinates of all points; some points may lack a variable.

        Raises:
            ValueError: a variable or coordinate differs between points.
        """
        for pair in itertools.combinations(self.outcomes, 2):
            difference = self.outcomes[pair[0]].difference(self.outcomes[pair[1]])
            if difference:
                labels = [self.task.grid.label(np.argwhere(self.groups == g)[0]) for g in pair]
                raise ValueError(
                    f"the function must return the same at every point, got {difference} at "
                    f"{labels[0]} and {labels[1]}; choose what is saved so that it agrees"
                )
        return functools.reduce(Outcome.union, self.outcomes.values())

    def quantities(self, unit: Unit) -> dict[str, Quantity]:
        """The variables of a unit that has run."""
        return self.outcomes[int(self.groups[unit.points[0]])].variables

    def run(self, unit: Unit, plan: Plan) -> dict[str, np.ndarray]:
        """The results of one unit, `[point, replicate, ...]`; exact ones `[point, ...]`."""
        compiled = self._compile(unit, plan)
        group = int(self.groups[unit.points[0]])
        with self._mode():
            arrays = jax.tree.map(np.asarray, compiled(*self._arguments(unit)))
            # Labelled values are derived from the arrays point by point, outside of the compiled
            # code: its rounding would depend on the number of devices.
            points = [self._derive(group, plan, arrays, i) for i in range(unit.n_points)]
        results = {}
        for name, quantity in self.quantities(unit).items():
            values = np.stack([point[name] for point in points]).astype(quantity.dtype)
            results[name] = values if quantity.exact else values[:, : unit.n_trajectories]
        return results

    def _derive(self, group: int, plan: Plan, arrays: Any, i: int) -> dict[str, np.ndarray]:
        own = jax.tree.map(lambda stacked: jnp.asarray(stacked[i]), arrays)
        result = eqx.combine(own, self._rest[group])
        labelled = describe(result, plan.trajectories, plan.replicates)
        return {name: np.asarray(labelled[name].values) for name in self.outcomes[group].variables}
