"""Random configs, texts, assignments and arguments: accepted, or refused in the library's words.

    python benchmarks/fuzz.py [--examples 10000] [--seed 7] [--only arguments]

A third of the examples are shipped configs with keys dropped, added, misspelt or of other values,
as far as a run goes before it compiles; a third are texts of configs and values of `--set`; a third
are calls of public constructors and functions with one argument replaced. Each must be accepted, or
be refused by an error of the library's own that names the key or argument, within 5 s of one core
(30 s for functions that search or compile for long) and 2 GB; NaN must be refused. Strategies and
judgement are those of `tests/test_fuzz.py`.

Prints the seed, and each kind of failure with the smallest input that shows it; the exit code is 1
if there is any. Minutes for each thousand
examples, most of them for the compilation of calls that are accepted.
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import hypothesis
from fuzzing import arguments, configs
from fuzzing.judgement import objection

Report = dict[str, list[str]]


def explore(
    strategy: Any, judge: Callable[[Any], str | None], count: int, seed: int
) -> tuple[int, Report]:
    """The number of examples, and for each kind of failure the inputs that show it.

    Kinds are told apart by the first words of the objection. Nothing stops at a failure, so that a
    run reports all of them.
    """
    failures: Report = collections.defaultdict(list)
    done = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck],  # pyright: ignore[reportArgumentType]
    )
    @hypothesis.given(example=strategy)
    def run(example):
        nonlocal done
        done += 1
        problem = judge(example)
        if problem is not None:
            failures[problem[:60]].append(f"{example!r}\n    {problem}")

    run()
    return done, failures


def smallest(inputs: list[str]) -> str:
    """The shortest of several inputs with its objection."""
    return min(inputs, key=len)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None, help="a random one if left out")
    parser.add_argument("--only", default="", help="kinds whose name begins so")
    chosen = parser.parse_args()
    seed = random.randrange(2**32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        kinds = {
            "configs": (configs.mutated(), lambda x: configs.objections(x, folder), 3),
            "texts": (configs.TEXTS, lambda x: objection(lambda: configs.read(x, folder)), 6),
            "sets": (
                configs.OVERRIDES,
                lambda x: configs.objections_to_override(x, folder),
                6,
            ),
            "arguments": (arguments.mutated(), lambda x: arguments.objections(*x), 3),
        }
        for name, (strategy, judge, share) in kinds.items():
            if not name.startswith(chosen.only):
                continue
            began = time.perf_counter()
            done, failures = explore(strategy, judge, max(1, chosen.examples // share), seed)
            count = sum(map(len, failures.values()))
            seconds = time.perf_counter() - began
            print(f"{name}: {done} examples, {count} failures, {seconds:.0f} s", flush=True)
            for inputs in failures.values():
                print(f"  {len(inputs)} times, such as {smallest(inputs)}", flush=True)
            failed |= bool(failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
