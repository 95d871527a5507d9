"""Data sets: containers, CSV files, shipped and synthetic examples."""

from ...numerics.public import publish as _publish
from ._csv import (
    read_csv as read_csv,
)
from ._data import (
    Data as Data,
)
from ._examples import (
    example_data as example_data,
    synthetic_data as synthetic_data,
)

_publish(globals())
