"""Report of a comparison of programs, and of its changes since an earlier one."""

import contextlib
import dataclasses
import statistics
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..numerics.choices import check_choice
from ..numerics.tables import table_text
from ._checkout import checkout_program
from ._programs import PROGRAMS
from ._timing import Run, in_turns, machine, range_text
from ._workload import Workload

_NOISE = 1.15  # medians on one machine differ by this factor from one run to the next
_INTERPRETED = frozenset({"NumPy", "PyTorch"})
_OTHER_INPUTS = "thermoml, reduced"


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of one comparison.

    Attributes:
        machine: hardware and versions, in words.
        workload: the sizes.
        seconds: of each round, by program.
        compilation: the first call less the median, by program; 0 for interpreted programs.
        disagreements: sentences about means that differ by more than five standard errors.
        notes: sentences about results of other checkouts.
    """

    machine: str
    workload: Workload
    seconds: dict[str, list[float]]
    compilation: dict[str, float]
    disagreements: list[str]
    notes: list[str] = dataclasses.field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and texts, to be saved as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Report":
        """The inverse of `as_json`.

        Raises:
            ValueError: other content.
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
        for name, seconds in self.seconds.items():
            median = self.median(name)
            rows.append(
                [
                    name,
                    f"{median:.3f}",
                    range_text(seconds),
                    f"{1e9 * median / work.elements:.3f}",
                    "-" if name in _INTERPRETED else f"{self.compilation[name]:.2f}",
                    f"{median / self.median(first):.2f}",
                ]
            )
        head = (
            f"{work.n_trajectories} trajectories, N = {work.n_inputs}, B = {work.batch}, "
            f"{work.steps} steps, {len(self.seconds[first])} rounds; {self.machine}"
        )
        agreement = self.disagreements or ["R, Q and heat agree within 5 standard errors."]
        return "\n".join([head, table_text(rows), *agreement, *self.notes])


def measure(
    work: Workload, programs: Sequence[str], rounds: int = 5, *, checkout: Path | None = None
) -> Report:
    """Times of each program, taken in turns, so that a busy machine disturbs all alike.

    Programs that are not installed are left out.

    Args:
        work: the sizes.
        programs: names of `PROGRAMS`.
        rounds: at least 1.
        checkout: the folder of another checkout of this library, whose own programs run in the
            same turns, in processes of their own.

    Raises:
        ValueError: an unknown name, no program that is installed, a checkout that cannot run.
    """
    for name in programs:
        check_choice("program", name, PROGRAMS)
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the speed of a step is measured, not its accuracy
        runs = _installed(work, programs)
        pairs = {}
        if checkout is not None:
            for name in [name for name in runs if name.startswith("thermoml")]:
                pairs[name] = other = f"{name} at {checkout}"
                runs[other] = stack.enter_context(checkout_program(checkout, name, work))
        timings = in_turns(runs, rounds)
    compilation = {
        name: 0.0 if name in _INTERPRETED else timings.compilation(name) for name in runs
    }
    notes = [
        f"{other}: {'the same bits' if _same_bits(timings.values, name, other) else 'other bits'}."
        for name, other in pairs.items()
    ]
    disagreements = _disagreements(timings.values)
    return Report(machine(), work, timings.seconds, compilation, disagreements, notes)


def _installed(work: Workload, programs: Sequence[str]) -> dict[str, Run]:
    runs = {}
    for name in programs:
        with contextlib.suppress(ImportError):
            runs[name] = PROGRAMS[name](work)
    if not runs:
        raise ValueError(f"none of {', '.join(programs)} is installed")
    return runs


def growth(work: Workload, program: str, rounds: int = 3) -> str:
    """Growth of a program's time with M, N, B and S, as a table."""
    rows = [["size", "of", "median s", "ns/element"]]
    for name in ("n_trajectories", "n_inputs", "batch", "steps"):
        for part in work.grown(name):
            median = measure(part, [program], rounds).median(program)
            per_element = f"{1e9 * median / part.elements:.3f}"
            rows.append([f"{name} = {getattr(part, name)}", program, f"{median:.3f}", per_element])
    return table_text(rows)


def against(now: Report, before: Report) -> str:
    """Programs that have become slower or faster since an earlier run, beyond a machine's noise.

    A change is reported if the ranges of rounds do not overlap and medians differ by 15 %.

    Raises:
        ValueError: another workload.
    """
    if now.workload != before.workload:
        raise ValueError(
            f"the earlier report must be of the same workload, {now.workload}, got "
            f"{before.workload}"
        )
    rows = [["program", "before s", "now s", "now over before", ""]]
    for name, seconds in now.seconds.items():
        earlier = before.seconds.get(name)
        if earlier is None:
            continue
        ratio = now.median(name) / before.median(name)
        apart = min(seconds) > max(earlier) or max(seconds) < min(earlier)
        verdict = "slower" if ratio > 1 else "faster"
        change = verdict if apart and max(ratio, 1 / ratio) > _NOISE else ""
        medians = [f"{report.median(name):.3f}" for report in (before, now)]
        rows.append([name, *medians, f"{ratio:.2f}", change])
    text = table_text(rows)
    if now.machine != before.machine:
        text += f"\nThe earlier run was on another machine: {before.machine}"
    return text


def _same_bits(values: Mapping[str, Sequence[Any]], name: str, other: str) -> bool:
    """True if two programs return the same numbers in every round."""
    return all(
        np.array_equal(np.asarray(x, float), np.asarray(y, float))
        for ours, theirs in zip(values[name], values[other], strict=True)
        for x, y in zip(ours, theirs, strict=True)
    )


def _disagreements(values: Mapping[str, Sequence[Any]]) -> list[str]:
    """Sentences about means of R, Q and heat that differ from the first program's.

    The reduced level restarts each trajectory and has Gaussian inputs, so it is left out.
    """
    pooled = {
        name: [np.concatenate(parts) for parts in zip(*rounds, strict=True)]
        for name, rounds in values.items()
        if not name.startswith(_OTHER_INPUTS)
    }
    if not pooled:
        return []
    base = next(iter(pooled))
    sentences = []
    for name, theirs in pooled.items():
        for quantity, x, y in zip(("R", "Q", "heat"), theirs, pooled[base], strict=False):
            error = np.hypot(y.std(), x.std()) / np.sqrt(len(y))
            apart = abs(y.mean() - x.mean()) / max(error, 1e-30)
            if name != base and not apart < 5:
                sentences.append(f"{quantity} of {name} is {apart:.1f} errors from that of {base}.")
    return sentences
