"""Tables as text for a terminal: rows of words, and estimates by row and column."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from .results import value_text


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns, with a rule below the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def estimates_text(corner: str, columns: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of estimates or numbers; a line below it names the shape if they are arrays.

    Args:
        corner: the heading of the first column, which holds the names of the rows.
        columns: by heading, the values by row; all of one shape. Of arrays the last entry is
            printed. A cell without a value stays empty.
    """
    names = dict.fromkeys(name for column in columns.values() for name in column)
    shape = np.shape(jax.tree.leaves(columns)[0])
    last = jax.tree.map(lambda x: np.asarray(x)[(-1,) * np.ndim(x)], columns)
    rows = [[corner, *columns]]
    for name in names:
        cells = (last[heading].get(name) for heading in columns)
        rows.append([name, *("" if cell is None else value_text(cell) for cell in cells)])
    note = f"\n(the last entry of arrays of shape {shape})" if shape else ""
    return table_text(rows) + note
