"""Drift of the ledger and growth of memory over ten million steps in float32.

Two systems with U = |x|²/2, each run in ten legs, every leg continuing the last: a particle driven
round a trap by a force without a potential, and perceptrons that learn from fresh inputs. After
each leg the energy is computed again from the states in float64, and compared with the ledger's
U_0 + W - Q. The drift is the largest difference over the trajectories, relative to the heat.

    python benchmarks/long_run.py
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thermoml as tml

DT = 0.01


def resident() -> float:
    """Present memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def driven_trap(x: jax.Array, control: Any) -> jax.Array:
    """k|x|²/2 with k = 1."""
    return jnp.sum(x**2) / 2


def around(x: jax.Array, control: Any) -> jax.Array:
    """The force that drives the particle round the trap."""
    return 2.0 * jnp.stack([-x[1], x[0]])


def trap() -> tuple[Any, jax.Array]:
    """The driven trap and its initial state."""
    return tml.Langevin(driven_trap, drive=around), jnp.asarray([1.0, 0.0], jnp.float32)


def perceptron() -> tuple[Any, jax.Array]:
    """A perceptron that learns from fresh inputs, and its initial weights."""
    problem = tml.LearningProblem(tml.AlphaTron(0.5), learning_rate=1.0, n_inputs=15, batch=2)
    teacher = tml.perceptron.sphere_teacher(jax.random.key(1), 15, jnp.float32)
    return tml.perceptron.PerceptronLearning(problem, teacher), jnp.full((15,), 0.5, jnp.float32)


def wide(total: Any) -> np.ndarray:
    """Both words of a compensated sum, in float64."""
    return np.asarray(total.total, float) + np.asarray(total.correction, float)


def report(name: str, system: Any, start: jax.Array, n_steps: int) -> None:
    """Run ten legs and print a line for each."""
    print(f"{name}\n    steps     drift of the ledger / heat     memory     µs/step")
    first = np.sum(np.asarray(start, float) ** 2) / 2
    state: Any = tml.langevin.Batch(jnp.tile(start, (32, 1)))
    memory = []
    for i in range(1, 11):
        began = time.perf_counter()
        end = i * n_steps // 10 * DT
        state = jax.block_until_ready(
            tml.simulate(system, state, t1=end, dt=DT, key=jax.random.key(0))
        )
        seconds = time.perf_counter() - began
        memory.append(resident())
        energy = np.sum(np.asarray(state.final_state, float) ** 2, axis=1) / 2
        work, heat = wide(state.checkpoint.ledger.work), wide(state.checkpoint.ledger.heat)
        drift = np.abs((energy - first - work + heat) / heat).max()
        print(
            f"{i * n_steps // 10:9.1e}     {drift:10.1e}  of {heat.mean():10.4g}   "
            f"{memory[-1]:8.0f} MB   {1e6 * seconds / (n_steps / 10):8.2f}",
            flush=True,
        )
    print(f"memory grew by {memory[-1] - memory[2]:+.1f} MB from the third leg to the last\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=10**7)
    n_steps = parser.parse_args().steps
    report("Driven trap, 32 trajectories", *trap(), n_steps)
    report("Perceptron that learns, N = 15, B = 2, 32 trajectories", *perceptron(), n_steps)


if __name__ == "__main__":
    main()
