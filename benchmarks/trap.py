"""Comparison for a Brownian particle in a trap, with its ledger: hand-written programs, diffrax.

    python benchmarks/trap.py [--n-trajectories 1000] [--steps 10000] [--rounds 5] [--float64]

`thermoml` records work, heat, energy and entropy flow of every trajectory; `thermoml, BAOAB` has a
momentum, too. `bare scan` is a hand-written loop for the positions alone with the noise of
`jax.random`; `bare scan, ledger` adds plain sums of work and heat. diffrax and NumPy take the same
steps. All draw their noise anew. The trap stands still, or is dragged (a control). Compilation is
timed apart. Runs alternate, so that a busy machine disturbs all alike; the table gives the median,
the range, and how many times as long as `thermoml` a program takes. Afterwards the variance of
every program's positions must be that of its integrator.
"""

import argparse
import os
import platform

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import thermoml as tml
from thermoml.bench import in_turns, range_text

DT, DRAG = 0.01, 0.1


def potential(x, centre):
    return 0.5 * (x - centre) ** 2


def at_rest(x, control):
    return 0.5 * x**2


def library(count, steps, dragged, momentum=False):
    control = tml.Ramp(0.0, DRAG * steps * DT, 0.0, steps * DT) if dragged else None
    system = tml.Langevin(potential if dragged else at_rest, control=control)
    system = tml.Underdamped(system) if momentum else system
    start = jnp.zeros(())

    def run(seed):
        solution = tml.simulate(
            system,
            start,
            t1=steps * DT,
            dt=DT,
            key=jax.random.key(seed),
            n_trajectories=count,
        )
        end = solution.final_state
        return end.position if momentum else end, solution.heat

    return run


def bare(count, steps, dragged, ledger=False):
    @jax.jit
    def run(seed):
        key = jax.random.key(seed)

        def one(i):
            own = jax.random.fold_in(key, i)

            def step(carry, n):
                x, work, heat = carry
                centre = DRAG * DT * (n + 1) if dragged else 0.0
                noise = jax.random.normal(jax.random.fold_in(own, n), dtype=x.dtype)
                new = x - (x - centre) * DT + jnp.sqrt(2 * DT) * noise
                if ledger:
                    if dragged:
                        before = DRAG * DT * n
                        work = work + potential(x, centre) - potential(x, before)
                    heat = heat + potential(x, centre) - potential(new, centre)
                return (new, work, heat), None

            return lax.scan(step, (jnp.zeros(()),) * 3, jnp.arange(steps))[0]

        return jax.vmap(one)(jnp.arange(count))

    return run


def by_diffrax(count, steps, dragged):
    def drift(t, y, args):
        return -(y - DRAG * t) if dragged else -y

    @jax.jit
    def run(seed):
        def one(key):
            noise = diffrax.UnsafeBrownianPath((), key)
            terms = diffrax.MultiTerm(
                diffrax.ODETerm(drift),
                diffrax.ControlTerm(lambda t, y, args: jnp.sqrt(2.0), noise),
            )
            solution = diffrax.diffeqsolve(
                terms,
                diffrax.Euler(),
                0.0,
                steps * DT,
                DT,
                jnp.zeros(()),
                saveat=diffrax.SaveAt(t1=True),
                adjoint=diffrax.DirectAdjoint(),
                max_steps=steps + 10,
            )
            assert solution.ys is not None
            return solution.ys[0]

        ends = jax.vmap(one)(jax.random.split(jax.random.key(seed), count))
        return ends, jnp.zeros_like(ends)

    return run


def by_numpy(count, steps, dragged):
    def run(seed):
        rng = np.random.default_rng(seed)
        number = np.float64 if jax.config.read("jax_enable_x64") else np.float32
        x, heat = np.zeros(count, number), np.zeros(count)
        width = number((2 * DT) ** 0.5)
        for n in range(steps):
            centre = number(DRAG * DT * (n + 1) if dragged else 0)
            new = x - (x - centre) * number(DT) + width * rng.standard_normal(count, number)
            heat -= ((x + new) / 2 - centre) * (new - x)
            x = new
        return x, heat

    return run


def compare(dragged, options):
    size = options.n_trajectories, options.steps, dragged
    programs = {
        "thermoml": library(*size),
        "thermoml, BAOAB": library(*size, momentum=True),
        "bare scan": bare(*size),
        "bare scan, ledger": bare(*size, ledger=True),
        "NumPy, heat": by_numpy(*size),
        "diffrax": by_diffrax(*size),
    }
    timings = in_turns(programs, options.rounds)
    mean = DRAG * (options.steps * DT - 1) if dragged else 0
    values = {
        name: np.concatenate([np.asarray(result[0]) - mean for result in results])
        for name, results in timings.values.items()
    }
    print(f"\nThe trap {'is dragged' if dragged else 'stands still'}")
    print(
        f"{'program':<18}{'median s':>10}{'range s':>18}{'ns/step':>10}"
        f"{'compile s':>11}{'ratio':>8}"
    )
    for name, seconds in timings.seconds.items():
        compiling = 0.0 if "NumPy" in name else timings.compilation(name)
        per_step = 1e9 * timings.median(name) / (options.n_trajectories * options.steps)
        print(
            f"{name:<18}{timings.median(name):>10.4f}{range_text(seconds, 4):>18}{per_step:>10.1f}"
            f"{compiling:>11.2f}{timings.ratio(name, 'thermoml'):>8.2f}"
        )
    for name, ends in values.items():
        # Euler-Maruyama widens the distribution, BAOAB does not.
        variance = ends.var() * (1 if "BAOAB" in name else 1 - DT / 2)
        assert abs(variance - 1) < 5 * np.sqrt(2 / ends.size), f"variance {variance} of {name}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--n-trajectories", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--float64", action="store_true")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.float64)
    print(
        f"{options.n_trajectories} trajectories, {options.steps} steps, {options.rounds} rounds; "
        f"jax {jax.__version__}, diffrax {diffrax.__version__} on {jax.devices()[0].device_kind}, "
        f"{len(jax.devices())} device(s), {os.cpu_count()} cores ({platform.machine()})"
    )
    for dragged in (False, True):
        compare(dragged, options)
    print("\nThe variances of all programs are those of their integrators.")


if __name__ == "__main__":
    main()
