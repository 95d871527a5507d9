"""Optimisers of optax, called alike whatever they need."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    import optax


@contextlib.contextmanager
def optax_promotes() -> Iterator[None]:
    """optax relies on JAX's promotion of dtypes and ranks, which a user may have made strict."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def check_optimiser(optimiser: Any) -> None:
    """TypeError unless `transformation` takes it."""
    import optax  # imported here: slow to load, and rarely used

    if not isinstance(optimiser, optax.GradientTransformation | optax.MultiSteps):
        raise TypeError(
            f"optimiser must be one of optax, such as optax.sgd(0.1), got {optimiser!r}"
        )


def transformation(optimiser: Any) -> "optax.GradientTransformationExtraArgs":
    """An optimiser whose `update` takes `value`, `grad` and `value_fn` and uses what it needs.

    It consists of new functions, so it is made inside of what is compiled.
    """
    import optax

    if isinstance(optimiser, optax.MultiSteps):
        optimiser = optimiser.gradient_transformation()
    return optax.with_extra_args_support(optimiser)
