"""Types of the thermodynamics room."""

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

# Numbers of any shape: an array, a number, or nested sequences of numbers.
Numbers = ArrayLike | Sequence[Any]
