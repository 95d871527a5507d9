"""Coverage of 95 % intervals: how often value ± 1.96 standard errors holds the truth.

    python benchmarks/coverage.py [--repeats 1000] [--only jarzynski]

`--repeats` estimates of up to 400 samples, fewer of more, at least 200.

For each function, law of the samples and number n of these: the share of estimates that call
themselves trustworthy (1 for functions that do not say), the coverage of these, and, for
comparison, of all. Trusted shares below 2 % are not counted (`-`). s is the standard deviation of
the work over T; for a normal work s²/2 is dissipated. Float64; every estimate has a key of its own.
"""

import argparse
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np

import thermoml as tml

SIZES = 20, 50, 200, 1000, 10_000
SPREADS = 0.05, 0.3, 0.6, 1.0, 1.4, 1.8, 2.2, 3.0, 5.0


def normal(key, count, s):
    """Works in both directions with ΔF = 0.4."""
    keys = jax.random.split(key)
    forward, reverse = (s**2 / 2 + s * jax.random.normal(k, (count,)) for k in keys)
    return forward + 0.4, reverse - 0.4, 0.4


def gamma(key, count, shape, scale):
    """Work of a gamma law (shape ½: a trap stiffened at once; scale < 0: softened)."""
    keys = jax.random.split(key)
    forward = scale * jax.random.gamma(keys[0], shape, (count,))
    reverse = -scale / (1 + scale) * jax.random.gamma(keys[1], shape, (count,))
    return forward, reverse, shape * np.log1p(scale)


def two_peaks(key, count, chance, apart):
    """A share `chance` of the works lies `apart` T lower; each peak has the width 0.3 T."""
    s, keys = 0.3, jax.random.split(key, 4)
    weights = np.array([1 - chance, chance * np.exp(apart)])

    def draw(low, noise, chance):
        lower = jax.random.bernoulli(low, chance, (count,))
        return s * jax.random.normal(noise, (count,)) - apart * lower

    forward = draw(keys[0], keys[1], chance)
    reverse = s**2 - draw(keys[2], keys[3], weights[1] / weights.sum())
    return forward, reverse, s**2 / -2 - np.log(weights.sum())


WORKS = {
    **{f"normal, s = {s:g}": functools.partial(normal, s=s) for s in SPREADS},
    "exponential, mean T": functools.partial(gamma, shape=1.0, scale=1.0),
    "gamma, 4 × T/2": functools.partial(gamma, shape=4.0, scale=0.5),
    "trap 1 → 4 at once": functools.partial(gamma, shape=0.5, scale=3.0),
    "trap 4 → 1 at once": functools.partial(gamma, shape=0.5, scale=-0.75),
    "gamma, 4 × -T/5": functools.partial(gamma, shape=4.0, scale=-0.2),
    "gamma, 4 × -2T/5": functools.partial(gamma, shape=4.0, scale=-0.4),
    "two peaks, 30 %, 2 T": functools.partial(two_peaks, chance=0.3, apart=2.0),
    "two peaks, 30 %, 6 T": functools.partial(two_peaks, chance=0.3, apart=6.0),
    "two peaks, 5 %, 4 T": functools.partial(two_peaks, chance=0.05, apart=4.0),
}


def of_works(estimate):
    """The cases of a function of works: value, error, trust and truth."""
    return {name: functools.partial(estimate, draw) for name, draw in WORKS.items()}


def jarzynski(draw, key, count):
    forward, _, truth = draw(key, count)
    free = tml.jarzynski(forward, 1.0)
    return free.free_energy_difference, free.standard_error, free.trustworthy, truth


def integral(draw, key, count):
    forward, _, truth = draw(key, count)
    theorem = tml.integral_fluctuation(forward - truth)
    return theorem.average, theorem.standard_error, theorem.trustworthy, 1.0


def bennett(draw, key, count):
    forward, reverse, truth = draw(key, count)
    free = tml.bennett(forward, reverse, 1.0)
    return free.free_energy_difference, free.standard_error, free.trustworthy, truth


def unequal(draw, key, count):
    """A fifth as many reverse runs."""
    forward, reverse, truth = draw(key, count)
    free = tml.bennett(forward, reverse[: max(20, count // 5)], 1.0)
    return free.free_energy_difference, free.standard_error, free.trustworthy, truth


def slope(draw, key, count):
    forward, reverse, _ = draw(key, count)
    fit = tml.crooks(forward, reverse, 1.0)
    return fit.slope, fit.slope_error, jnp.isfinite(fit.slope), 1.0


def crossing(draw, key, count):
    forward, reverse, truth = draw(key, count)
    fit = tml.crooks(forward, reverse, 1.0)
    return fit.free_energy_difference, fit.standard_error, jnp.isfinite(fit.slope), truth


def uncertainty(resolved, key, count):
    """A drift whose mean is so many standard deviations: the product is 2, Σ known or counted."""
    current = resolved + jax.random.normal(key, (count,))
    product = tml.uncertainty_product(current, 2 * resolved * current)
    return product.product, product.standard_error, True, 2.0


def gaussian_entropy(size, key, count):
    samples = jax.random.normal(key, (count, size))
    entropy = tml.thermodynamics.gaussian_entropy(samples)
    return entropy.entropy, entropy.standard_error, True, size * np.log(2 * np.pi * np.e) / 2


def knn_entropy(size, key, count):
    samples = jax.random.normal(key, (count, size))
    entropy = tml.thermodynamics.knn_entropy(samples)
    return entropy.entropy, entropy.standard_error, True, size * np.log(2 * np.pi * np.e) / 2


def mean(draw, key, count):
    estimate = tml.Estimate.of(draw(key, (count,)))
    return estimate.mean, estimate.standard_error, True, 1.0


def ratio(draw, key, count):
    keys = jax.random.split(key)
    below = draw(keys[0], (count,))
    above = 2 * below + 0.5 * jax.random.normal(keys[1], (count,))
    estimate = tml.Estimate.ratio(above, below)
    return estimate.mean, estimate.standard_error, True, 2.0


DRAWS = {
    "normal": lambda key, shape: 1 + 0.3 * jax.random.normal(key, shape),
    "exponential": lambda key, shape: jax.random.exponential(key, shape),
}
FUNCTIONS = {
    "jarzynski": of_works(jarzynski),
    "integral_fluctuation": of_works(integral),
    "bennett": of_works(bennett),
    "bennett, n and n/5": of_works(unequal),
    "crooks, slope": of_works(slope),
    "crooks, ΔF": of_works(crossing),
    "uncertainty_product": {
        f"drift of {x:g} deviations": functools.partial(uncertainty, x) for x in (1.0, 3.0)
    },
    "gaussian_entropy": {
        f"normal, d = {d}": functools.partial(gaussian_entropy, d) for d in (1, 4, 10)
    },
    "knn_entropy, bias left": {
        f"normal, d = {d}": functools.partial(knn_entropy, d) for d in (1, 2, 3)
    },
    "Estimate.of": {name: functools.partial(mean, draw) for name, draw in DRAWS.items()},
    "Estimate.ratio": {name: functools.partial(ratio, draw) for name, draw in DRAWS.items()},
}


def coverage(case, count, repeats):
    """Share of trusted estimates, coverage of these, and of all."""
    keys = jax.random.split(jax.random.key(count), repeats)
    run = jax.jit(lambda keys: jax.lax.map(lambda key: case(key, count), keys, batch_size=100))
    value, error, trusted, truth = (np.asarray(x) for x in run(keys))
    covered = np.abs(value - truth) < 1.96 * error
    share = trusted.mean()
    return share, covered[trusted].mean() if share >= 0.02 else np.nan, covered.mean()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--only", default="", help="functions whose name begins so")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore")
    print("share of trusted estimates, coverage of these (of all)")
    for name, cases in FUNCTIONS.items():
        if not name.startswith(options.only):
            continue
        print(f"\n{name:<24}" + "".join(f"{f'n = {n}':>20}" for n in SIZES))
        for case, function in cases.items():
            cells = []
            for count in SIZES:
                repeats = max(200, min(options.repeats, 400_000 // count))
                share, trusted, every = coverage(function, count, repeats)
                text = "-" if np.isnan(trusted) else f"{trusted:.3f}"
                cells.append(f"{share:>8.2f} {text:>5}{f'({every:.2f})':>6}")
            print(f"{case:<24}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
