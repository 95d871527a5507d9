"""Timings in turns, what they say, and what has changed since an earlier run."""

import dataclasses
import os
import platform
import statistics
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ..numerics.tables import table_text
from ._programs import PROGRAMS
from ._workload import Workload

_NOISE = 1.15  # medians of one machine differ by so much from one run to the next
_COMPILED = frozenset(PROGRAMS) - {"NumPy", "PyTorch"}


@dataclasses.dataclass(frozen=True)
class Report:
    """What one comparison has found.

    Attributes:
        machine: what it ran on, in words.
        workload: the sizes.
        seconds: of each round, by program.
        compilation: the first call less the median, by program; 0 for what is not compiled.
        disagreements: sentences about means that differ by more than five standard errors.
    """

    machine: str
    workload: Workload
    seconds: dict[str, list[float]]
    compilation: dict[str, float]
    disagreements: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, to be kept."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Report":
        """What `as_json` gave.

        Raises:
            ValueError: something else.
        """
        try:
            return cls(**{**content, "workload": Workload(**content["workload"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a report of thermoml bench: {error}") from None

    def median(self, program: str) -> float:
        return statistics.median(self.seconds[program])

    def __str__(self) -> str:
        work, first = self.workload, next(iter(self.seconds))
        rows = [["program", "median s", "range s", "ns/element", "compile s", f"over {first}"]]
        for name, spent in self.seconds.items():
            median = self.median(name)
            rows.append(
                [
                    name,
                    f"{median:.3f}",
                    f"{min(spent):.3f}-{max(spent):.3f}",
                    f"{1e9 * median / work.elements:.3f}",
                    f"{self.compilation[name]:.2f}" if name in _COMPILED else "-",
                    f"{median / self.median(first):.2f}",
                ]
            )
        head = (
            f"{work.n_trajectories} trajectories, N = {work.n_inputs}, B = {work.batch}, "
            f"{work.steps} steps, {len(self.seconds[first])} rounds; {self.machine}"
        )
        agree = self.disagreements or ["R, Q and heat agree within 5 standard errors."]
        return "\n".join([head, table_text(rows), *agree])


def measure(work: Workload, programs: Sequence[str], rounds: int = 5) -> Report:
    """Each program's times, taken in turns, so that a busy machine disturbs all alike.

    Programs that are not installed are left out.

    Args:
        work: the sizes.
        programs: names of `PROGRAMS`.
        rounds: at least 1.

    Raises:
        ValueError: a name that is unknown, or none that can be run.
    """
    unknown = set(programs) - set(PROGRAMS)
    if unknown or rounds < 1:
        raise ValueError(
            f"programs must be of {', '.join(PROGRAMS)}, got {sorted(unknown)}"
            if unknown
            else f"rounds must be at least 1, got {rounds}"
        )
    runs = {}
    for name in programs:
        try:
            runs[name] = PROGRAMS[name](work)
        except ImportError:
            continue
    if not runs:
        raise ValueError(f"none of {', '.join(programs)} is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a step is timed, not how accurate it is
        first = {name: _timed(run, 0)[0] for name, run in runs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        ends: dict[str, list[Any]] = {name: [] for name in runs}
        for seed in range(1, rounds + 1):
            for name, run in runs.items():
                spent, found = _timed(run, seed)
                seconds[name].append(spent)
                ends[name].append(found)
    compilation = {
        name: max(0.0, first[name] - statistics.median(spent)) if name in _COMPILED else 0.0
        for name, spent in seconds.items()
    }
    return Report(_machine(), work, seconds, compilation, _disagreements(ends))


def growth(work: Workload, program: str, rounds: int = 3) -> str:
    """How the time of a program grows with M, N, B and S, as a table."""
    rows = [["size", "of", "median s", "ns/element"]]
    for name in ("n_trajectories", "n_inputs", "batch", "steps"):
        for some in work.grown(name):
            report = measure(some, [program], rounds)
            median = report.median(program)
            each = f"{1e9 * median / some.elements:.3f}"
            rows.append([f"{name} = {getattr(some, name)}", program, f"{median:.3f}", each])
    return table_text(rows)


def against(now: Report, before: Report) -> str:
    """What has become slower or faster since an earlier run, beyond the noise of machines.

    Times are compared where the ranges of rounds do not overlap and medians differ by 15 %.

    Raises:
        ValueError: another workload.
    """
    if now.workload != before.workload:
        raise ValueError(
            f"the earlier report must be of the same workload, {now.workload}, got "
            f"{before.workload}"
        )
    rows = [["program", "before s", "now s", "now over before", ""]]
    for name, spent in now.seconds.items():
        earlier = before.seconds.get(name)
        if earlier is None:
            continue
        ratio = now.median(name) / before.median(name)
        apart = min(spent) > max(earlier) or max(spent) < min(earlier)
        verdict = "slower" if ratio > 1 else "faster"
        told = verdict if apart and max(ratio, 1 / ratio) > _NOISE else ""
        medians = [f"{report.median(name):.3f}" for report in (before, now)]
        rows.append([name, *medians, f"{ratio:.2f}", told])
    text = table_text(rows)
    if now.machine != before.machine:
        text += f"\nThe earlier run was on another machine: {before.machine}"
    return text


def _timed(run: Any, seed: int) -> tuple[float, list[np.ndarray]]:
    began = time.perf_counter()
    found = [np.asarray(x) for x in jax.block_until_ready(run(seed))]
    return time.perf_counter() - began, found


def _disagreements(ends: Mapping[str, Sequence[Any]]) -> list[str]:
    """Means of R, Q and heat that differ from the first program's.

    The reduced level begins anew in each trajectory and has Gaussian inputs, so it is left out.
    """
    pooled = {
        name: [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        for name, runs in ends.items()
        if name != "thermoml, reduced"
    }
    if not pooled:
        return []
    base = next(iter(pooled))
    found = []
    for name, values in pooled.items():
        for quantity, theirs, ours in zip(("R", "Q", "heat"), values, pooled[base], strict=False):
            error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
            apart = abs(ours.mean() - theirs.mean()) / max(error, 1e-30)
            if name != base and not apart < 5:
                found.append(f"{quantity} of {name} is {apart:.1f} errors from that of {base}.")
    return found


def _machine() -> str:
    return (
        f"jax {jax.__version__} on {len(jax.devices())} x {jax.devices()[0].device_kind}, "
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    )
