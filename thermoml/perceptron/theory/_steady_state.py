"""The steady state of learning: minimum of the free energy, or exact averages at finite N."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from ...numerics import AbstractResult
from ...numerics.arrays import cast_floats, default_float, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.roots import newton_root
from ..problem import GaussianInputs, LearningProblem, check_known_law
from ._moments import Moments, plane_moments

# Trial values of the effective stiffness, densest about k, and bisections between two of them.
_PLACES, _CROWD, _HALVINGS = 129, 6.0, 10
_MINIMA = 4  # of the free energy that are compared
_GRID = 81  # points along each axis of the exact state


class SteadyState(AbstractResult):
    r"""Averages in the steady state with separated time scales; k_B = 1.

    Attributes:
        overlap: R = T·w/N.
        norm: Q = |w|²/N.
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

    @property
    def plane(self) -> Float[Array, " 2"]:
        """R and P = √(Q - R²)."""
        return jnp.stack([self.overlap, jnp.sqrt(self.norm - self.overlap**2)])

    def _summary(self):
        return "SteadyState", {name: x for name, x in vars(self).items() if x is not None}


def steady_state(problem: LearningProblem, *, exact: bool = False) -> SteadyState:
    r"""The steady state of learning with separated time scales.

    As N → ∞ it is the minimum of the free energy per weight

    $$\varphi(R,Q) = \tfrac k2Q - \tilde\nu E[\Phi(s)] - \tfrac T2\ln(Q - R^2).$$

    With the effective stiffness $c = k - \tilde\nu a$ of the mean force $(aw + bT)/\sqrt N$ its
    extrema are $Q - R^2 = T/c$, $R = \tilde\nu b/c$: one equation for c, solved by Newton's method
    (optimistix) in the lowest of its minima, with implicit derivatives.

    With `exact`, averages over the distribution of a finite N,
    $p(R,Q) \propto (Q-R^2)^{(N-3)/2}\exp\{-N[kQ/2-\tilde\nu E\Phi]/T\}$, by quadrature: exact for
    Gaussian inputs, and for ±1 inputs up to O(1/N).

    Args:
        problem: its floats are cast to JAX's default precision. `n_inputs` is needed for `exact`
            (N >= 2; may be an array).
        exact: the distribution at finite N instead of the minimum.

    Returns:
        A `SteadyState` of scalars, differentiable in every parameter of the problem. Inside jit,
        vmap or grad it is NaN if there is no steady state.

    Raises:
        TypeError: not a `LearningProblem`.
        ValueError: there is no steady state, with the reason.

    Cost: O(1): some hundred Gaussian averages, 1 ms for an `AbstractPowerRule`; exact, some ten
    thousand.

    Example:
        >>> import thermoml as tml
        >>> problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0)
        >>> print(f"{tml.steady_state(problem).error:.4f}")
        0.2856

    Source: Goldt and Seifert 2017, arXiv:1706.09713; minimum and distribution by thermoml.
    """
    if not isinstance(problem, LearningProblem):
        raise TypeError(f"problem must be a LearningProblem, got {problem!r}")
    check_known_law(problem.inputs, "the steady state")
    check_bound("stiffness", problem.stiffness, ">", 0.0, "without a decay weights are unbounded")
    check_bound(
        "temperature",
        problem.temperature,
        ">",
        0.0,
        "without a bath weights do not vary",
    )
    n_inputs = problem.n_inputs
    if exact and n_inputs is None:
        raise ValueError("n_inputs must be given in the problem for the exact steady state")
    if exact and is_concrete(n_inputs):
        check_count("n_inputs", int(np.min(np.asarray(n_inputs))), 2)
    dtype = default_float()
    problem = cast_floats(problem, dtype)
    if n_inputs is not None:
        problem = eqx.tree_at(lambda p: p.n_inputs, problem, jnp.asarray(n_inputs, dtype))
    if is_concrete(problem):
        _refuse_runaway(problem)
    state = _exact(problem) if exact else _mean_field(problem)
    if is_concrete(state) and not np.isfinite(np.asarray(state.norm)).all():
        raise ValueError(
            "no steady state was found: the weights run away or F(s) is not finite; use a smaller "
            "learning_rate, a larger stiffness, or a rule that grows more slowly than s"
        )
    return state


@eqx.filter_jit
def _runs_away(problem: LearningProblem) -> tuple[Bool[Array, ""], Float[Array, " 2"]]:
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


def _refuse_runaway(problem: LearningProblem) -> None:
    """ValueError if a concrete problem has no steady state."""
    beyond, away = _runs_away(problem)
    if np.isnan(np.asarray(away)).any():
        raise ValueError("rule must be finite, got a potential that is nan far from s = 0")
    if beyond:
        raise ValueError(
            "there is no steady state: the weights run away, since the learning force exceeds "
            "their decay at large s; F(s) must grow more slowly than stiffness/learning_rate · s, "
            f"got {problem.rule.label}"
        )


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


def stiffness_bracket(problem: LearningProblem) -> tuple[Array, Array, Bool[Array, ""]]:
    """Ends of an interval of ln c around the lowest of the minima, and True if there is one."""
    dtype = problem.stiffness.dtype
    k, rate, bath = problem.stiffness, problem.learning_rate, problem.temperature
    softest = 80.0 if dtype == jnp.float64 else 15.0
    stiffest = jnp.log1p((rate + rate**2 / bath) / k) + 12.0
    # Dense within a few powers of e about k, where minima crowd, and sparse far out.
    x = jnp.linspace(-1, 1, _PLACES, dtype=dtype)
    reach = jnp.where(x < 0, softest, stiffest)
    places = jnp.log(k) + x * (_CROWD + (reach - _CROWD) * x**4)
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
    lowest = jnp.argmin(jnp.where(is_minimum, energy, jnp.inf))
    exists = is_minimum[lowest] & ~_runs_away(problem)[0]
    return jnp.where(exists, low[lowest], 0), jnp.where(exists, high[lowest], 0), exists


def effective_stiffness(problem: LearningProblem) -> Float[Array, ""]:
    """c at the minimum of the free energy, with implicit derivatives; NaN if there is none."""
    arrays, static = eqx.partition(problem, eqx.is_array)
    low, high, exists = stiffness_bracket(eqx.combine(jax.lax.stop_gradient(arrays), static))
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


@eqx.filter_jit
def _mean_field(problem: LearningProblem) -> SteadyState:
    overlap, transverse, averages = averages_at(problem, effective_stiffness(problem))
    dissipation, excess = rates(problem, averages)
    return SteadyState(
        overlap=overlap,
        norm=overlap**2 + transverse**2,
        error=jnp.arctan2(transverse, overlap) / jnp.pi,
        dissipation=dissipation,
        excess_rate=excess,
        housekeeping=jnp.zeros_like(overlap),
        free_energy=_free_energy(problem, overlap, transverse, averages.potential),
    )


Box = list[tuple[Array, Array]]  # ends of the intervals of R and ln P
OnPlane = Callable[[Array, Array], Array]  # (R, ln P) -> value


def _log_weight(problem: LearningProblem) -> OnPlane:
    """The logarithm of the density of (R, ln P), but for a constant."""
    n_inputs = jnp.asarray(problem.n_inputs)

    def log_weight(overlap, log_transverse):
        transverse = jnp.exp(log_transverse)
        potential = plane_moments(problem.rule, overlap, transverse).potential
        energy = problem.stiffness * (overlap**2 + transverse**2) / 2
        energy = energy - problem.learning_rate * potential
        # P^{N-2} dR dP = P^{N-1} dR dlnP, but for a factor 2
        return (n_inputs - 1) * log_transverse - n_inputs * energy / problem.temperature

    return log_weight


def _grid(box: Box, count: int) -> tuple[list[Array], Callable]:
    """The axes of an even grid in a box, and the map that evaluates a function on it."""
    steps = jnp.linspace(0, 1, count, dtype=box[0][0].dtype)
    axes = [low + (high - low) * steps for low, high in box]
    return axes, lambda f: jax.lax.map(lambda r: jax.vmap(lambda u: f(r, u))(axes[1]), axes[0])


def _support(log_weight: OnPlane, box: Box, count: int) -> Box:
    """The part of a box that holds all but 1e-18 of the probability in it."""
    axes, on_grid = _grid(box, count)
    weight = on_grid(log_weight)
    kept = weight > jnp.max(weight) - 42
    ends = []
    for axis, places in enumerate(axes):
        occupied = jnp.any(kept, axis=1 - axis)
        first, last = jnp.argmax(occupied), count - 1 - jnp.argmax(occupied[::-1])
        ends.append((places[jnp.maximum(first - 1, 0)], places[jnp.minimum(last + 1, count - 1)]))
    return ends


def _wide_box(problem: LearningProblem) -> Box:
    """A box around the minimum of the free energy that holds the distribution at N >= 2."""
    n_inputs = jnp.asarray(problem.n_inputs)
    c = effective_stiffness(problem)
    overlap, transverse, _ = averages_at(problem, c)
    wide = 60 * jnp.sqrt(problem.temperature / (n_inputs * c))
    left, right = 45 / (n_inputs - 1) + 45 / jnp.sqrt(n_inputs), 2 + 20 / jnp.sqrt(n_inputs)
    right = jnp.minimum(right, 60 / jnp.sqrt(n_inputs))
    middle = jnp.log(transverse)
    return [(overlap - wide, overlap + wide), (middle - left, middle + right)]


@eqx.filter_jit
def _exact(problem: LearningProblem) -> SteadyState:
    """Averages by the trapezoidal rule in (R, ln P)."""
    log_weight = _log_weight(problem)
    box = _support(log_weight, _support(log_weight, _wide_box(problem), 41), 41)
    box = jax.lax.stop_gradient(box)
    _, on_grid = _grid(box, _GRID)
    log_weights = on_grid(log_weight)
    peak = jax.lax.stop_gradient(jnp.max(log_weights))
    weights = jnp.exp(log_weights - peak)
    total = jnp.sum(weights)

    def quantities(overlap, log_transverse):
        transverse = jnp.exp(log_transverse)
        dissipation, excess = rates(problem, plane_moments(problem.rule, overlap, transverse))
        angle = jnp.arctan2(transverse, overlap)
        return overlap, overlap**2 + transverse**2, angle / jnp.pi, dissipation, excess

    means = [jnp.sum(weights * x) / total for x in on_grid(quantities)]
    cells = [(high - low) / (_GRID - 1) for low, high in box]
    partition = jnp.log(total * cells[0] * cells[1]) + peak
    return SteadyState(
        *means,
        housekeeping=jnp.zeros_like(means[0]),
        free_energy=-problem.temperature * partition / jnp.asarray(problem.n_inputs),
    )
