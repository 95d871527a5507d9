"""Comparison of the levels of description: one process, in turns.

    python benchmarks/levels.py [--n-trajectories 4096] [--steps 1000] [--rounds 3]

Learning by the α-tron (α = 0.5, B = 30): reduced at N = 10² and 10⁹, microscopic at N = 1000 with
fewer steps, scaled to the same number; and the steady state with its gradient in α, alone and for
1000 α at once. Compilation is timed apart; the table gives the median and the range of the rounds.
"""

import argparse
import os
import platform

import jax
import jax.numpy as jnp

import thermoml as tml
from thermoml.bench import in_turns, range_text

BATCH, ALPHA, DT = 30, 0.5, 0.001
MICROSCOPIC_STEPS = 50


def learning(n_inputs, level, n_trajectories, n_steps):
    # At N = 10⁹ a smaller rate keeps the noise of the inputs of a step from growing with N.
    rate = 1.0 if n_inputs <= 1000 else 1e-4
    problem = tml.LearningProblem(
        tml.AlphaTron(ALPHA), learning_rate=rate, n_inputs=n_inputs, batch=BATCH
    )
    t1, key = n_steps * DT, jax.random.key(0)
    return lambda _: tml.learn(problem, level, t1=t1, key=key, n_trajectories=n_trajectories).work


def steady_error(alpha):
    problem = tml.LearningProblem(tml.AlphaTron(alpha), learning_rate=1.0)
    return tml.steady_state(problem).error


def main():
    parser = argparse.ArgumentParser(description="Comparison of the levels of description.")
    parser.add_argument("--n-trajectories", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores)
    count, steps = options.n_trajectories, options.steps
    slope = jax.value_and_grad(steady_error)
    one, many = jax.jit(slope), jax.jit(jax.vmap(slope))
    alphas = jnp.linspace(-0.4, 0.95, 1000)
    few = min(MICROSCOPIC_STEPS, steps)
    programs = {
        "reduced, N = 100": (learning(100, tml.Reduced(DT), count, steps), 1.0),
        "reduced, N = 10^9": (learning(10**9, tml.Reduced(DT), count, steps), 1.0),
        "microscopic, N = 1000": (learning(1000, tml.Microscopic(DT), count, few), steps / few),
        "steady state and gradient": (lambda _: one(alphas[500]), 1.0),
        "the same at 1000 alpha": (lambda _: many(alphas), 1.0),
    }
    print(
        f"{count} trajectories, {steps} steps, B = {BATCH}, {options.rounds} rounds; "
        f"jax {jax.__version__} on {jax.default_backend()}, {jax.local_device_count()} device(s), "
        f"{cores} cores ({platform.machine()})"
    )
    timings = in_turns({name: run for name, (run, _) in programs.items()}, options.rounds)
    median = {name: scale * timings.median(name) for name, (_, scale) in programs.items()}
    print(f"{'program':<26} {'median s':>10} {'range s':>19} {'compile s':>10} {'ratio':>8}")
    for name, (_, scale) in programs.items():
        seconds = range_text([scale * x for x in timings.seconds[name]], 4)
        compiling = timings.compilation(name)
        ratio = median[name] / median["reduced, N = 100"]
        print(f"{name:<26} {median[name]:>10.4f} {seconds:>19} {compiling:>10.2f} {ratio:>8.3f}")


if __name__ == "__main__":
    main()
