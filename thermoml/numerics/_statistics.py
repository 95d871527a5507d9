"""Means over trajectories with their standard errors."""

from typing import Any

import numpy as np


def mean_and_error(values: Any, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean over an axis and its standard error, which is NaN for a single value."""
    values = np.asarray(values, float)
    count = values.shape[axis]
    with np.errstate(invalid="ignore"):  # infinite values have no error
        mean = values.mean(axis)
        if count == 1:
            return mean, np.full_like(mean, np.nan)
        return mean, values.std(axis, ddof=1) / np.sqrt(count)


def mean_at_end(values: Any) -> str:
    """`1.234 ± 0.01 (mean at the end)` of values `[trajectory, save]`."""
    mean, error = mean_and_error(np.asarray(values)[:, -1])
    spread = f" ± {error:.2g}" if np.isfinite(error) else ""
    return f"{mean:.5g}{spread} (mean at the end)"
