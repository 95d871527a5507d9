"""`import thermoml` is light, quiet and leaves JAX's flags alone."""

import os
import subprocess
import sys

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


def test_every_public_name_is_there_and_documented():
    for name in tml.__all__:
        assert getattr(tml, name) is not None
        if name != "__version__":
            assert getattr(tml, name).__doc__, name
