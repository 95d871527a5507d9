"""Timings of programs that run in turns, with compilation apart."""

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Run = Callable[[int], Any]


@dataclasses.dataclass(frozen=True)
class Timings:
    """Seconds and results of each program and round.

    Attributes:
        first: seconds of the first call, by program.
        seconds: seconds of each round, by program.
        values: the result of each round, by program.
    """

    first: dict[str, float]
    seconds: dict[str, list[float]]
    values: dict[str, list[Any]]

    def median(self, program: str) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds[program])

    def compilation(self, program: str) -> float:
        """Seconds of the first call less the median, at least 0."""
        return max(0.0, self.first[program] - self.median(program))

    def ratio(self, program: str, base: str) -> float:
        """The median over that of another program."""
        return self.median(program) / self.median(base)


def timed(run: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Seconds until all arrays of a call are computed, and its result."""
    began = time.perf_counter()
    values = jax.block_until_ready(run(*args))
    return time.perf_counter() - began, values


def in_turns(programs: Mapping[str, Run], rounds: int) -> Timings:
    """Times of programs that alternate, so that a busy machine disturbs all alike.

    Args:
        programs: by name, `run(seed)`.
        rounds: calls of each after the first, with seeds 1, 2, …; the first call has seed 0 and
            includes compilation.
    """
    first = {name: timed(run, 0)[0] for name, run in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    values: dict[str, list[Any]] = {name: [] for name in programs}
    for seed in range(1, rounds + 1):
        for name, run in programs.items():
            duration, result = timed(run, seed)
            seconds[name].append(duration)
            values[name].append(result)
    return Timings(first, seconds, values)


def range_text(seconds: list[float], digits: int = 3) -> str:
    """`0.061-0.069`, the shortest and longest of several times."""
    return f"{min(seconds):.{digits}f}-{max(seconds):.{digits}f}"


def machine() -> str:
    """JAX's version, the devices, cores and Python, in words."""
    return (
        f"jax {jax.__version__} on {len(jax.devices())} x {jax.devices()[0].device_kind}, "
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    )
