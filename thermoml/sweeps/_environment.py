"""The environment of a computation: all that changes its numbers, of JAX, XLA and the device."""

import os
import platform
from pathlib import Path
from typing import Any

import jax

_SETTINGS = (
    "jax_threefry_partitionable",
    "jax_threefry_gpu_kernel_lowering",
    "jax_default_prng_impl",
    "jax_random_seed_offset",
    "jax_default_matmul_precision",
    "jax_disable_most_optimizations",
)
# Flags of XLA that change no number, and the limit of vectors, which is part of the device.
_MAX_ISA = "xla_cpu_max_isa"
_FREE = (_MAX_ISA, "xla_force_host_platform_device_count", "xla_dump", "xla_hlo_profile")
# Vector instructions in the order of XLA's limit, with the flag by which Linux lists them.
_VECTORS = {"SSE4_2": "sse4_2", "AVX": "avx", "AVX2": "avx2", "AVX512": "avx512f"}


def environment() -> dict[str, Any]:
    """All of the environment that changes random streams or last digits, ready for JSON."""
    flags = _xla_flags()
    values = {name.removeprefix("jax_"): jax.config.values.get(name) for name in _SETTINGS}
    settings = {name: getattr(x, "value", x) for name, x in values.items()}  # some are enums
    counted = {name: value for name, value in flags.items() if not name.startswith(_FREE)}
    texts = [f"{name}={value}" for name, value in sorted(counted.items())]
    return settings | {"xla_flags": " ".join(texts), "device": _device(flags.get(_MAX_ISA, ""))}


def _xla_flags() -> dict[str, str]:
    """The flags that are set, by name; the last of equal ones counts."""
    words = os.environ.get("XLA_FLAGS", "").split()
    pairs = (word.lstrip("-").partition("=") for word in words)
    return {name: value or "true" for name, _, value in pairs}


def _device(limit: str) -> str:
    """The kind of device; of a CPU its architecture and its widest vectors up to XLA's limit."""
    if jax.default_backend() != "cpu":
        return jax.devices()[0].device_kind
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    present = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    names = list(_VECTORS)
    usable = names[: names.index(limit) + 1] if limit in names else names
    vectors = [name for name in usable if _VECTORS[name] in present]
    return " ".join(["cpu", platform.machine(), *vectors[-1:]])
