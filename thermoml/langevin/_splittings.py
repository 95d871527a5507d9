"""Splittings: steps of underdamped dynamics out of drifts A, kicks B and bath steps O."""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..numerics.arrays import held, is_concrete
from ..numerics.compile import is_traced_now, jitted
from ._integrators import AbstractIntegrator, AbstractPathIntegrator, EulerMaruyama, StepContext
from ._momentum import PhaseState, Underdamped, position_of
from ._parameters import as_vector
from ._systems import AbstractSystem
from ._types import StateTree, Time

_FREE = 1e-6  # the phase hω below which the trace of a turn is 2 to rounding
_ITERATIONS = 50  # of the power iteration for the largest frequency


def _check_word(word: Any) -> str:
    if not isinstance(word, str) or not word or set(word) - set("ABO"):
        raise ValueError(f'word must be made of A, B and O, such as "BAOAB", got {word!r:.80}')
    for letter, meaning in (("A", "drift"), ("B", "kick"), ("O", "bath step")):
        if letter not in word:
            raise ValueError(f"word must hold {letter}, the {meaning}, at least once, got {word!r}")
    return word


class Splitting(AbstractPathIntegrator):
    r"""A step of underdamped dynamics as a word in A, B and O, for systems with momentum.

    $$A: x \to x + tp/m, \qquad B: p \to p + tF(x), \qquad
      O: p \to e^{-\gamma t}p + \sqrt{mT(1-e^{-2\gamma t})}\;z$$

    Each letter shares the step h equally among its occurrences, so that BAOAB kicks for h/2,
    drifts for h/2, and takes one bath step of h. The heat is what the bath steps take,
    $\delta Q^* = -\sum_O\Delta K$, and the shadow work the change of energy in drifts and kicks.

    In a trap of frequency ω, with q = (ωh)²/4 and for any friction, ⟨x²⟩k/T and ⟨p²⟩/mT are

    | word | ⟨x²⟩k/T | ⟨p²⟩/mT |
    |---|---|---|
    | BAOAB | 1 | 1 - q |
    | ABOBA | 1 | 1/(1-q) |
    | OBABO | 1/(1-q) | 1 |
    | OABAO | 1 - q | 1 |
    | BAOA, at the end of a step | 1 | 1, but ⟨xp⟩ = Th/2 |

    All these are stable for hω < 2. Palindromic words have weak order 2 where control and baths
    stand still. One force a step for a word with one block of B between drifts, counted around.

    Args:
        word: the letters in the order in which they act, the first first; each at least once.

    Raises:
        ValueError: other letters, or one that is missing.

    Source: Leimkuhler and Matthews 2013, Appl. Math. Res. Express 2013, 34; shadow work: Sivak,
    Chodera and Crooks 2013, Phys. Rev. X 3, 011007.
    """

    word: str = eqx.field(static=True, converter=_check_word)

    def path_step(self, context: StepContext, state: StateTree) -> tuple[StateTree, PyTree[Array]]:
        if context.inertia is None or not isinstance(state, PhaseState):
            raise TypeError(
                f"Splitting({self.word!r}) moves a system with momentum; wrap the system in "
                "Underdamped(system), or use EulerMaruyama()"
            )
        assert context.normals is not None
        mass, friction = context.inertia.mass, context.inertia.friction
        temperature = context.baths.temperature
        share = {letter: context.dt / self.word.count(letter) for letter in "ABO"}
        position, momentum = state.position, state.momentum
        heat = jax.tree.map(jnp.zeros_like, momentum)
        stage = 0
        for letter in self.word:
            if letter == "A":
                drift = functools.partial(_drift, share["A"])
                position = jax.tree.map(drift, position, momentum, mass)
            elif letter == "B":
                kick = functools.partial(_kick, share["B"])
                momentum = jax.tree.map(kick, momentum, context.force(position))
            else:
                bath = functools.partial(_bath_step, share["O"])
                noise = context.normals(stage, 0)
                stage += 1
                before = momentum
                momentum = jax.tree.map(bath, before, noise, mass, friction, temperature)
                heat = jax.tree.map(_add_heat, heat, before, momentum, mass)
        return PhaseState(position, momentum), heat

    @property
    def stability_limit(self) -> float:
        """The least hω at which drifts and kicks alone no longer keep an oscillator bounded."""
        stable, unstable = 0.0, 2.0 * len(self.word)
        for _ in range(50):
            middle = (stable + unstable) / 2
            stable, unstable = (middle, unstable) if self.is_stable(middle) else (stable, middle)
        return unstable

    def is_stable(self, phase: float) -> bool:
        """Whether drifts and kicks alone keep an oscillator bounded, `phase` = hω of one step."""
        steps = {
            "A": np.array([[1, phase / self.word.count("A")], [0, 1]]),
            "B": np.array([[1, 0], [-phase / self.word.count("B"), 1]]),
            "O": np.eye(2),
        }
        turn = np.eye(2)
        for letter in self.word:
            turn = steps[letter] @ turn
        return phase < _FREE or bool(abs(np.trace(turn)) < 2)


def check_stability(
    system: AbstractSystem, integrator: AbstractIntegrator, state: Any, t: Time, dt: Time
) -> None:
    """ValueError for a splitting whose step is too long for the largest frequency at a state.

    The frequency is found by power iteration; traced values pass.
    """
    if not isinstance(integrator, Splitting) or not isinstance(system, Underdamped):
        return
    if is_traced_now():  # nothing could be read of what it would compute
        return
    position = position_of(state)
    square = _largest_square(*held((system, position, t)))
    if not is_concrete((square, dt)):
        return
    frequency, step = math.sqrt(max(float(square), 0.0)), np.asarray(dt).item()
    if math.isfinite(frequency) and not integrator.is_stable(step * frequency):
        raise ValueError(
            f"dt = {step:g} is beyond the stability limit of Splitting({integrator.word!r}): "
            f"hω = {step * frequency:.3g} with ω = {frequency:.4g}, the largest √(stiffness/mass) "
            f"at the start; use a dt below {integrator.stability_limit / frequency:.3g}"
        )


@jitted
def _largest_square(system: Underdamped, position: PyTree[Array], t: Any) -> Float[Array, ""]:
    """The eigenvalue ω² of the mass-weighted Hessian that is largest in size, at one position."""
    control, sample = system.control_at(t), system.draw(jax.random.key(0))
    masses = system.inertia_at(t, position).mass
    flat, unravel = ravel_pytree(position)
    scale = 1 / jnp.sqrt(as_vector(masses, position))

    def force(x):
        return ravel_pytree(jax.grad(system.system.energy)(unravel(x), control, sample))[0]

    def turn(_, direction):
        image = scale * jax.jvp(force, (flat,), (scale * direction,))[1]
        norm = jnp.linalg.norm(image)
        return jnp.where(norm > 0, image / jnp.where(norm > 0, norm, 1), direction)

    begin = jax.random.normal(jax.random.key(1), flat.shape, flat.dtype)
    direction = jax.lax.fori_loop(0, _ITERATIONS, turn, begin / jnp.linalg.norm(begin))
    return direction @ (scale * jax.jvp(force, (flat,), (scale * direction,))[1])


def _drift(t, x, p, mass):
    return x + t * p / mass


def _kick(t, p, force):
    return p + t * force


def _bath_step(t, p, noise, mass, friction, temperature):
    fading = friction * t
    width = jnp.sqrt(-jnp.expm1(-2 * fading) * mass) * jnp.sqrt(temperature)
    return jnp.exp(-fading) * p + width * noise


def _add_heat(heat, before, after, mass):
    """The heat, and the kinetic energy that a bath step took."""
    return heat + (before - after) * (before + after) / (2 * mass)


def BAOAB() -> Splitting:
    """`Splitting("BAOAB")`: exact positions in a trap, of order 2 elsewhere; one force a step."""
    return Splitting("BAOAB")


def OBABO() -> Splitting:
    """`Splitting("OBABO")`: exact momenta in a trap; one force a step."""
    return Splitting("OBABO")


def default_integrator(system: AbstractSystem) -> AbstractIntegrator:
    """The integrator of a system where none is named."""
    return BAOAB() if isinstance(system, Underdamped) else EulerMaruyama()
