"""What the Langevin tests share: a key, and simple potentials."""

import jax.numpy as jnp
import pytest


@pytest.fixture(scope="session")
def trap():
    """k|x|²/2 with the stiffness k as the control; k = 1 without one."""
    return lambda x, k: (1.0 if k is None else k) * jnp.sum(x**2) / 2


@pytest.fixture(scope="session")
def quartic():
    return lambda x, control: jnp.sum(x**4) / 4


@pytest.fixture(scope="session")
def free():
    return lambda x, control: 0.0 * jnp.sum(x)
