"""Sweeps of functions by whole numbers, and what their stores hold byte by byte."""

import contextlib
import json
import shutil

import jax
import jax.numpy as jnp
import pytest

import thermoml as tml
from thermoml.sweeps import Store
from thermoml.sweeps._task import UnitRunner

SEED = 3
GRID = {"drift": [0.0, 0.5, 1.0, 2.0, 4.0]}
# 5 points with 5 trajectories each: two points a unit, or two blocks of trajectories a point.
CUTS = {"points": {"per_unit": 10}, "blocks": {"per_unit": 3}}
N_UNITS = {"points": 3, "blocks": 10}
M = 7


def new_key():
    """Made when it is used: at import it would start JAX before its options are set."""
    return jax.random.key(SEED)


def uniform(ensemble, n):
    """Uniform numbers from key and trajectory alone, by whole numbers: cheap to compile."""
    index = ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])
    seed = jax.random.key_data(ensemble["key"])[0]
    mixed = jnp.outer(index.astype(jnp.uint32) + seed, jnp.arange(1, n + 1, dtype=jnp.uint32))
    return (mixed * jnp.uint32(2654435761) >> 8).astype(float) / 2**24


def walk(ensemble, drift):
    """Whole numbers from key and trajectory, so that nothing depends on blocks; NaN at drift 4."""
    noise = uniform(ensemble, 3)
    return {"place": drift + noise, "lost": jnp.where(drift == 4, jnp.nan, noise[:, 0])}


# Sweeps of any function


@pytest.fixture(scope="session")
def noise_of():
    return uniform


@pytest.fixture
def go(tmp_path):
    def run(grid, function, **options):
        options = {"key": new_key(), "progress": False, "store": tmp_path / "run"} | options
        return tml.sweep(grid, function, **options)

    return run


@pytest.fixture(scope="session")
def at():
    """The function at point number p of the grid, as the docstring of `sweep` has it."""

    def result(p, function, n_trajectories=M, **parameters):
        key = jax.random.fold_in(new_key(), p)
        ensemble = {"key": key, "n_trajectories": n_trajectories, "first_trajectory": 0}
        floats = {k: jnp.asarray(v) if type(v) is float else v for k, v in parameters.items()}
        return function(ensemble | {"progress": False}, **floats)

    return result


# Stores of the walk


@pytest.fixture(scope="module")
def compile_once():
    """Equal runs share the code that `sweep` would compile anew for each store."""
    shared, init = {}, UnitRunner.__init__

    def init_shared(self, task, meter=False):
        init(self, task, meter)
        equal = task.function, str(task.grid.axes), str(task.key), task.x64
        memory = {name: value for name, value in vars(self).items() if isinstance(value, dict)}
        vars(self).update(shared.setdefault(equal, memory))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitRunner, "__init__", init_shared)
        yield


@pytest.fixture(scope="module")
def sweep_into(compile_once):
    """(folder, cut, function, grid, changes) -> the results of a sweep that is stored there."""

    def run(folder, cut="points", function=walk, grid=GRID, **changes):
        options = {"key": new_key(), "n_trajectories": 5, "trajectories": True, "progress": False}
        return tml.sweep(grid, function, store=folder, **(options | CUTS[cut] | changes))

    return run


@pytest.fixture(scope="session")
def files():
    """All of results.zarr, by path."""

    def read(folder):
        results = folder / "results.zarr"
        found = (path for path in results.rglob("*") if path.is_file())
        return {str(path.relative_to(results)): path.read_bytes() for path in found}

    return read


@pytest.fixture(scope="session")
def journalled():
    """folder -> the units in its journal."""

    def units(folder):
        lines = (folder / "journal.jsonl").read_text().splitlines()
        return [json.loads(line)["unit"] for line in lines]

    return units


@pytest.fixture(scope="session")
def counted():
    """The calls of a method; `error` instead of call number `stop_at`."""

    @contextlib.contextmanager
    def count(owner, name, stop_at=None, error=KeyboardInterrupt):
        calls, method = [], getattr(owner, name)

        def call(*args, **kwargs):
            calls.append(args)
            if len(calls) - 1 == stop_at:
                raise error
            return method(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, call)
            yield calls

    return count


@pytest.fixture(scope="module", params=CUTS)
def cut(request):
    return request.param


@pytest.fixture(scope="module")
def finished(cut, tmp_path_factory, sweep_into):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp(cut) / "run"
    sweep_into(folder, cut)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture(scope="module")
def resumed(sweep_into, counted, files, journalled):
    """Going on ends with the same bytes, and runs so many units."""

    def check(folder, cut, finished, n_run):
        with counted(UnitRunner, "run") as runs, counted(Store, "write") as writes:
            sweep_into(folder, cut, resume=True)
        assert len(runs) == len(writes) == n_run
        assert files(folder) == files(finished)
        assert set(journalled(folder)) == set(range(N_UNITS[cut]))
        assert not (folder / "results.part").exists()

    return check
