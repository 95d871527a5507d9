"""The microscopic run beside NumPy and ordinary JAX: the same physics, one process, in turns.

    python benchmarks/microscopic.py [--n-inputs 1000] [--n-trajectories 1024] [--steps 20]

Each program advances M students by S steps with B fresh ±1 inputs (α-tron, α = 0.5), sums the heat
and returns R, Q and heat. Compilation is timed apart. Runs alternate, so that a busy machine
disturbs all alike; the table gives the median and the range. Afterwards the programs are compared:
their means must agree within five standard errors.
"""

import argparse
import os
import platform
import statistics
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import thermoml as tml

BATCH, ALPHA, STIFFNESS, TEMPERATURE, RATE, DT = 30, 0.5, 1.0, 1.0, 1.0, 0.001


def library(teacher, weights, n_steps):
    problem = tml.LearningProblem(
        tml.AlphaTron(ALPHA),
        learning_rate=RATE,
        n_inputs=teacher.shape[0],
        stiffness=STIFFNESS,
        temperature=TEMPERATURE,
        batch=BATCH,
    )
    weights, teacher = jnp.asarray(weights), jnp.asarray(teacher)

    def run(seed):
        curve = tml.learn(
            problem,
            tml.Microscopic(DT),
            t1=n_steps * DT,
            key=jax.random.key(seed),
            n_trajectories=weights.shape[0],
            teacher=teacher,
            weights=weights,
        )
        return curve.overlap[:, -1], curve.norm[:, -1], curve.heat[:, -1] * teacher.shape[0]

    return run


def ordinary_jax(teacher, weights, n_steps):
    """As an ordinary user of JAX would write it: vmap, scan, rademacher, normal."""
    teacher, weights = jnp.asarray(teacher), jnp.asarray(weights)
    n_inputs = teacher.shape[0]
    rate = RATE * n_inputs**0.5

    def force(w, inputs, labels):
        s = labels * (inputs @ w) / n_inputs**0.5
        strength = jnp.where(s < 0, 1.0, jnp.abs(s) ** ALPHA)
        return -STIFFNESS * w + rate * jnp.mean((labels * strength)[:, None] * inputs, axis=0)

    def step(carry, key):
        w, heat = carry
        input_key, noise_key = jax.random.split(key)
        inputs = jax.random.rademacher(input_key, (BATCH, n_inputs), jnp.float32)
        labels = jnp.where(inputs @ teacher < 0, -1.0, 1.0)
        before = force(w, inputs, labels)
        noise = jax.random.normal(noise_key, (n_inputs,))
        new = w + DT * before + jnp.sqrt(2 * TEMPERATURE * DT) * noise
        heat = heat + (before + force(new, inputs, labels)) / 2 @ (new - w)
        return (new, heat), None

    @jax.jit
    def run(seed):
        def one(w, key):
            (w, heat), _ = lax.scan(step, (w, 0.0), jax.random.split(key, n_steps))
            return teacher @ w / n_inputs, w @ w / n_inputs, heat

        return jax.vmap(one)(weights, jax.random.split(jax.random.key(seed), weights.shape[0]))

    return run


def numpy_program(teacher, weights, n_steps):
    """Vectorised over trajectories, with matrix products; inputs as int8 draws turned to floats."""
    n_trajectories, n_inputs = weights.shape
    rate, root = np.float32(RATE * n_inputs**0.5), np.float32(n_inputs**0.5)

    def strength(s):
        return np.where(s < 0, np.float32(1), np.sqrt(np.abs(s)))

    def run(seed):
        rng = np.random.default_rng(seed)
        w, heat = weights.copy(), np.zeros(n_trajectories)
        for _ in range(n_steps):
            bits = np.frombuffer(rng.bytes(n_trajectories * BATCH * n_inputs // 8), np.uint8)
            inputs = np.unpackbits(bits).astype(np.float32) * 2 - 1
            inputs = inputs.reshape(n_trajectories, BATCH, n_inputs)
            labels = np.where(inputs @ teacher < 0, np.float32(-1), np.float32(1))
            fields = np.matmul(inputs, w[:, :, None])[:, :, 0] / root
            push = labels * strength(labels * fields)
            drive = rate / BATCH * np.matmul(push[:, None, :], inputs)[:, 0]
            noise = rng.standard_normal(w.shape, np.float32)
            new = (
                w + DT * (drive - STIFFNESS * w) + np.float32((2 * TEMPERATURE * DT) ** 0.5) * noise
            )
            new_fields = np.matmul(inputs, new[:, :, None])[:, :, 0] / root
            mean_push = (push + labels * strength(labels * new_fields)) / 2
            heat += rate / BATCH * root * np.sum(mean_push * (new_fields - fields), axis=1)
            heat -= STIFFNESS / 2 * (np.sum(new**2, axis=1) - np.sum(w**2, axis=1))
            w = new
        return w @ teacher / n_inputs, np.sum(w**2, axis=1) / n_inputs, heat

    return run


def timed(run, seed):
    began = time.perf_counter()
    values = [np.asarray(x) for x in jax.block_until_ready(run(seed))]
    return time.perf_counter() - began, values


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--n-inputs", type=int, default=1000)
    parser.add_argument("--n-trajectories", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # a step is timed, not its accuracy

    rng = np.random.default_rng(0)
    shape = (options.n_trajectories, options.n_inputs)
    weights = rng.standard_normal(shape, np.float32)
    teacher = rng.standard_normal(options.n_inputs, np.float32)
    teacher *= np.float32(options.n_inputs**0.5) / np.linalg.norm(teacher)

    makers = {"thermoml": library, "NumPy": numpy_program, "ordinary JAX": ordinary_jax}
    programs = {name: make(teacher, weights, options.steps) for name, make in makers.items()}
    first = {name: timed(run, 0)[0] for name, run in programs.items()}
    seconds = {name: [] for name in programs}
    values = {name: [] for name in programs}
    for seed in range(1, options.rounds + 1):
        for name, run in programs.items():
            spent, result = timed(run, seed)
            seconds[name].append(spent)
            values[name].append(result)

    work = shape[0] * shape[1] * options.steps * BATCH
    print(
        f"N = {shape[1]}, B = {BATCH}, {shape[0]} trajectories, {options.steps} steps, "
        f"{options.rounds} rounds; jax {jax.__version__} on {jax.devices()[0].device_kind}, "
        f"{len(jax.devices())} device(s), {os.cpu_count()} cores ({platform.machine()})"
    )
    print(
        f"{'program':<14}{'median s':>10}{'range s':>18}{'ns/element':>12}"
        f"{'compile s':>11}{'ratio':>8}"
    )
    fastest = statistics.median(seconds["thermoml"])
    for name, spent in seconds.items():
        median = statistics.median(spent)
        compiled = max(0.0, first[name] - median) if name != "NumPy" else 0.0
        print(
            f"{name:<14}{median:>10.3f}{f'{min(spent):.3f}-{max(spent):.3f}':>18}"
            f"{1e9 * median / work:>12.2f}{compiled:>11.2f}{median / fastest:>8.1f}"
        )
    for i, quantity in enumerate(("R", "Q", "heat")):
        pooled = {name: np.concatenate([run[i] for run in runs]) for name, runs in values.items()}
        ours = pooled.pop("thermoml")
        for name, theirs in pooled.items():
            error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
            apart = abs(ours.mean() - theirs.mean()) / error
            assert apart < 5, f"{quantity} differs from {name} by {apart:.1f} standard errors"
    print("R, Q and heat agree among the programs within 5 standard errors.")


if __name__ == "__main__":
    main()
