"""`import thermoml` is light, quiet and leaves JAX's flags alone."""

import subprocess
import sys

import thermoml as tml

HEAVY = ("xarray", "zarr", "matplotlib.pyplot", "pydantic", "typer", "sklearn", "yaml", "tqdm")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
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


def test_import_time_is_that_of_its_foundations():
    """In processor time and within one process, which other work on the machine disturbs least."""
    code = (
        "from time import process_time as now; start = now(); import jax, equinox, diffrax; "
        "theirs = now(); import thermoml; print((now() - theirs) / (theirs - start))"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.3


def test_every_public_name_is_there_and_documented():
    for name in tml.__all__:
        assert getattr(tml, name) is not None
        if name != "__version__":
            assert getattr(tml, name).__doc__, name
