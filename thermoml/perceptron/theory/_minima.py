"""Minima of the free energy per weight as N → ∞, by their effective stiffness c."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ...numerics import AbstractResult
from ...numerics.arrays import held
from ...numerics.compile import jitted
from ...numerics.roots import newton_root
from ..problem import GaussianInputs, LearningProblem, wrong_fraction
from ._moments import Moments, moments_converged, plane_moments

# Trial values of the effective stiffness, densest about k, and bisections between two of them.
_PLACES, _CROWD, _HALVINGS = 129, 6.0, 10
_MINIMA = 4  # of the free energy that are compared
_RESOLVED = 1e-2  # the relative error that rounding may make in c


class SteadyState(AbstractResult):
    r"""Averages in the steady state with separated time scales; k_B = 1.

    Attributes:
        overlap: R = T·w/N.
        norm: Q = |w|²/N.
        transverse: P² = Q - R², kept for itself because the difference cancels.
        error: ε, the generalization error.
        dissipation: $\tilde\nu^2(E F^2 - |E\,\xi\sigma F|^2/N)$, energy per unit time; finite as
            N → ∞.
        excess_rate: $\sigma_{ex} = \nu^2(E|\xi|^2F^2 - |E\,\xi\sigma F|^2)/(BT)$, the entropy
            production of all weights per unit time, in nats; None if the problem has no N. It is
            the part due to the fluctuations of the inputs (Wennberg 2019), unlike the excess of
            Hatano and Sasa.
        housekeeping: 0, the entropy production of the averaged force, which has a potential for
            every rule F(s).
        free_energy: per weight, $kQ/2 - \tilde\nu E\Phi - \tfrac T2\ln(Q-R^2)$; exactly,
            $-\tfrac TN\ln Z$ with the same measure.
    """

    overlap: Float[Array, ""]
    norm: Float[Array, ""]
    error: Float[Array, ""]
    dissipation: Float[Array, ""]
    excess_rate: Float[Array, ""] | None
    housekeeping: Float[Array, ""]
    free_energy: Float[Array, ""]
    transverse: Float[Array, ""] | None = None  # None only in files of earlier versions

    @property
    def plane(self) -> Float[Array, " 2"]:
        """R and P = √(Q - R²)."""
        square = self.norm - self.overlap**2 if self.transverse is None else self.transverse
        return jnp.stack([self.overlap, jnp.sqrt(square)])

    def _summary(self):
        return "SteadyState", {name: x for name, x in vars(self).items() if x is not None}


@jitted
def runs_away(problem: LearningProblem) -> tuple[Bool[Array, ""], Float[Array, " 2"]]:
    """True if -ν̃Φ(s) falls faster than ks²/2 rises, so that no state is normalisable; Φ far out."""
    dtype = problem.stiffness.dtype
    far = jnp.asarray([1.0, -1.0], dtype) * (1e15 if dtype == jnp.float64 else 1e8)
    near, away = (
        problem.learning_rate * jax.vmap(problem.rule.potential)(x) for x in (far / 10, far)
    )
    growing = (away > 0) & (near > 0)
    power = jnp.log10(jnp.where(growing, away, 1) / jnp.where(growing, near, 1))
    # Any stiffness balances a power below 2 in the end; a power of 2 needs a large enough one.
    beyond = (power > 2.001) | ((power > 1.999) & (away >= problem.stiffness * far**2 / 2))
    return jnp.any(beyond | (away == jnp.inf)), away


def averages_at(problem: LearningProblem, stiffness: Array) -> tuple[Array, Array, Moments]:
    """R, P and the averages of a mean force with effective stiffness c = `stiffness`."""
    transverse = jnp.sqrt(problem.temperature / stiffness)
    pull = plane_moments(problem.rule, jnp.zeros_like(transverse), transverse).along_teacher
    overlap = problem.learning_rate * pull / stiffness
    return overlap, transverse, plane_moments(problem.rule, overlap, transverse)


def mismatch(log_stiffness: Array, problem: LearningProblem) -> Array:
    """(c - k + ν̃a)/(c + k), which vanishes in a steady state."""
    c = jnp.exp(log_stiffness)
    return _mismatch(problem, c, averages_at(problem, c)[2])


def _mismatch(problem: LearningProblem, c: Array, averages: Moments) -> Array:
    excess = c - problem.stiffness + problem.learning_rate * averages.along_student
    return excess / (c + problem.stiffness)


def _free_energy(
    problem: LearningProblem, overlap: Array, transverse: Array, potential: Array
) -> Array:
    energy = problem.stiffness * (overlap**2 + transverse**2) / 2
    entropy = problem.temperature * jnp.log(transverse)
    return energy - problem.learning_rate * potential - entropy


class Minima(NamedTuple):
    """Minima of the free energy in order of c: the ends of ln c, free energy, existence."""

    low: Float[Array, " minimum"]
    high: Float[Array, " minimum"]
    energy: Float[Array, " minimum"]
    exists: Bool[Array, " minimum"]


def trial_places(problem: LearningProblem) -> Float[Array, " place"]:
    """Values of ln c, dense within a few powers of e about k, where minima crowd."""
    dtype = problem.stiffness.dtype
    k, rate, bath = problem.stiffness, problem.learning_rate, problem.temperature
    softest = 80.0 if dtype == jnp.float64 else 15.0
    stiffest = jnp.log1p((rate + rate**2 / bath) / k) + 12.0
    x = jnp.linspace(-1, 1, _PLACES, dtype=dtype)
    reach = jnp.where(x < 0, softest, stiffest)
    return jnp.log(k) + x * (_CROWD + (reach - _CROWD) * x**4)


def free_energy_minima(problem: LearningProblem) -> Minima:
    """The minima of the free energy, four at most."""
    places = trial_places(problem)
    missed = jax.vmap(lambda place: mismatch(place, problem))(places)
    crossing = (missed[:-1] < 0) & (missed[1:] >= 0)
    (indices,) = jnp.nonzero(crossing, size=_MINIMA, fill_value=_PLACES - 2)
    is_minimum = crossing[indices]

    def halve(ends, _):
        low, high = ends
        middle = (low + high) / 2
        overlap, transverse, averages = averages_at(problem, jnp.exp(middle))
        beyond = _mismatch(problem, jnp.exp(middle), averages) >= 0
        energy = _free_energy(problem, overlap, transverse, averages.potential)
        return (jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)), energy

    def refine(low, high):
        ends, energies = lax.scan(halve, (low, high), length=_HALVINGS)
        return *ends, energies[-1]

    low, high, energy = jax.vmap(refine)(places[indices], places[indices + 1])
    return Minima(low, high, energy, is_minimum & ~runs_away(problem)[0])


def stiffness_bracket(problem: LearningProblem) -> tuple[Array, Array, Bool[Array, ""]]:
    """Ends of an interval of ln c around the lowest of the minima, and True if there is one."""
    minima = free_energy_minima(problem)
    lowest = jnp.argmin(jnp.where(minima.exists, minima.energy, jnp.inf))
    exists = minima.exists[lowest]
    return (
        jnp.where(exists, minima.low[lowest], 0),
        jnp.where(exists, minima.high[lowest], 0),
        exists,
    )


def effective_stiffness(problem: LearningProblem) -> Float[Array, ""]:
    """c at the minimum of the free energy, with implicit derivatives; NaN if there is none."""
    fixed = held(problem)
    return stiffness_within(problem, *stiffness_bracket(fixed))


def stiffness_within(
    problem: LearningProblem, low: Array, high: Array, exists: Array
) -> Float[Array, ""]:
    """c of the minimum between these values of ln c; NaN unless it exists."""
    options = {"lower": low, "upper": high}
    root = newton_root(lambda place: mismatch(place, problem), (low + high) / 2, options)
    return jnp.where(exists, jnp.exp(root), jnp.nan)


def fluctuation_square(problem: LearningProblem, averages: Moments) -> Float[Array, "..."]:
    """(E|ξ|²F² - |E ξσF|²)/N: the dissipation of the inputs' fluctuations, times B/(ν̃²N)."""
    n_inputs = jnp.asarray(problem.n_inputs, averages.force_square.dtype)
    correction = -averages.mean_force_square
    if isinstance(problem.inputs, GaussianInputs):
        correction = correction + averages.input_square
    return averages.force_square + correction / n_inputs


def rates(problem: LearningProblem, averages: Moments) -> tuple[Array, Array | None]:
    """Dissipation and excess rate, the latter None without N."""
    rate, n_inputs = problem.learning_rate, problem.n_inputs
    if n_inputs is None:
        return rate**2 * averages.force_square, None
    n_inputs = jnp.asarray(n_inputs, averages.force_square.dtype)
    dissipation = rate**2 * (averages.force_square - averages.mean_force_square / n_inputs)
    per_weight = rate**2 * fluctuation_square(problem, averages)
    return dissipation, n_inputs**2 / problem.batch * per_weight / problem.temperature


def state_at(
    problem: LearningProblem, stiffness: Array
) -> tuple[SteadyState, Bool[Array, ""], Bool[Array, ""]]:
    """The state of an effective stiffness; True if its averages converged, and if c is resolved."""
    overlap, transverse, averages = averages_at(problem, stiffness)
    dissipation, excess = rates(problem, averages)
    state = SteadyState(
        overlap=overlap,
        norm=overlap**2 + transverse**2,
        transverse=transverse**2,
        error=wrong_fraction(transverse, overlap),
        dissipation=dissipation,
        excess_rate=excess,
        housekeeping=jnp.zeros_like(overlap),
        free_energy=_free_energy(problem, overlap, transverse, averages.potential),
    )
    converged = moments_converged(problem.rule, overlap, transverse)
    # Rounding of the forces that must cancel, and the error that it makes in ln c.
    pushed = jnp.abs(averages.stability) + jnp.abs(overlap * averages.along_teacher)
    forces = problem.stiffness + problem.learning_rate * pushed / state.norm
    rounding = jnp.finfo(overlap.dtype).eps * forces / (stiffness + problem.stiffness)
    slope = jax.grad(mismatch)(jnp.log(stiffness), problem)
    resolved = rounding <= _RESOLVED * jnp.abs(slope)
    return state, converged, resolved
