"""Comparison for copies of a 64-32-10 network on digits, with a ledger: hand-written programs.

    python benchmarks/copies.py [--copies 250 500 1000] [--steps 10] [--rounds 3]

Each program moves M copies by S Langevin steps of cross-entropy and prior on all 1797 examples, or
by 2S on a fresh batch for each copy and step. `thermoml` records work, heat, energy and entropy
flow of every copy. `bare scan` is a hand-written loop for the parameters alone: `jax.grad`, with
the same noise and batches from the same keys. `products` is only the five matrix products of one
forward and one backward pass, on batches drawn beforehand.

A pass is an energy with its gradient. The bare scan needs one a step. So does the ledger on all
examples, where the end of a step is the start of the next, and one more at the start of a run; with
fresh batches it needs two a step, since heat takes the forces at both ends of a step on one batch.
`ratio` is the time relative to the products', `per pass` that of one pass.

Compilation is timed apart, as the first call less the median. Runs alternate, so that a busy
machine disturbs all alike. Peak memory is that of a separate process for each program, compiler
included. Afterwards thermoml and the bare scan must agree in every parameter.
"""

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import thermoml as tml
from thermoml.bench import in_turns, range_text, timed

BATCH, DT, STIFFNESS, TEMPERATURE = 128, 0.05, 0.01, 1e-3


def digits():
    data = tml.example_data("digits")
    features = (data.features - jnp.mean(data.features)) / jnp.std(data.features)
    return tml.Data(features, data.targets)  # all 64 pixels, of which 3 are always white


def network(key):
    return eqx.nn.MLP(64, 10, 32, 1, jnp.tanh, key=key)


def first_copies(count):
    keys = jax.random.split(jax.random.key(1), count)
    return eqx.filter_jit(jax.vmap(lambda key: eqx.filter(network(key), eqx.is_array)))(keys)


def library(count, steps, batch):
    system = tml.NetworkLearning(
        network(jax.random.key(0)),
        tml.CrossEntropy(),
        digits(),
        prior_stiffness=STIFFNESS,
        batch=batch or None,
        temperature=TEMPERATURE,
    )
    start = tml.langevin.Batch(first_copies(count))

    def run(seed):
        key = jax.random.key(seed)
        solution = tml.simulate(system, start, t1=steps * DT, dt=DT, key=key, n_trajectories=count)
        return [*jax.tree.leaves(solution.final_state), solution.heat[:, -1]]

    return run


def bare(count, steps, batch):
    data = digits()
    start = jax.tree.leaves(first_copies(count))

    def loss(parameters, features, targets):
        w1, b1, w2, b2 = parameters
        logits = jnp.tanh(features @ w1.T + b1) @ w2.T + b2
        logs = jax.nn.log_softmax(logits)
        mean = -jnp.mean(jnp.take_along_axis(logs, targets[:, None], 1))
        return mean + STIFFNESS / 2 * sum(jnp.sum(x**2) for x in parameters)

    @jax.jit
    def run(seed):
        def one(i, parameters):
            own = jax.random.fold_in(jax.random.key(seed), i)  # the library's streams
            noise, draws = (jax.random.fold_in(own, purpose) for purpose in (1, 2))

            def step(parameters, n):
                examples = data.features, data.targets
                if batch:
                    chosen = jax.random.randint(
                        jax.random.fold_in(draws, n), (batch,), 0, data.targets.shape[0]
                    )
                    examples = data.features[chosen], data.targets[chosen]
                slopes = jax.grad(loss)(parameters, *examples)
                keys = jax.random.split(jax.random.fold_in(noise, n), len(parameters))
                return [
                    x - slope * DT + (2 * TEMPERATURE * DT) ** 0.5 * jax.random.normal(k, x.shape)
                    for x, slope, k in zip(parameters, slopes, keys, strict=True)
                ], None

            return lax.scan(step, parameters, jnp.arange(steps))[0]

        return jax.vmap(one)(jnp.arange(count), start)

    return run


def products(count, steps, batch):
    features = digits().features
    if batch:
        drawn = jax.random.randint(jax.random.key(2), (count, batch), 0, features.shape[0])
        features = features[drawn]
    w1, _, w2, _ = jax.tree.leaves(first_copies(count))

    @jax.jit
    def run(seed):
        def one(features, *weights):
            def step(weights, _):
                w1, w2 = weights
                hidden = features @ w1.T
                output = hidden @ w2.T
                back = output @ w2
                small = 1e-8  # makes the next step depend on this one
                return (w1 - small * back.T @ features, w2 - small * output.T @ hidden), None

            return lax.scan(step, weights, length=steps)[0]

        return jax.vmap(one, (0 if batch else None, 0, 0))(features, w1 + 1e-3 * seed, w2)

    return run


PROGRAMS = {"thermoml": library, "bare scan": bare, "products": products}


def peak(name, count, batch):
    """Peak memory of a process that runs only this program, in MB."""
    command = [sys.executable, __file__, "--alone", name, "--copies", str(count)]
    command += ["--batch", str(batch), "--steps", "2"]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def alone(name, count, batch, steps):
    timed(PROGRAMS[name](count, steps, batch), 0)
    lines = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss has the parent's too
    print(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def compare(count, batch, steps, rounds):
    programs = {name: make(count, steps, batch) for name, make in PROGRAMS.items()}
    timings = in_turns(programs, rounds)
    for name, seconds in timings.seconds.items():
        median, ratio = timings.median(name), timings.ratio(name, "products")
        passes = 1 if name != "thermoml" else 2 if batch else 1 + 1 / steps
        print(
            f"{name:<11}{count:>7}{median:>10.3f}{range_text(seconds):>18}"
            f"{1e6 * median / (count * steps):>9.1f}{timings.compilation(name):>11.2f}"
            f"{ratio:>8.2f}{ratio / passes:>10.2f}"
            f"{'' if name == 'products' else round(peak(name, count, batch)):>9}",
            flush=True,
        )
    last = {name: results[-1] for name, results in timings.values.items()}
    for ours, theirs in zip(last["thermoml"][:-1], last["bare scan"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert np.all(np.isfinite(last["thermoml"][-1])), "heat"
    return {name: timings.median(name) / count for name in programs}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--copies", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=BATCH, help="examples in a batch")
    parser.add_argument("--alone", choices=PROGRAMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(options.alone, options.copies[0], options.batch, options.steps)
        return
    print(
        f"{options.steps} steps, {2 * options.steps} with fresh batches, {options.rounds} rounds; "
        f"jax {jax.__version__} on {jax.devices()[0].device_kind}, "
        f"{len(jax.devices())} device(s), {os.cpu_count()} cores ({platform.machine()})"
    )
    for batch in (0, options.batch):
        print(f"\n{f'A fresh batch of {batch}' if batch else 'All examples'} in each step")
        print(
            f"{'program':<11}{'copies':>7}{'median s':>10}{'range s':>18}{'µs/step':>9}"
            f"{'compile s':>11}{'ratio':>8}{'per pass':>10}{'peak MB':>9}"
        )
        steps = 2 * options.steps if batch else options.steps
        costs = [compare(count, batch, steps, options.rounds) for count in options.copies]
        print(f"time per copy and step, {options.copies[-1]} over {options.copies[0]}:", end=" ")
        print(", ".join(f"{name} {costs[-1][name] / costs[0][name]:.2f}" for name in PROGRAMS))
    print("\nAll parameters of thermoml and the bare scan agree.")


if __name__ == "__main__":
    main()
