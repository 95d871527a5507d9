"""Comparison of an uninterrupted sweep with one that is killed at random moments and resumed.

Each kill is SIGKILL, SIGTERM or SIGINT, sent at a moment drawn uniformly over a run's whole life,
from its first instant to its end. Prints a report; the exit code is 1 if any file differs.

    python benchmarks/kills.py --kills 50
"""

import argparse
import collections
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_CONFIG = """
study: sweep
grid:
  learning_rate: [0.5, 1.0, 1.5]
  alpha: {linear: [0.0, 0.6, 4]}
n_inputs: 20
batch: 2
n_trajectories: 96
per_unit: 64
trajectories: true
t1: 2.0
dt: 0.01
"""
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def start(config: Path, out: Path) -> subprocess.Popen:
    """Start or resume a run."""
    command = [sys.executable, "-m", "thermoml", "run", str(config), "--out", str(out), "--resume"]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # In the background this script ignores SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(config: Path, out: Path) -> float:
    """Run to the end; its duration in seconds."""
    began = time.perf_counter()
    process = start(config, out)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors.decode())
    return time.perf_counter() - began


def files(out: Path) -> dict[str, bytes]:
    """Every file of the store, and the summary."""
    store = out / "results.zarr"
    contents = {str(p.relative_to(out)): p.read_bytes() for p in store.rglob("*") if p.is_file()}
    # A commit during this script would change the revision.
    revision = rb'"git_revision": ?"[0-9a-f]*"'
    contents = {name: re.sub(revision, b"", content) for name, content in contents.items()}
    return contents | {"summary.json": (out / "summary.json").read_bytes()}


def units(out: Path) -> int:
    """Finished units, by the journal."""
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    moments = random.Random(chosen.seed)
    kills: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = folder / "config.yaml"
        config.write_text(_CONFIG)
        life = finish(config, folder / "unharmed")
        expected = files(folder / "unharmed")
        n_units = units(folder / "unharmed")
        print(f"unharmed: {n_units} units, {len(expected)} files, {life:.1f} s")

        sent, stores, differing = 0, 0, 0
        while sent < chosen.kills:
            out = folder / f"killed{stores}"
            while sent < chosen.kills and units(out) < n_units:
                process = start(config, out)
                moment = moments.uniform(0, life)
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    number = moments.choice(_SIGNALS)
                    before = units(out)
                    process.send_signal(number)
                    _, errors = process.communicate(timeout=30 + 2 * life)
                    sent += 1
                    after = "after the last unit" if before == n_units else "between units"
                    phase = after if before else "before the first unit"
                    kills[f"{number.name} {phase}"] += 1
                    print(
                        f"  {number.name:<7} after {moment:5.2f} s, {before:2d} units done, "
                        f"exit code {process.returncode}"
                    )
                    # Before the command line has begun, Python itself handles Ctrl-C.
                    if b"Traceback" in errors and b"KeyboardInterrupt" not in errors:
                        raise RuntimeError(errors.decode()) from None
                else:
                    break  # it ended before the signal
            finish(config, out)
            stores += 1
            actual = files(out)
            wrong = [name for name in expected | actual if expected.get(name) != actual.get(name)]
            differing += bool(wrong)
            print(f"store {stores}: {'differs: ' + ', '.join(wrong) if wrong else 'identical'}")
    print(f"{sent} kills of {stores} runs: {stores - differing} stores identical, {differing} not")
    print("; ".join(f"{count} × {name}" for name, count in sorted(kills.items())))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
