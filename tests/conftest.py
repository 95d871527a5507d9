"""Two virtual CPU devices, strict promotion, quick notebooks; x64 by the `x64` fixture."""

import os
from pathlib import Path

os.environ["THERMOML_QUICK"] = "1"  # read by the first cell of each notebook
os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["MPLBACKEND"] = "agg"
# What one process has compiled, the others and the next run of the tests need not compile again.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "jax")
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


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
