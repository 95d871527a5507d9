"""Integrators: one step of the Langevin equation, given the force and the noise of the step."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..numerics.arrays import as_parameters
from ._baths import spread


class AbstractIntegrator(eqx.Module):
    """How the state moves in one step."""

    @abc.abstractmethod
    def step(
        self,
        force: Callable[[PyTree[Array]], PyTree[Array]],
        state: PyTree[Array],
        force_here: PyTree[Array],
        noise: PyTree[Array],
        control: Any,
        baths: tuple[PyTree[Array], PyTree[Array]],
        dt: Array,
    ) -> PyTree[Array]:
        """The next state.

        Args:
            force: F(x) at the control and sample of this step.
            state: x; `force_here` is F(x), `noise` standard normals, both like x.
            control: λ at the end of the step.
            baths: temperature and mobility, each a pytree like x of scalars or full arrays.
            dt: the time step.
        """


def _euler_maruyama(state, force, noise, baths, dt):
    def move(x, f, z, temperature, mobility):
        return x + mobility * f * dt + jnp.sqrt(2 * mobility * temperature * dt) * z

    return jax.tree.map(move, state, force, noise, *baths)


class EulerMaruyama(AbstractIntegrator):
    r"""$x' = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\;z$.

    Weak order 1. In a trap of stiffness k its stationary variance is $(T/k)/(1 - \mu k\,dt/2)$
    instead of T/k, and it is unstable from μk dt = 2. One force a step.

    Source: Kloeden and Platen 1992, section 10.2.
    """

    def step(self, force, state, force_here, noise, control, baths, dt):
        return _euler_maruyama(state, force_here, noise, baths, dt)


class Heun(AbstractIntegrator):
    r"""$\tilde x = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\,z$,
    $x' = x + \tfrac12\mu[F(x) + F(\tilde x)]\,dt + \sqrt{2\mu T\,dt}\,z$.

    Weak order 2 for the additive noise used here. Two forces a step.

    Source: Kloeden and Platen 1992, section 15.1 (simplified for additive noise).
    """

    def step(self, force, state, force_here, noise, control, baths, dt):
        predicted = _euler_maruyama(state, force_here, noise, baths, dt)
        mean = jax.tree.map(lambda a, b: (a + b) / 2, force_here, force(predicted))
        return _euler_maruyama(state, mean, noise, baths, dt)


def _relaxed(x: Array) -> Array:
    """(1 - exp(-x))/x, smooth through x = 0."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1, x)
    return jnp.where(small, 1 - x / 2 + x * x / 6, -jnp.expm1(-safe) / safe)


class ExactLinear(AbstractIntegrator):
    r"""The linear part $-Kx$ of the force solved exactly, the rest held during the step.

    With $a = \mu K dt$ and $\varphi(a) = (1 - e^{-a})/a$:
    $$x' = x + \varphi(a)\,\mu F(x)\,dt + \sqrt{2\mu T\,dt\,\varphi(2a)}\;z.$$
    For F = -K(x - c) this is the exact Ornstein-Uhlenbeck transition at any dt: no bias, no
    stability limit. For other forces it is an exponential Euler step of weak order 1.

    Args:
        stiffness: K, elementwise: a number, an array that broadcasts against a leaf, a pytree
            prefix of the state of these, or a function of the control that returns one (for a
            trap whose stiffness is the control). Zero and negative values are allowed.

    Source: Uhlenbeck and Ornstein 1930; Gillespie 1996, Phys. Rev. E 54, 2084.
    """

    stiffness: Any = eqx.field(converter=as_parameters)

    def step(self, force, state, force_here, noise, control, baths, dt):
        stiffness = self.stiffness(control) if callable(self.stiffness) else self.stiffness
        stiffness = spread("stiffness", stiffness, state, None)

        def move(x, f, z, temperature, mobility, k):
            decay = mobility * k * dt
            spread_ = jnp.sqrt(2 * mobility * temperature * dt * _relaxed(2 * decay))
            return x + _relaxed(decay) * mobility * f * dt + spread_ * z

        return jax.tree.map(move, state, force_here, noise, *baths, stiffness)
