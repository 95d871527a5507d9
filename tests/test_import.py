"""`import thermoml` is light, quiet and leaves JAX's flags alone."""

import os
import subprocess
import sys
from types import FunctionType

import pytest

import thermoml as tml

HEAVY = (
    "optax",
    "xarray",
    "zarr",
    "matplotlib.pyplot",
    "pydantic",
    "typer",
    "sklearn",
    "yaml",
    "tqdm",
)


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = run(f"import sys, thermoml; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"


def test_import_changes_no_flag_and_starts_no_backend():
    code = (
        "import jax; before = dict(jax.config.values); import thermoml; "
        "from jax._src import xla_bridge; "
        "print(before == dict(jax.config.values), xla_bridge.backends_are_initialized())"
    )
    assert run(code) == "True False"


@pytest.mark.slow
def test_import_time_is_that_of_its_foundations(tmp_path):
    """In processor time and within one process, which other work on the machine disturbs least.

    The first process compiles all modules to bytecode, where Python is not told to write none.
    """
    bytecode = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    code = (
        "from time import process_time as now; start = now(); import jax, equinox, diffrax; "
        "theirs = now(); import thermoml; print((now() - theirs) / (theirs - start))"
    )
    assert min(float(run(code, **bytecode)) for _ in range(4)) < 0.3


ROOMS = ("langevin", "networks", "perceptron", "plots", "studies", "sweeps", "thermodynamics")


def public(room):
    """Classes and functions that a room exports, by name."""
    things = {name: thing for name, thing in vars(room).items() if not name.startswith("_")}
    things = {name: x for name, x in things.items() if isinstance(x, type | FunctionType)}
    return {name: x for name, x in things.items() if x.__module__.startswith("thermoml")}


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_public_name_is_documented_and_says_where_it_is_found(room):
    house = getattr(tml, room) if room else tml
    for name, thing in public(house).items():
        assert thing.__doc__, name
        path = sys.modules[thing.__module__]
        assert not any(part.startswith("_") for part in thing.__module__.split(".")), thing
        assert getattr(path, thing.__qualname__) is thing


def test_the_top_level_is_what_one_begins_with():
    """The verbs and nouns of the README's first screens; the rest is in its room."""
    assert 55 <= len(public(tml)) <= 75
