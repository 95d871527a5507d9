"""What a unit needs stays within the budget, as the operating system sees it."""

import subprocess
import sys

import pytest

# Prints what running a unit adds to the process's memory at its peak, the same for the process
# as a whole, and the cut into units. Compiling is not counted: LLVM keeps what it likes.
SCRIPT = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 2)
import thermoml as tml
from thermoml.sweeps._task import UnitRunner

n_inputs, n_trajectories, (memory, store) = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
added, peaks = [], []

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

def run(self, unit, plan, original=UnitRunner.run):
    peaks.append(kilobytes("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = kilobytes("VmRSS")
    results = original(self, unit, plan)
    added.append(1024 * (kilobytes("VmHWM") - before))
    return results

UnitRunner.run = run

def learning(ensemble, learning_rate, n_inputs):
    problem = tml.LearningProblem(
        tml.Hebbian(), learning_rate=learning_rate, n_inputs=n_inputs, batch=2
    )
    return tml.learn(problem, tml.Microscopic(0.01), t1=0.02, save_every=1, **ensemble)

grid = tml.Grid(learning_rate=[0.5, 1.0], n_inputs=[n_inputs])
results = tml.sweep(grid, learning, store=store, key=jax.random.key(0),
                    n_trajectories=n_trajectories, memory=memory, per_unit=10**6)
cut = results.attrs["units"]
peak = 1024 * max(*peaks, kilobytes("VmHWM"))
print(max(added), peak, *cut["points"], cut["trajectories"])
"""


def measure(tmp_path, n_inputs, n_trajectories, memory):
    command = [sys.executable, "-c", SCRIPT, str(n_inputs), str(n_trajectories), memory, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_inputs", "n_trajectories"),
    [
        pytest.param(1000, 8192, id="as many weights as trajectories"),
        pytest.param(8000, 1024, id="many weights", marks=pytest.mark.exhaustive),
        pytest.param(200, 40000, id="many trajectories", marks=pytest.mark.exhaustive),
    ],
)
def test_budget_is_kept_within_a_fifth_and_used(tmp_path, n_inputs, n_trajectories):
    budget = 100e6
    added, _, *points, trajectories = measure(tmp_path, n_inputs, n_trajectories, "100MB")
    assert points == [1, 1]
    assert trajectories < n_trajectories  # the budget binds
    assert 0.4 * budget < added < 1.2 * budget


@pytest.mark.slow
def test_4096_trajectories_of_1000_weights_need_less_than_a_gigabyte(tmp_path):
    _, peak, *_, trajectories = measure(tmp_path, 1000, 4096, "1GB")
    assert trajectories == 4096
    assert peak < 1e9
