"""Networks: learning systems as thermodynamic systems."""

from ._csv import read_csv
from ._data import Data
from ._examples import example_data, synthetic_data

__all__ = [
    "Data",
    "example_data",
    "read_csv",
    "synthetic_data",
]
