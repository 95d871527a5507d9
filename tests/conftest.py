"""Two virtual CPU devices, strict promotion, quick notebooks; x64 by the `x64` fixture."""

import gc
import os
from pathlib import Path

os.environ["THERMOML_QUICK"] = "1"  # read by the first cell of each notebook
os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["MPLBACKEND"] = "agg"

import jax
import pytest

# What a test worker has compiled it need not compile again, nor in the next run of the tests.
# Workers do not share: entries are not written atomically.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
_cache = Path(__file__).parent.parent / ".pytest_cache" / "jax" / _worker
jax.config.update("jax_compilation_cache_dir", str(_cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    """The longest first, so that no worker is left with them at the end."""
    long = ("test_readme.py", ".ipynb")
    items.sort(key=lambda item: not item.path.name.endswith(long))


@pytest.fixture(scope="module", autouse=True)
def few_executables():
    """Forget what was compiled for other modules: thousands of live executables slow a worker."""
    yield
    jax.clear_caches()
    gc.collect()


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
