"""Integrators: one step of the Langevin equation, given its force, noise and baths."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..numerics.checks import parameters
from ._baths import Baths
from ._parameters import over_state
from ._types import StateTree


class StepContext(eqx.Module):
    """Everything that an integrator may use in one step of one trajectory.

    Attributes:
        force: F(x), at the control and sample of this step; like x.
        force_here: F at the present state.
        noise: independent standard normals, like the state.
        control: λ at the end of the step.
        baths: `Baths` at the end of the step; temperature and mobility are pytrees like the state,
            each leaf a scalar or of the leaf's shape.
        dt: the time step.
    """

    force: Callable[[StateTree], StateTree]
    force_here: StateTree
    noise: StateTree
    control: Any
    baths: Baths
    dt: Float[Array, ""]


class AbstractIntegrator(eqx.Module):
    """A scheme for one step of the Langevin equation.

    Subclass it for a scheme of your own; it then serves wherever a shipped one does:

        class Plain(tml.langevin.AbstractIntegrator):
            def step(self, context, state):
                def move(x, force, noise, temperature, mobility):
                    kick = jnp.sqrt(2 * mobility * temperature * context.dt) * noise
                    return x + mobility * force * context.dt + kick

                baths = context.baths
                return jax.tree.map(
                    move,
                    state,
                    context.force_here,
                    context.noise,
                    baths.temperature,
                    baths.mobility,
                )

    `context.force(x)` is the force anywhere else, for schemes of several stages.
    """

    @abc.abstractmethod
    def step(self, context: StepContext, state: StateTree) -> StateTree:
        """The state after one step: like `state`, of the same shapes and dtypes.

        Args:
            context: force, noise, control, baths and dt of the step.
            state: x before the step.
        """


def _width(time: Array, temperature: Array) -> Array:
    """√(2Tμdt), as a product so that the derivative in μ and dt exists at T = 0."""
    return jnp.sqrt(2 * time) * jnp.sqrt(temperature)


def _euler_maruyama(context: StepContext, state: StateTree, force: StateTree) -> StateTree:
    baths, dt = context.baths, context.dt

    def move(x, f, z, temperature, mobility):
        return x + mobility * f * dt + _width(mobility * dt, temperature) * z

    return jax.tree.map(move, state, force, context.noise, baths.temperature, baths.mobility)


class EulerMaruyama(AbstractIntegrator):
    r"""$x' = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\;z$.

    Weak order 1. In a trap of stiffness k its stationary variance is $(T/k)/(1 - \mu k\,dt/2)$
    instead of T/k, and it is unstable from μk dt = 2. One force a step.

    Source: Kloeden and Platen 1992, section 10.2.
    """

    def step(self, context: StepContext, state: StateTree) -> StateTree:
        return _euler_maruyama(context, state, context.force_here)


class Heun(AbstractIntegrator):
    r"""$\tilde x = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\,z$,
    $x' = x + \tfrac12\mu[F(x) + F(\tilde x)]\,dt + \sqrt{2\mu T\,dt}\,z$.

    Weak order 2 for additive noise, the only kind here, while control and baths stand still. Where
    they move, a step sees their values at its end alone, so that states, work and heat are of order
    1, as with the other integrators. Two forces a step.

    Source: Kloeden and Platen 1992, section 15.1 (simplified for additive noise).
    """

    def step(self, context: StepContext, state: StateTree) -> StateTree:
        predicted = _euler_maruyama(context, state, context.force_here)
        ends = context.force_here, context.force(predicted)
        return _euler_maruyama(context, state, jax.tree.map(lambda a, b: (a + b) / 2, *ends))


def _relaxed(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """(1 - exp(-x))/x, smooth through x = 0."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1, x)
    return jnp.where(small, 1 - x / 2 + x * x / 6, -jnp.expm1(-safe) / safe)


class ExactLinear(AbstractIntegrator):
    r"""An exponential step: the linear part $-Kx$ of the force exactly, the rest held constant.

    With $a = \mu K dt$ and $\varphi(a) = (1 - e^{-a})/a$:
    $$x' = x + \varphi(a)\,\mu F(x)\,dt + \sqrt{2\mu T\,dt\,\varphi(2a)}\;z.$$
    For F = -K(x - c) this is the exact Ornstein-Uhlenbeck transition at any dt: no bias, no
    stability limit. For other forces it is an exponential Euler step of weak order 1, and so are
    the work and heat of a control that moves.

    Args:
        stiffness: K, elementwise, such as `trap.stiffness` of a `HarmonicPotential`: a number, an
            array that broadcasts against a leaf, a function of the control that returns one (for a
            trap whose stiffness is the control), or a pytree of these whose structure is a prefix
            of the state's. Zero and negative values are allowed.

    Source: Uhlenbeck and Ornstein 1930; Gillespie 1996, Phys. Rev. E 54, 2084.
    """

    stiffness: PyTree[Any] = eqx.field(converter=parameters("stiffness"))

    def step(self, context: StepContext, state: StateTree) -> StateTree:
        baths, dt = context.baths, context.dt
        stiffness = over_state(
            "stiffness", self.stiffness, state, context.control, argument="the control"
        )

        def move(x, f, z, temperature, mobility, k):
            decay = mobility * k * dt
            width = _width(mobility * dt * _relaxed(2 * decay), temperature)
            return x + _relaxed(decay) * mobility * f * dt + width * z

        parameters = baths.temperature, baths.mobility, stiffness
        return jax.tree.map(move, state, context.force_here, context.noise, *parameters)
