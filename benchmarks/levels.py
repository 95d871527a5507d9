"""The levels of description beside each other: one process, in turns.

    python benchmarks/levels.py [--n-trajectories 4096] [--steps 1000] [--rounds 3]

Learning by the α-tron (α = 0.5, B = 30): reduced at N = 10² and 10⁹, microscopic at N = 1000 with
fewer steps, scaled to the same number; and the steady state with its gradient in α, alone and for
1000 α at once. Compilation is timed apart; the table gives the median and the range of the rounds.
"""

import argparse
import os
import platform
import statistics
import time

import jax
import jax.numpy as jnp

import thermoml as tml

BATCH, ALPHA, DT = 30, 0.5, 0.001
MICROSCOPIC_STEPS = 50


def learning(n_inputs, level, n_trajectories, n_steps):
    # At N = 10⁹ a smaller rate keeps the noise of the inputs of a step from growing with N.
    rate = 1.0 if n_inputs <= 1000 else 1e-4
    problem = tml.LearningProblem(
        tml.AlphaTron(ALPHA), learning_rate=rate, n_inputs=n_inputs, batch=BATCH
    )
    return lambda: (
        tml.learn(
            problem, level, t1=n_steps * DT, key=jax.random.key(0), n_trajectories=n_trajectories
        ).work
    )


def at_rest(alpha):
    problem = tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=1.0)
    return tml.steady_state(problem).error


def timed(run):
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description="The levels of description beside each other.")
    parser.add_argument("--n-trajectories", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores)
    count, steps = options.n_trajectories, options.steps
    slope = jax.value_and_grad(at_rest)
    one, many = jax.jit(slope), jax.jit(jax.vmap(slope))
    alphas = jnp.linspace(-0.4, 0.95, 1000)
    few = min(MICROSCOPIC_STEPS, steps)
    programs = {
        "reduced, N = 100": (learning(100, tml.Reduced(DT), count, steps), 1.0),
        "reduced, N = 10^9": (learning(10**9, tml.Reduced(DT), count, steps), 1.0),
        "microscopic, N = 1000": (learning(1000, tml.Microscopic(DT), count, few), steps / few),
        "steady state and gradient": (lambda: one(alphas[500]), 1.0),
        "the same at 1000 alpha": (lambda: many(alphas), 1.0),
    }
    print(
        f"{count} trajectories, {steps} steps, B = {BATCH}, {options.rounds} rounds; "
        f"jax {jax.__version__} on {jax.default_backend()}, {jax.local_device_count()} device(s), "
        f"{cores} cores ({platform.machine()})"
    )
    first = {name: timed(run) for name, (run, _) in programs.items()}
    rounds = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, (run, scale) in programs.items():
            rounds[name].append(scale * timed(run))
    median = {name: statistics.median(times) for name, times in rounds.items()}
    print(f"{'program':<26} {'median s':>10} {'range s':>19} {'compile s':>10} {'ratio':>8}")
    for name, times in rounds.items():
        compiling = max(0.0, first[name] - median[name] / programs[name][1])
        spread = f"{min(times):.4f}-{max(times):.4f}"
        ratio = median[name] / median["reduced, N = 100"]
        print(f"{name:<26} {median[name]:>10.4f} {spread:>19} {compiling:>10.2f} {ratio:>8.3f}")


if __name__ == "__main__":
    main()
