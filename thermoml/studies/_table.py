"""Tables for a terminal."""

import math
from collections.abc import Sequence


def with_error(mean: float | None, standard_error: float | None) -> str:
    """`0.28434 ± 0.00066`: two figures of the error; the mean alone where there is none."""
    if mean is None or not math.isfinite(mean):
        return "not finite"
    if standard_error is None or not math.isfinite(standard_error):
        return f"{mean:.4g}"
    if standard_error <= max(1e-8 * abs(mean), 1e-12):  # all alike, but for rounding
        return f"{mean if abs(mean) > 1e-12 else 0:.5g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(standard_error)))
    return f"{mean:.{digits}f} ± {standard_error:.{digits}f}"


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """The rows in columns, a rule below the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def sample_text(n_trajectories: int) -> str:
    """What the numbers of a table are."""
    if n_trajectories == 1:
        return "one trajectory, which has no standard error"
    return f"mean of {n_trajectories} trajectories ± standard error"
