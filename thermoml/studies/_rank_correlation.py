"""Whether one number of activations goes with another, with what may be said for sure."""

from typing import Any

import numpy as np
from scipy import stats


def rank_correlation(known: np.ndarray, measured: np.ndarray, seed: int = 0) -> dict[str, Any]:
    r"""Spearman's ρ of what is known of activations and the mean of what was measured.

    The interval holds 95 % of 2000 bootstraps over activations, and over splits within each; the
    p-value is that of permutations of the activations.

    Args:
        known: `(activation,)`.
        measured: `(activation, split)`.
    """
    generator = np.random.default_rng(seed)
    count, splits = measured.shape
    means = measured.mean(axis=1)
    found = _spearman(known[None], means[None])[0]
    chosen = generator.integers(count, size=(2000, count))
    which = generator.integers(splits, size=(2000, count, splits))
    again = measured[chosen[..., None], which].mean(axis=2)
    drawn = _spearman(known[chosen], again)
    drawn = drawn[np.isfinite(drawn)]  # where one activation was drawn throughout there is no rank
    shuffled = np.stack([generator.permutation(means) for _ in range(5000)])
    by_chance = _spearman(np.broadcast_to(known, shuffled.shape), shuffled)
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn.size else (np.nan, np.nan)
    beyond = np.sum(np.abs(by_chance) >= abs(found) - 1e-12) + 1
    return {
        "rank_correlation": float(found),
        "interval": [float(low), float(high)],
        "p_value": float(beyond / (len(shuffled) + 1)),
    }


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Row by row; NaN where all of a row are alike."""
    ranks = [stats.rankdata(values, axis=1) for values in (first, second)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, where=scale > 0, out=np.full(len(a), np.nan))
