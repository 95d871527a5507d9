"""Settings of all tests (two CPU devices, strict promotion, quick notebooks), shared fixtures."""

import gc
import os
from pathlib import Path

os.environ["THERMOML_QUICK"] = "1"  # read by the first cell of each notebook
os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["MPLBACKEND"] = "agg"

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest

pytest.register_assert_rewrite("command_line")
# Compiled programs are kept on disk for the next run. Workers do not share them: entries are not
# written atomically.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
_cache = Path(__file__).parent.parent / ".pytest_cache" / "jax" / _worker
jax.config.update("jax_compilation_cache_dir", str(_cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_traceback_in_locations_limit", 0)  # an eighth of the time
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# The same examples in each run; their time depends on what must be compiled.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("fixed")

# Tracing makes many objects that live on: looking through them again and again takes a quarter of
# the time.
gc.set_threshold(100_000, 50, 100)

WITHOUT_OPTIMISATION = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if jax.__version_info__ < (0, 11):  # XLA ends the process at a flag that it does not know
    WITHOUT_OPTIMISATION.append("--xla_cpu_use_fusion_emitters=false")


def pytest_configure(config):
    """Settings that depend on the command line.

    Most of the time is compilation, so XLA optimises nothing on a CPU, except for the tests marked
    `optimised`. Annotations are checked in the quick tests, which call every function; in the
    others the checks would take a third of the time. Workers of xdist do not read addopts, so
    jaxtyping's hook is installed here for them.
    """
    if config.option.markexpr != "optimised" and os.environ["JAX_PLATFORMS"] == "cpu":
        os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *WITHOUT_OPTIMISATION])
    option = "--jaxtyping-packages"
    passed = any(str(argument).startswith(option) for argument in config.invocation_params.args)
    if hasattr(config, "workerinput") and config.getoption(option) and not passed:
        jaxtyping.install_import_hook(*config.getoption(option).split(",", maxsplit=1))
    if config.option.markexpr in ("slow", "optimised", "exhaustive"):
        jaxtyping.config.update("jaxtyping_disable", True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Each test has one part; the longest run first, so that the workers end together."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow")
        if item.get_closest_marker("exhaustive"):
            item.own_markers = [mark for mark in item.own_markers if mark.name != "slow"]
    long = ("test_readme.py", "test_transformations.py", ".ipynb")
    items.sort(key=lambda item: not item.path.name.endswith(long))


@pytest.fixture(scope="module", autouse=True)
def few_executables():
    """Drop the executables of each test module at its end: thousands of them slow a worker."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Both floating dtypes, x64 on for the second."""
    with jax.enable_x64(request.param == "float64"):
        yield jax.numpy.dtype(request.param)


@pytest.fixture
def unchecked():
    """Annotations unchecked: for tests of errors that pass values of a wrong type."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def key():
    """The key of a test's random numbers."""
    return jax.random.key(2024)


@pytest.fixture(scope="session")
def assert_mean():
    """assert_mean(samples, expected, allowed=0): means over axis 0 agree within 4 standard errors.

    The false-alarm probability is 6e-5 per number. `allowed` is added for systematic errors, and
    1e-6 for rounding.
    """

    def check(samples, expected, *, allowed=0.0):
        samples = np.asarray(samples, float)
        error = samples.std(axis=0, ddof=1) / len(samples) ** 0.5
        distance = np.abs(samples.mean(axis=0) - expected)
        message = f"{samples.mean(axis=0)} ± {error} is not {expected}"
        assert (distance <= 4 * error + allowed + 1e-6).all(), message

    return check
