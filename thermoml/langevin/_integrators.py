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
from ._ledger import stratonovich
from ._momentum import Inertia
from ._parameters import over_state
from ._types import StateTree


class StepContext(eqx.Module):
    """Everything that an integrator may use in one step of one trajectory.

    Attributes:
        force: F(x), at the control and sample of this step; like x. One place is evaluated once in
            a step, whoever asks for it.
        force_here: F at the present state.
        noise: independent standard normals, like the state (its position, with momentum).
        control: λ at the end of the step.
        baths: `Baths` at the end of the step; temperature and mobility are pytrees like the state,
            each leaf a scalar or of the leaf's shape.
        dt: the time step.
        normals: `normals(stage, ahead)`, like `noise` and independent for each stage 0, 1, … and
            each step; `ahead` steps from this one, so that `normals(0, 0)` is `noise` and
            `normals(0, 1)` the noise of the next step.
        inertia: mass and friction of a system with momentum, like its position; None without.
    """

    force: Callable[[StateTree], StateTree]
    force_here: StateTree
    noise: StateTree
    control: Any
    baths: Baths
    dt: Float[Array, ""]
    normals: Callable[[int, int], StateTree] | None = None
    inertia: Inertia | None = None


class AbstractIntegrator(eqx.Module):
    """A scheme for one step of the Langevin equation.

    Subclass it for a scheme of your own; it then serves wherever a shipped one does:

        class Plain(tml.langevin.AbstractIntegrator):
            def init(self, state):
                return None

            def step(self, context, state, carry):
                def move(x, force, noise, temperature, mobility):
                    kick = jnp.sqrt(2 * mobility * temperature * context.dt) * noise
                    return x + mobility * force * context.dt + kick

                baths = context.baths
                parts = context.noise, baths.temperature, baths.mobility
                return jax.tree.map(move, state, context.force_here, *parts), carry

    `context.force(x)` is the force anywhere else, for schemes of several stages. The carry is the
    memory of a scheme from step to step, any pytree of arrays; it is part of the checkpoint.
    """

    @abc.abstractmethod
    def init(self, state: StateTree) -> PyTree[Array]:
        """The carry before the first step from `state`; None for a scheme without memory."""

    @abc.abstractmethod
    def step(
        self, context: StepContext, state: StateTree, carry: PyTree[Array]
    ) -> tuple[StateTree, PyTree[Array]]:
        """State and carry after one step, of the same structures, shapes and dtypes.

        Args:
            context: force, noise, control, baths and dt of the step.
            state: x before the step.
            carry: the memory before the step.
        """


class AbstractPathIntegrator(AbstractIntegrator):
    r"""A scheme without memory whose path probabilities are known: it has a shadow work.

    The heat of a step, by element of the state, is defined by the step itself,
    $$\delta Q^* = T\ln\frac{p(x\to x')}{p(x'\to x)},$$
    and what the first law then leaves over is work that the discretisation does,
    $\delta W_\text{shadow} = dU - \delta W + \delta Q^*$. With it Jarzynski's equality, Crooks'
    relation and the integral fluctuation theorem hold exactly at any dt.

    Source: Sivak, Chodera and Crooks 2013, Phys. Rev. X 3, 011007.
    """

    @abc.abstractmethod
    def path_step(self, context: StepContext, state: StateTree) -> tuple[StateTree, StateTree]:
        """The state after one step, and δQ* by element: like the state, or like its position."""

    def init(self, state: StateTree) -> None:
        return None

    def step(self, context: StepContext, state: StateTree, carry: None) -> tuple[StateTree, None]:
        return self.path_step(context, state)[0], None


def _check_overdamped(integrator: AbstractIntegrator, context: StepContext) -> None:
    if context.inertia is not None:
        raise TypeError(
            f"{type(integrator).__name__} makes overdamped steps, and the system has momentum; use "
            "BAOAB() or another Splitting(word)"
        )


def _width(time: Array, temperature: Array) -> Array:
    """√(2Tμdt), as a product so that the derivative in μ and dt exists at T = 0."""
    return jnp.sqrt(2 * time) * jnp.sqrt(temperature)


def _euler_maruyama(
    context: StepContext, state: StateTree, force: StateTree, noise: StateTree | None = None
) -> StateTree:
    baths, dt = context.baths, context.dt
    noise = context.noise if noise is None else noise

    def move(x, f, z, temperature, mobility):
        return x + mobility * f * dt + _width(mobility * dt, temperature) * z

    return jax.tree.map(move, state, force, noise, baths.temperature, baths.mobility)


class EulerMaruyama(AbstractPathIntegrator):
    r"""$x' = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\;z$.

    Weak order 1. In a trap of stiffness k its stationary variance is $(T/k)/(1 - \mu k\,dt/2)$
    instead of T/k, and it is unstable from μk dt = 2. One force a step. Its heat by path
    probabilities is $\delta Q^* = \tfrac12(F + F')dx + \tfrac{\mu dt}4(F'^2 - F^2)$.

    Source: Kloeden and Platen 1992, section 10.2; Sivak, Chodera and Crooks 2013.
    """

    def path_step(self, context: StepContext, state: StateTree) -> tuple[StateTree, StateTree]:
        _check_overdamped(self, context)
        after = _euler_maruyama(context, state, context.force_here)

        def heat(x, moved, before, then, mobility):
            shadow = mobility * context.dt / 4 * (then**2 - before**2)
            return stratonovich(before, then, moved - x) + shadow

        forces = context.force_here, context.force(after)
        return after, jax.tree.map(heat, state, after, *forces, context.baths.mobility)


class Heun(AbstractIntegrator):
    r"""$\tilde x = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\,z$,
    $x' = x + \tfrac12\mu[F(x) + F(\tilde x)]\,dt + \sqrt{2\mu T\,dt}\,z$.

    Weak order 2 for additive noise, the only kind here, while control and baths stand still. Where
    they move, a step sees their values at its end alone, so that states, work and heat are of order
    1, as with the other integrators. Two forces a step.

    Source: Kloeden and Platen 1992, section 15.1 (simplified for additive noise).
    """

    def init(self, state: StateTree) -> None:
        return None

    def step(self, context: StepContext, state: StateTree, carry: None) -> tuple[StateTree, None]:
        _check_overdamped(self, context)
        predicted = _euler_maruyama(context, state, context.force_here)
        ends = context.force_here, context.force(predicted)
        return _euler_maruyama(context, state, jax.tree.map(lambda a, b: (a + b) / 2, *ends)), None


class LeimkuhlerMatthews(AbstractIntegrator):
    r"""$x' = x + \mu F(x)\,dt + \sqrt{2\mu T\,dt}\;\tfrac12(z_n + z_{n+1})$.

    Each normal serves two steps, the one of its number and the one before; both are functions of
    their step numbers, so that the scheme needs no memory. Averages over the stationary state are
    of order 2, and exact in a trap (variance T/k at any stable dt, μk dt < 2); the noise is
    coloured, so that work and heat are of order 1, and, since a step is not Markovian in x, no
    shadow work exists. It is the limit γ → ∞ of `BAOAB` with μ dt = h²/2m. One force a step.

    Source: Leimkuhler and Matthews 2013, Appl. Math. Res. Express 2013, 34, eq. 2.5.
    """

    def init(self, state: StateTree) -> None:
        return None

    def step(self, context: StepContext, state: StateTree, carry: None) -> tuple[StateTree, None]:
        _check_overdamped(self, context)
        assert context.normals is not None
        noise = jax.tree.map(lambda a, b: (a + b) / 2, context.noise, context.normals(0, 1))
        return _euler_maruyama(context, state, context.force_here, noise), None


def _relaxed(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """(1 - exp(-x))/x, smooth through x = 0."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1, x)
    return jnp.where(small, 1 - x / 2 + x * x / 6, -jnp.expm1(-safe) / safe)


class ExactLinear(AbstractPathIntegrator):
    r"""An exponential step: the linear part $-Kx$ of the force exactly, the rest held constant.

    With $a = \mu K dt$ and $\varphi(a) = (1 - e^{-a})/a$:
    $$x' = x + \varphi(a)\,\mu F(x)\,dt + \sqrt{2\mu T\,dt\,\varphi(2a)}\;z.$$
    For F = -K(x - c) this is the exact Ornstein-Uhlenbeck transition at any dt: no bias, no
    stability limit. For other forces it is an exponential Euler step of weak order 1, and so are
    the work and heat of a control that moves. Its heat by path probabilities is
    $$\delta Q^* = \frac{\varphi(a)}{\varphi(2a)}\,\tfrac12(F + F')dx +
      \frac{\varphi(a)^2}{\varphi(2a)}\,\tfrac{\mu dt}4(F'^2 - F^2),$$
    which is -dU for a linear force.

    Args:
        stiffness: K, elementwise, such as `trap.stiffness` of a `HarmonicPotential`: a number, an
            array that broadcasts against a leaf, a function of the control that returns one (for a
            trap whose stiffness is the control), or a pytree of these whose structure is a prefix
            of the state's. Zero and negative values are allowed.

    Source: Uhlenbeck and Ornstein 1930; Gillespie 1996, Phys. Rev. E 54, 2084.
    """

    stiffness: PyTree[Any] = eqx.field(converter=parameters("stiffness"))

    def path_step(self, context: StepContext, state: StateTree) -> tuple[StateTree, StateTree]:
        _check_overdamped(self, context)
        baths, dt = context.baths, context.dt
        stiffness = over_state(
            "stiffness", self.stiffness, state, context.control, argument="the control"
        )

        def move(x, f, z, temperature, mobility, k):
            decay = mobility * k * dt
            width = _width(mobility * dt * _relaxed(2 * decay), temperature)
            return x + _relaxed(decay) * mobility * f * dt + width * z

        def heat(x, moved, before, then, mobility, k):
            decay = mobility * k * dt
            once, twice = _relaxed(decay), _relaxed(2 * decay)
            shadow = once**2 / twice * mobility * dt / 4 * (then**2 - before**2)
            return once / twice * stratonovich(before, then, moved - x) + shadow

        parameters = baths.temperature, baths.mobility, stiffness
        after = jax.tree.map(move, state, context.force_here, context.noise, *parameters)
        forces = context.force_here, context.force(after)
        return after, jax.tree.map(heat, state, after, *forces, *parameters[1:])
