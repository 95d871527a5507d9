"""Data sets from CSV files."""

import csv
import itertools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...numerics.choices import is_choice
from ._data import KINDS, Data, Kind, listing

if TYPE_CHECKING:
    import pandas


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str,
    features: Sequence[str] | None = None,
    kind: Kind | None = None,
) -> Data:
    """Data from a text file of comma-separated values, UTF-8, whose first line names the columns.

    Args:
        path: the file.
        target: the column of targets.
        features: the columns of features; all others if left out. Booleans become 0 and 1.
        kind: "regression" or "classification". If left out, text and booleans are classes and
            numbers are a regression: whole numbers that are labels need kind="classification".

    Returns:
        `Data` named as the file. Classes are sorted; `class_names` holds them as text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an empty file or one that is not a table, no such column, text among the
            features, missing or infinite values (with line and column), a kind that contradicts
            the targets.

    Cost: O(bytes); the whole file is in memory.
    """
    if not isinstance(path, str | os.PathLike):  # an integer would be taken for an open file
        raise TypeError(f"path must be the name of a file, got {path!r:.80}")
    if kind is not None and not is_choice(kind, KINDS):
        raise ValueError(f'kind must be "regression" or "classification", got {kind!r:.80}')
    if not isinstance(target, str):
        raise TypeError(f"target must be the name of a column, got {target!r:.80}")
    frame = _read_frame(path)
    columns = _choose_columns(list(frame.columns), path, target, features)
    frame = frame.loc[:, [*columns, target]]
    _check_entries(frame, columns, path)
    values = frame[target]
    text = _first_text(values) is not None
    if kind is None:
        kind = "classification" if text or values.dtype == bool else "regression"
    if kind == "classification":
        targets, names = _as_classes(target, values.tolist())
    elif text:
        raise ValueError(
            f'target must hold numbers for a regression, got text in column "{target}"; choose '
            'kind="classification" or another column'
        )
    else:
        targets, names = values.to_numpy(float), ()
    return Data(
        frame[columns].to_numpy(float),
        targets,
        feature_names=columns,
        class_names=names,
        name=Path(path).stem,
    )


def _read_frame(path: Any) -> "pandas.DataFrame":
    """The table in a file, with at least one row."""
    import pandas  # imported here: slow to load, and rarely used

    # From 3.1 on pandas reads every digit of its own accord, and deprecates the argument.
    version = tuple(int(part) for part in pandas.__version__.split(".")[:2])
    every_digit: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    try:
        with open(path, encoding="utf-8", newline="") as file, warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # entries without a column
            frame = pandas.read_csv(
                file,
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
                **every_digit,
            )
    except FileNotFoundError:
        raise FileNotFoundError(f"path must be a CSV file, there is none at {path}") from None
    except pandas.errors.EmptyDataError:
        raise ValueError(
            f"path must be a CSV file with a header and rows, {path} is empty"
        ) from None
    except pandas.errors.ParserWarning:
        raise ValueError(
            f"path must name every column in its first line, {path} has more entries in others"
        ) from None
    except (pandas.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"path must be a CSV file in UTF-8, {path} is not: {error}") from None
    if frame.empty:
        raise ValueError(f"path must be a CSV file with a header and rows, {path} has no rows")
    return frame


def _choose_columns(header: list[str], path: Any, target: str, features: Any) -> list[str]:
    """The columns of features; ValueError unless they and the target are in the file."""
    if isinstance(features, str):
        raise TypeError(f"features must be a list of columns, got {features!r}")
    columns = [c for c in header if c != target] if features is None else list(features)
    for argument, column in (("target", target), *(("features", c) for c in columns)):
        if column not in header:
            listed = listing((f'"{c}"' for c in header), 50)
            raise ValueError(
                f"{argument} must name columns of {path}, got {column!r}; its columns are {listed}"
            )
    if target in columns or not columns or len(set(columns)) < len(columns):
        raise ValueError(
            f"features must be at least one column besides the target, each once, got {columns}"
        )
    return columns


def _first_text(column: Any) -> int | None:
    """The first row that holds text."""
    if column.dtype.kind in "biuf":
        return None
    return next((row for row, entry in enumerate(column.array) if isinstance(entry, str)), None)


def _check_entries(frame: "pandas.DataFrame", columns: list[str], path: Any) -> None:
    """ValueError if an entry is missing or infinite, or a column of features holds text."""
    text = {column: _first_text(frame[column]) for column in columns}
    for column, row in text.items():
        if row is not None:
            numbers = [c for c in columns if text[c] is None]
            raise ValueError(
                f'features must be numbers, got "{frame[column].iloc[row]}" in column "{column}", '
                f"line {_line(path, row)} of {path}; choose features={numbers}, or mend the file"
            )
    missing = frame.isna().to_numpy()
    bad = np.argwhere(missing | frame.isin([np.inf, -np.inf]).to_numpy())
    if len(bad):
        row, column = bad[0]
        entry = "no value" if missing[row, column] else str(frame.iat[row, column])
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(
            f"every entry must be finite and present, got {entry} in line {_line(path, row)} of "
            f'{path}, column "{frame.columns[column]}"{more}; fill them in or leave out the lines'
        )


def _line(path: Any, row: int | np.integer) -> int:
    """The line of the file in which a row ends; blank lines are not rows."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        lines = (reader.line_num for entries in reader if "".join(entries).strip() or entries[1:])
        return next(itertools.islice(lines, int(row) + 1, None))


def _as_classes(target: str, values: list) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels from 0, and the sorted classes as text."""
    if any(isinstance(value, float) and value != int(value) for value in values):
        raise ValueError(
            f"target must hold text, booleans or whole numbers for a classification, got fractions "
            f'in column "{target}"; choose kind="regression" or another column'
        )
    values = [int(value) if isinstance(value, float) else value for value in values]
    classes = sorted(set(values))
    index = {value: label for label, value in enumerate(classes)}
    return np.array([index[value] for value in values]), tuple(str(c) for c in classes)
