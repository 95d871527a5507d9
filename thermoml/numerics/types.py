"""Types of arrays and numbers in signatures, in addition to those of jaxtyping."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Real

Scalar = Real[ArrayLike, ""]  # a Python number too
Numbers = ArrayLike | Sequence[Any]  # of any shape: an array, a number, or nested sequences

if TYPE_CHECKING:
    AnyArray = jax.Array  # NumPy's arrays have the methods and operators that are used of it
else:
    AnyArray = jax.Array | np.ndarray | np.generic  # on a device or on the host
