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
    return forward + 0.4, reverse - 0.4, jnp.asarray(0.4)


def gamma(key, count, shape, scale):
    """Work of a gamma law (shape ½: a trap stiffened at once; scale < 0: softened)."""
    keys = jax.random.split(key)
    forward = scale * jax.random.gamma(keys[0], shape, (count,))
    reverse = -scale / (1 + scale) * jax.random.gamma(keys[1], shape, (count,))
    return forward, reverse, jnp.asarray(shape * np.log1p(scale))


def two_peaks(key, count, chance, apart):
    """A share `chance` of the works lies `apart` T lower; each peak has the width 0.3 T."""
    s, keys = 0.3, jax.random.split(key, 4)
    weights = np.array([1 - chance, chance * np.exp(apart)])

    def draw(low, noise, chance):
        lower = jax.random.bernoulli(low, chance, (count,))
        return s * jax.random.normal(noise, (count,)) - apart * lower

    forward = draw(keys[0], keys[1], chance)
    reverse = s**2 - draw(keys[2], keys[3], weights[1] / weights.sum())
    return forward, reverse, jnp.asarray(s**2 / -2 - np.log(weights.sum()))


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


def jarzynski(forward, _, truth):
    free = tml.jarzynski(forward, 1.0)
    return free.free_energy_difference, free.standard_error, free.trustworthy, truth


def integral(forward, _, truth):
    theorem = tml.integral_fluctuation(forward - truth)
    return theorem.average, theorem.standard_error, theorem.trustworthy, 1.0


def bennett(forward, reverse, truth):
    free = tml.bennett(forward, reverse, 1.0)
    return free.free_energy_difference, free.standard_error, free.trustworthy, truth


def unequal(forward, reverse, truth):
    return bennett(forward, reverse[: max(20, reverse.shape[0] // 5)], truth)


def slope(forward, reverse, truth):
    fit = tml.crooks(forward, reverse, 1.0)
    return fit.slope, fit.slope_error, fit.trustworthy, 1.0


def crossing(forward, reverse, truth):
    fit = tml.crooks(forward, reverse, 1.0)
    return fit.free_energy_difference, fit.standard_error, fit.trustworthy, truth


def drift(key, count, mean):
    """A current whose mean is so many standard deviations: its product is 2."""
    return mean + jax.random.normal(key, (count,)), jnp.asarray(mean)


def uncertainty(current, mean):
    product = tml.uncertainty_product(current, 2 * mean * current)
    return product.product, product.standard_error, True, 2.0


def normals(key, count, size):
    return jax.random.normal(key, (count, size)), size * jnp.log(2 * jnp.pi * jnp.e) / 2


def gaussian_entropy(samples, truth):
    entropy = tml.thermodynamics.gaussian_entropy(samples)
    return entropy.entropy, entropy.standard_error, True, truth


def knn_entropy(samples, truth):
    entropy = tml.thermodynamics.knn_entropy(samples)
    return entropy.entropy, entropy.standard_error, True, truth


def pairs(key, count, law):
    """b of mean 1, and a = 2b with noise of its own."""
    keys = jax.random.split(key)
    below = law(keys[0], (count,))
    return 2 * below + 0.5 * jax.random.normal(keys[1], (count,)), below


def mean(_, below):
    estimate = tml.Estimate.of(below)
    return estimate.mean, estimate.standard_error, True, 1.0


def ratio(above, below):
    estimate = tml.Estimate.ratio(above, below)
    return estimate.mean, estimate.standard_error, True, 2.0


LAWS = {
    "normal": functools.partial(pairs, law=lambda key, n: 1 + 0.3 * jax.random.normal(key, n)),
    "exponential": functools.partial(pairs, law=jax.random.exponential),
}
FUNCTIONS = {
    "jarzynski": (jarzynski, WORKS),
    "integral_fluctuation": (integral, WORKS),
    "bennett": (bennett, WORKS),
    "bennett, n and n/5": (unequal, WORKS),
    "crooks, slope": (slope, WORKS),
    "crooks, ΔF": (crossing, WORKS),
    "uncertainty_product": (
        uncertainty,
        {f"{x:g} deviations": functools.partial(drift, mean=x) for x in (1.0, 3.0)},
    ),
    "gaussian_entropy": (
        gaussian_entropy,
        {f"normal, d = {d}": functools.partial(normals, size=d) for d in (1, 4, 10)},
    ),
    "knn_entropy, no interval": (
        knn_entropy,
        {f"normal, d = {d}": functools.partial(normals, size=d) for d in (1, 2, 5)},
    ),
    "Estimate.of": (mean, LAWS),
    "Estimate.ratio": (ratio, LAWS),
}


def coverage(estimate, draw, count, repeats):
    """Share of trusted estimates, coverage of these, and of all."""
    keys = jax.random.split(jax.random.key(count), repeats)
    samples = jax.jit(jax.vmap(lambda key: draw(key, count)))(keys)
    value, error, trusted, truth = (np.asarray(x) for x in estimate(*samples))
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
    for name, (function, cases) in FUNCTIONS.items():
        if not name.startswith(options.only):
            continue
        print(f"\n{name:<24}" + "".join(f"{f'n = {n}':>20}" for n in SIZES))
        estimate = jax.jit(jax.vmap(function))  # one program for all laws
        for case, draw in cases.items():
            cells = []
            for count in SIZES:
                repeats = max(200, min(options.repeats, 400_000 // count))
                share, trusted, every = coverage(estimate, draw, count, repeats)
                text = "-" if np.isnan(trusted) else f"{trusted:.3f}"
                cells.append(f"{share:>8.2f} {text:>5}{f'({every:.2f})':>6}")
            print(f"{case:<24}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
