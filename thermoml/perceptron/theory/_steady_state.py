"""The steady state of learning: minima of the free energy, or exact averages at finite N."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...numerics.arrays import cast_floats, default_float, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.compile import jitted
from ..problem import LearningProblem, check_known_law, known_kinks
from ._exact import exact_state
from ._minima import SteadyState, effective_stiffness, runs_away, state_at
from ._moments import refuse_unconverged


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
        vmap or grad it is NaN where an error would be raised.

    Raises:
        TypeError: not a `LearningProblem`.
        ValueError: there is no steady state, with the reason; averages of a rule without a closed
            form that have not converged, for want of `kinks`; a state that rounding would change
            by some 1e-2, mostly in float32.

    Accuracy: relative, 1e-9 in float64; exact, at any N >= 2, 1e-8, and 1e-6 where several wells
    of the free energy coexist. In float32 1e-4 for ν̃ from 1e-3 to 1e3, growing to 1e-2, where it is
    refused, as decay and force cancel or, exact, as N times the energy over T exceeds 1e5.

    Cost: O(1): some hundred Gaussian averages, 1 ms for an `AbstractPowerRule`; exact, some ten
    thousand for each well.

    See `metastable_states` for the other minima.

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
    problem = known_kinks(problem)
    _refuse_runaway(problem)
    state, converged, resolved = exact_state(problem) if exact else _mean_field(problem)
    if is_concrete(state):
        _refuse_doubtful(problem, state, converged, resolved)
    return _where(converged & resolved, state)


def _where(good: Array, state: SteadyState) -> SteadyState:
    """The state, or NaN."""
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), state)


def _refuse_doubtful(
    problem: LearningProblem, state: SteadyState, converged: Array, resolved: Array
) -> None:
    """ValueError where a state does not exist or cannot be computed."""
    if not np.isfinite(np.asarray(state.norm)).all():
        raise ValueError(
            "no steady state was found: the weights run away or F(s) is not finite; use a smaller "
            "learning_rate, a larger stiffness, or a rule that grows more slowly than s"
        )
    refuse_unconverged(converged, problem.rule)
    if not np.asarray(resolved).all():
        raise ValueError(
            f"the steady state cannot be computed in {state.norm.dtype}: decay and learning force "
            "cancel to rounding, or n_inputs times the energy is too large for an exact state; use "
            'float64, jax.config.update("jax_enable_x64", True)'
        )


def _refuse_runaway(problem: LearningProblem) -> None:
    """ValueError if a concrete problem has no steady state."""
    beyond, away = runs_away(problem)
    if not is_concrete((beyond, away)):
        return
    if np.isnan(np.asarray(away)).any():
        raise ValueError("rule must be finite, got a potential that is nan far from s = 0")
    if beyond:
        lost = away.dtype == np.float32 and not runs_away(_stiffer(problem))[0]
        doubt = ", or none that float32 resolves; float64 would (jax_enable_x64)" if lost else ""
        raise ValueError(
            f"there is no steady state{doubt}: the weights run away, since the learning force "
            "exceeds their decay at large s; F(s) must grow more slowly than "
            f"stiffness/learning_rate · s, got {problem.rule.label}"
        )


def _stiffer(problem: LearningProblem) -> LearningProblem:
    """The problem with a stiffness that is larger by rounding."""
    slack = 1 + 64 * jnp.finfo(problem.stiffness.dtype).eps
    return eqx.tree_at(lambda p: p.stiffness, problem, problem.stiffness * slack)


@jitted
def _mean_field(problem: LearningProblem) -> tuple[SteadyState, Array, Array]:
    return state_at(problem, effective_stiffness(problem))
