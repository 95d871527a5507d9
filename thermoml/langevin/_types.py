"""Types of the Langevin room: a state, and a time."""

from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree, Real

StateTree = PyTree[Float[Array, "..."]]
Time = Real[ArrayLike, ""]
