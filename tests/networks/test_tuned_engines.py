"""Engines tuned by gradient: variances that keep a temperature, parameters for an efficiency."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import thermoml as tml


class Swish(eqx.Module):
    """z/(1 + e^{-βz})."""

    beta: jax.Array

    def __call__(self, z):
        return z * jax.nn.sigmoid(self.beta * z)


def flat(activation, **options):
    """How far from flat the temperatures of a chain are, against the variance of the weights."""

    def unevenness(variance):
        chain = tml.engine_chain(activation, depth=4, weight_variance=variance, **options)
        return jnp.sum(jnp.diff(jnp.log(chain.temperature)) ** 2)

    return unevenness


def test_he_initialisation_is_found_for_relu(x64):
    found = tml.tune(flat(jax.nn.relu, temperature=0.7), 1.0)
    assert float(found.parameters) == pytest.approx(2, rel=1e-5)


def test_the_variance_of_an_activation_of_ones_own(x64):
    """A chain is isothermal at (T - σ_b²)/(η T)."""

    def own(z):
        return jnp.where(z > 0, jnp.sqrt(1 + z**2) - 1, 0.1 * z)

    found = tml.tune(flat(own, temperature=1.5, bias_variance=0.2), 1.0)
    exact = (1.5 - 0.2) / (1.5 * tml.work_efficiency(own, 1.5))
    assert float(found.parameters) == pytest.approx(float(exact), rel=1e-5)


def test_a_parameter_for_a_wanted_efficiency(x64):
    found = tml.tune(
        lambda swish: (tml.work_efficiency(swish, 1.0) - 0.4) ** 2, Swish(jnp.asarray(1.0))
    )
    efficiency = lambda beta: float(tml.work_efficiency(Swish(jnp.asarray(beta)), 1.0)) - 0.4
    beta = optimize.brentq(efficiency, 0.5, 5.0)
    assert float(found.parameters.beta) == pytest.approx(beta, rel=1e-4)
    assert np.isfinite(beta)
