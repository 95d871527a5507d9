"""`tune`: minimise an objective over any leaves of a problem, an activation or a protocol."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key, PyTree

from .numerics.arrays import as_parameters, is_concrete
from .numerics.checks import check_bound, check_count
from .numerics.compile import compiled
from .numerics.descent import descend, optax_promotes

if TYPE_CHECKING:
    import optax


@runtime_checkable
class NoisyObjective(Protocol):
    """An objective that estimates its own gradient, such as `LearningObjective`."""

    stochastic: bool

    def value_and_gradient(self, parameters: Any, key: Any) -> Any:
        """`.value`, `.value_error`, `.gradient`, `.gradient_error`."""


class Tuned(eqx.Module):
    """What tuning found.

    Attributes:
        parameters: like those at the start.
        value: the objective there; `value_error` is its standard error, 0 without noise.
        gradient_norm: the largest component of the gradient (of the Lagrangian, with a constraint).
        constraint: its values there, which are to be 0; None without.
        values: the objective at each step, shape `(steps,)`; inside jit or vmap `(max_steps + 1,)`
            with NaN beyond the last.
        converged: whether the gradient fell below the tolerance (with noise: the steps were made).
    """

    parameters: PyTree
    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    constraint: Float[Array, " constraint"] | None
    values: Float[Array, " step"]
    converged: Bool[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.value):
            return "Tuned (traced)"
        state = "converged" if self.converged else "not converged"
        return (
            f"Tuned in {len(self.values)} steps ({state}): objective {float(self.value):.8g}, "
            f"largest gradient {float(self.gradient_norm):.2g}, parameters {self.parameters}"
        )


def tune(
    objective: Callable[[Any], Any] | NoisyObjective,
    parameters: PyTree,
    *,
    optimiser: "optax.GradientTransformation | None" = None,
    constraint: Callable[[Any], Array] | Literal[True] | None = None,
    key: Key[Array, ""] | None = None,
    max_steps: int = 500,
    tolerance: float | None = None,
) -> Tuned:
    r"""Minimise an objective by gradient.

    Without noise by L-BFGS (optax) with a line search, which stays where the objective is finite;
    with a constraint c(θ) = 0 by the method of multipliers, minimising
    $f + \lambda\cdot c + \tfrac r2|c|^2$ in rounds with $\lambda \leftarrow \lambda + rc$. With
    noise by Adam with fresh noise at each step and a rate that falls to 0, and the mean of the last
    quarter of the steps.

    Args:
        objective: parameters -> scalar, differentiable (a steady state, a mean field, a protocol);
            or a `LearningObjective`, which finds a gradient that is right where rules jump.
        parameters: the start; all its floating arrays and Python floats are tuned: a number, a
            rule, a network, a whole problem, any pytree of these.
        optimiser: another optax transformation.
        constraint: parameters -> array that is to be 0, or True where the objective returns value
            and array from one computation. Not together with noise.
        key: for objectives that draw noise.
        max_steps: gradients in all.
        tolerance: largest component of the gradient, beside max(1, |objective|), and of the
            constraint, at which to stop; by default 1e-9 in float64 and 1e-5 in float32.

    Returns:
        A `Tuned`.

    Raises:
        ValueError: the objective is not finite at the start, or the constraint cannot be met.
            Inside jit or vmap (many starts or budgets at once) see `converged` instead.
        TypeError: no key where one is needed, nothing to tune.

    Cost: one compilation of the gradient, and one or two gradients a step.

    Source: Nocedal and Wright 2006, chapters 7 and 17; Kingma and Ba 2015.
    """
    max_steps = check_count("max_steps", max_steps)
    arrays, rest = eqx.partition(as_parameters(parameters), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    if flat.size == 0:
        raise TypeError(f"parameters must hold at least one float to tune, got {parameters!r}")
    if tolerance is None:
        tolerance = 1e-9 if flat.dtype == jnp.float64 else 1e-5
    check_bound("tolerance", tolerance, ">", 0.0)

    def rebuild(vector: Array) -> Any:
        return eqx.combine(unravel(vector), rest)

    own_gradient = isinstance(objective, NoisyObjective)
    if own_gradient and objective.stochastic:
        if constraint is not None:
            raise ValueError(
                "constraint must be left out with a noisy objective; put it into the parameters, "
                "as `at_dissipation` does"
            )
        if key is None:
            raise TypeError("key is needed to draw noise: pass key=jax.random.key(0)")
        return _by_adam(objective, flat, rebuild, optimiser, key, max_steps)
    if own_gradient:
        if constraint is True:
            raise TypeError("constraint must be a function, since the objective returns one value")
        objective = _without_noise(objective)
    return _by_descent(objective, constraint, flat, rebuild, optimiser, tolerance, max_steps)


def _by_adam(
    objective: Any, flat: Array, rebuild: Any, optimiser: Any, key: Any, max_steps: int
) -> Tuned:
    import optax  # takes a while, and few need it

    optimiser = optimiser or optax.adam(optax.cosine_decay_schedule(0.05, max_steps))

    def look(vector, step):
        found = objective.value_and_gradient(rebuild(vector), jax.random.fold_in(key, step))
        return found, jnp.asarray(ravel_pytree(found.gradient)[0], flat.dtype)

    @compiled
    def run(start):
        def move(carry, step):
            vector, state = carry
            found, slope = look(vector, step)
            with optax_promotes():
                updates, state = optimiser.update(slope, state, vector)
                vector = jnp.asarray(optax.apply_updates(vector, updates), flat.dtype)
            return (vector, state), (vector, found.value, slope)

        steps = jnp.arange(max_steps)
        _, (places, values, slopes) = jax.lax.scan(move, (start, optimiser.init(start)), steps)
        last = jnp.mean(places[-max(1, max_steps // 4) :], axis=0)
        found, slope = look(last, max_steps)
        good = jnp.isfinite(values) & jnp.all(jnp.isfinite(slopes), axis=1)
        return last, found, jnp.max(jnp.abs(slope)), values, good

    last, found, norm, values, good = run(flat)
    if is_concrete(good) and not good.all():
        step = int(jnp.argmin(good))
        raise ValueError(
            f"the objective is not finite at step {step}; begin elsewhere, or tune a transformed "
            "parameter that stays in its domain"
        )
    return Tuned(rebuild(last), found.value, found.value_error, norm, None, values, jnp.all(good))


def _without_noise(objective: Any) -> Callable[[Any], Array]:
    """The objective with the gradient that it finds by itself, in forward mode for a few floats."""

    @jax.custom_vjp
    def value(parameters):
        return objective.value_and_gradient(parameters).value

    def forward(parameters):
        found = objective.value_and_gradient(parameters)
        return found.value, found.gradient

    def backward(gradient, scale):
        return (jax.tree.map(lambda slope: scale * slope, gradient),)

    value.defvjp(forward, backward)
    return value


def _by_descent(
    objective: Any,
    constraint: Any,
    flat: Array,
    rebuild: Any,
    optimiser: Any,
    tolerance: float,
    max_steps: int,
) -> Tuned:
    def both(vector):
        built = rebuild(vector)
        if constraint is True:
            cost, broken = objective(built)
        else:
            cost = objective(built)
            broken = jnp.zeros((0,), flat.dtype) if constraint is None else constraint(built)
        cost = jnp.asarray(cost)
        if cost.shape != ():
            raise ValueError(f"objective must return a scalar, got shape {cost.shape}")
        return cost.astype(flat.dtype), jnp.ravel(broken).astype(flat.dtype)

    n_constraints = eqx.filter_eval_shape(both, flat)[1].size
    found = eqx.filter_jit(
        lambda start: descend(
            both,
            start,
            n_constraints,
            max_steps=max_steps,
            tolerance=tolerance,
            optimiser=optimiser,
        )
    )(flat)
    values = found.values
    if is_concrete(found):
        if not found.steps:
            raise ValueError(
                "the objective and its gradient must be finite where tuning begins; begin elsewhere"
            )
        missed = jnp.max(jnp.abs(found.broken), initial=0)
        if missed > max(1e-4, 1e3 * tolerance):
            raise ValueError(
                f"the constraint cannot be met: it is {found.broken} after {found.count} "
                "gradients; ask for less, begin closer to it, or raise max_steps"
            )
        values = values[: int(found.steps)]
    return Tuned(
        rebuild(found.vector),
        found.cost,
        jnp.zeros_like(found.cost),
        jnp.max(jnp.abs(found.slope)),
        None if constraint is None else found.broken,
        values,
        found.converged,
    )
