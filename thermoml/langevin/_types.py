"""Types of the Langevin room: a state, and a time."""

from jaxtyping import Array, Float, PyTree

from ..numerics.types import Scalar

StateTree = PyTree[Float[Array, "..."]]
Time = Scalar
