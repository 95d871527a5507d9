"""Spearman's rank correlation, with a bootstrap interval and a permutation p-value."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class RankCorrelation(NamedTuple):
    """Spearman's ρ of two quantities.

    Attributes:
        rank_correlation: ρ, in [-1, 1]; NaN where all ranks are equal.
        interval: 95 % interval by bootstrap.
        p_value: the probability of a ρ as far from 0 among permutations.
    """

    rank_correlation: float
    interval: tuple[float, float]
    p_value: float


def rank_correlation(
    quantity: Float[np.ndarray, " item"], samples: Float[np.ndarray, "item sample"], seed: int = 0
) -> RankCorrelation:
    """Spearman's ρ between a quantity of items and the mean of samples of each item.

    The interval holds 95 % of 2000 bootstraps over the items, and over the samples of each; the
    p-value is that of 5000 permutations of the items.

    Args:
        quantity: `(item,)`.
        samples: `(item, sample)`.
        seed: of NumPy's generator.
    """
    generator = np.random.default_rng(seed)
    count, n_samples = samples.shape
    means = samples.mean(axis=1)
    rho = _spearman(quantity[None], means[None])[0]
    items = generator.integers(count, size=(2000, count))
    columns = generator.integers(n_samples, size=(2000, count, n_samples))
    resampled = samples[items[..., None], columns].mean(axis=2)
    drawn = _spearman(quantity[items], resampled)
    drawn = drawn[np.isfinite(drawn)]  # without those that drew one item throughout
    shuffled = np.stack([generator.permutation(means) for _ in range(5000)])
    by_chance = _spearman(np.broadcast_to(quantity, shuffled.shape), shuffled)
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn.size else (np.nan, np.nan)
    beyond = np.sum(np.abs(by_chance) >= abs(rho) - 1e-12) + 1
    return RankCorrelation(
        float(rho), (float(low), float(high)), float(beyond / (len(shuffled) + 1))
    )


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """ρ row by row; NaN where all of a row are equal."""
    from scipy import stats  # slow to import, and few need it

    ranks = [stats.rankdata(values, axis=1) for values in (first, second)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, where=scale > 0, out=np.full(len(a), np.nan))
