"""Systems with momentum: underdamped Langevin dynamics of any potential, drive and environment."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ..numerics.checks import check_bound, parameters
from ..numerics.random import normals_like
from ._baths import out_of_range
from ._ledger import total
from ._parameters import over_state, parameter_leaves
from ._systems import AbstractSystem
from ._types import StateTree, Time


class PhaseState(eqx.Module):
    """A state with momentum: `position`, any pytree of floating arrays, and `momentum` like it."""

    position: PyTree[Any]
    momentum: PyTree[Any]


class Inertia(eqx.Module):
    """Mass m and friction γ as pytrees like a position, each leaf a scalar or of its shape."""

    mass: PyTree[Array]
    friction: PyTree[Array]


class Underdamped(AbstractSystem):
    r"""A system with momentum, in the potential, drive, control and environment of another one.

    $$dx = \frac pm\,dt, \qquad dp = F(x, \lambda, \xi)\,dt - \gamma p\,dt +
      \sqrt{2\gamma mT}\,dW, \qquad E = U(x, \lambda, \xi) + \sum_i \frac{p_i^2}{2m_i}$$

    Its state is a `PhaseState`. As γ grows, x follows the overdamped equation with mobility
    μ = 1/(γm).

    Args:
        system: the system whose position moves: a `Langevin`, a `NetworkLearning`, any
            `AbstractSystem`. Its temperature is that of the baths; its mobility is not used.
        mass: m > 0: a number, an array that broadcasts against a leaf of the position, or a pytree
            of these whose structure is a prefix of the position's. Of a learning system also one
            for each layer, in a list or by name.
        friction: γ > 0, a rate, of the same forms, or a function of time.

    Raises:
        TypeError: a system that is no `AbstractSystem`, or has momentum already.
        ValueError: mass or friction not above 0; when a run begins, also of another structure.

    Example:
        >>> trap = tml.langevin.HarmonicPotential(4.0)
        >>> system = tml.Underdamped(tml.Langevin(trap), mass=2.0, friction=0.5)
        >>> run = tml.simulate(system, 0.0, t1=10.0, dt=0.1, key=jax.random.key(0))
        >>> run.final_state.momentum.shape
        (1,)

    Source: Leimkuhler and Matthews 2015, Molecular Dynamics, ch. 6.
    """

    system: AbstractSystem
    mass: PyTree[Any]
    friction: PyTree[Any]

    def __init__(self, system: AbstractSystem, *, mass: Any = 1.0, friction: Any = 1.0):
        if not isinstance(system, AbstractSystem) or isinstance(system, Underdamped):
            raise TypeError(
                f"system must be a Langevin or another overdamped system, got {system!r:.80}"
            )
        self.system = system
        self.mass = parameters("mass")(by_part(system, "mass", mass))
        self.friction = parameters("friction")(by_part(system, "friction", friction))
        for name in ("mass", "friction"):
            parts = jax.tree.leaves(getattr(self, name), is_leaf=callable)
            if not any(callable(part) for part in parts):  # those are looked at when a run begins
                for part in parts:
                    check_bound(name, part, ">", 0.0)

    def check(self, position: PyTree[Array], times: Callable[[], Float[Array, " time"]]) -> Any:
        """A check that mass and friction are finite and > 0, of the form of `Baths.check`.

        Raises:
            TypeError: a mass that depends on time.
            ValueError: a known value that is not > 0, or another structure.
        """
        for leaf in parameter_leaves("mass", self.mass, position, argument="time")[0]:
            if callable(leaf):
                raise TypeError(f"mass must not depend on time, got the function {leaf!r:.80}")
        flags = [
            *out_of_range("mass", self.mass, position, times, ">"),
            *out_of_range("friction", self.friction, position, times, ">"),
        ]
        return jnp.any(jnp.stack(flags)) if flags else None

    @property
    def temperature(self) -> PyTree[Any]:
        return self.system.temperature

    @property
    def mobility(self) -> PyTree[Any]:
        return self.system.mobility

    def inertia_at(self, t: Time, position: PyTree[Array]) -> Inertia:
        """Mass and friction at one time, over a position."""
        return Inertia(
            over_state("mass", self.mass, position, t, argument="time"),
            over_state("friction", self.friction, position, t, argument="time"),
        )

    def kinetic_energy(self, state: PhaseState) -> Float[Array, ""]:
        """Σ p²/2m."""
        mass = over_state("mass", self.mass, state.position, None, argument="time")
        return total(jax.tree.map(lambda p, m: p**2 / (2 * m), state.momentum, mass))

    def draw_momentum(self, key: Key[Array, ""], position: PyTree[Array], t: Time) -> PyTree[Array]:
        """Momenta in equilibrium with the baths at time t: √(mT) z, element by element."""
        temperature = self.system.baths.at(t, position).temperature
        mass = over_state("mass", self.mass, position, t, argument="time")
        normals = normals_like(key, position)
        return jax.tree.map(
            lambda z, m, T: jnp.sqrt(m) * jnp.sqrt(T) * z, normals, mass, temperature
        )

    def energy(self, state: PhaseState, control: Any, sample: Any) -> Float[Array, ""]:
        potential = self.system.energy(state.position, control, sample)
        return potential + self.kinetic_energy(state)

    def drive_force(self, state: PhaseState, control: Any, sample: Any) -> PhaseState | None:
        drive = self.system.drive_force(state.position, control, sample)
        if drive is None:
            return None
        return PhaseState(drive, jax.tree.map(jnp.zeros_like, state.momentum))

    def control_at(self, t: Time) -> Any:
        return self.system.control_at(t)

    def draw(self, key: Key[Array, ""]) -> Any:
        return self.system.draw(key)

    @property
    def autonomous(self) -> bool:
        return self.system.autonomous


def position_of(state: StateTree) -> PyTree[Array]:
    """What the forces act on: the position of a state with momentum, else the state."""
    return state.position if isinstance(state, PhaseState) else state


def acting(system: AbstractSystem) -> AbstractSystem:
    """The system whose forces and baths act on the position."""
    return system.system if isinstance(system, Underdamped) else system


@functools.singledispatch
def by_part(system: Any, name: str, values: Any) -> Any:
    """Values of a parameter in a form that a state takes; learning systems have layers as well."""
    return values
