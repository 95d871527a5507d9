"""Tables for a terminal."""

from collections.abc import Sequence


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
