"""Programs of another checkout of this library, each in a process of its own."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from ._timing import Run
from ._workload import Workload

# Only the public PROGRAMS and Workload, which every revision has
_SERVE = """
import sys
import numpy as np
from thermoml.bench import PROGRAMS, Workload

program, *sizes = sys.argv[1:]
run = PROGRAMS[program](Workload(*map(int, sizes)))
sys.stdout.buffer.write(b"\\n")
sys.stdout.buffer.flush()
for seed in sys.stdin.buffer:
    ends = np.stack([np.asarray(x, np.float64) for x in run(int(seed))])
    sys.stdout.buffer.write(ends.tobytes())
    sys.stdout.buffer.flush()
"""


@contextlib.contextmanager
def checkout_program(folder: Path, program: str, work: Workload) -> Iterator[Run]:
    """A program of another checkout, as `run(seed) -> R, Q, heat`, while the context lasts.

    The arrays return through a pipe, which adds some 0.1 ms to a call.

    Args:
        folder: a checkout, the folder that holds `thermoml/`.
        program: one of its `PROGRAMS`.
        work: the sizes.

    Raises:
        ValueError: a folder that holds no thermoml, or one that cannot run the program.
    """
    if not (folder / "thermoml" / "__init__.py").is_file():
        raise ValueError(f"{folder} must be a checkout, a folder that holds thermoml/")
    sizes = (work.n_trajectories, work.n_inputs, work.batch, work.steps)
    command = [sys.executable, "-c", _SERVE, program, *map(str, sizes)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=_environment(folder),
        )
        seeds, answers = process.stdin, process.stdout
        assert seeds is not None
        assert answers is not None

        def read(size: int) -> bytes:
            answer = answers.read(size)
            if len(answer) < size:
                errors.seek(0)
                lines = errors.read().decode().strip().splitlines() or ["it ended early"]
                raise ValueError(f"{program} of {folder} cannot be run: {lines[-1]}")
            return answer

        def run(seed: int) -> tuple[np.ndarray, ...]:
            seeds.write(f"{seed}\n".encode())
            seeds.flush()
            ends = np.frombuffer(read(8 * 3 * work.n_trajectories))
            return tuple(ends.reshape(3, work.n_trajectories))

        try:
            read(1)
            yield run
        finally:
            process.kill()
            process.communicate()


def _environment(folder: Path) -> dict[str, str]:
    """That of this process, with the other package, as many devices, and a share of a GPU."""
    changes = {"PYTHONPATH": str(folder.resolve()), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if jax.default_backend() == "cpu":
        changes["JAX_NUM_CPU_DEVICES"] = str(len(jax.devices()))
    return {**os.environ, **changes}
