"""`tune`: minimising an objective over any leaves of a problem, an activation or a protocol."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Key, PyTree

from .numerics import AbstractResult, Estimate
from .numerics.arrays import as_parameters, is_concrete
from .numerics.checks import check_bound, check_count
from .numerics.compile import compiled, jitted
from .numerics.descent import descend
from .numerics.optimisers import check_optimiser, optax_promotes, transformation
from .perceptron import AbstractObjective

if TYPE_CHECKING:
    import optax

    Optimiser = optax.GradientTransformation | optax.MultiSteps

Rebuild = Callable[[Array], PyTree]


class Tuned(AbstractResult):
    """The minimum of an objective.

    Attributes:
        parameters: like those at the start.
        value: the objective there; `value_error` is its standard error, 0 without noise.
        gradient_norm: the largest component of the gradient (of the Lagrangian, with a constraint).
        constraint: its values there, which must be 0; None without.
        values: the objective at each step, shape `(steps,)`; inside jit or vmap `(max_steps + 1,)`
            with NaN beyond the last.
        converged: True if the minimum was reached to the tolerance; for a noisy objective, if every
            step was finite.
    """

    parameters: PyTree
    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    constraint: Float[Array, " constraint"] | None
    values: Float[Array, " step"]
    converged: Bool[Array, ""]

    @property
    def estimate(self) -> Estimate:
        """The objective with its error."""
        return Estimate(self.value, self.value_error)

    def _summary(self):
        noisy = bool(jnp.any(self.value_error != 0))
        rows = {
            "converged": self.converged,
            "objective": self.estimate if noisy else self.value,
            "largest gradient": self.gradient_norm,
        }
        if self.constraint is not None:
            rows["constraint"] = self.constraint
        arrays = eqx.filter(self.parameters, eqx.is_array)
        for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
            text = leaf if leaf.ndim < 2 else f"{leaf.dtype}{list(leaf.shape)}"
            rows[f"parameters{jax.tree_util.keystr(path)}"] = text
        return f"Tuned in {self.values.shape[-1]} steps", rows


def tune(
    objective: Callable[[Any], Any] | AbstractObjective,
    parameters: PyTree,
    *,
    optimiser: "Optimiser | None" = None,
    constraint: Callable[[Any], Array] | Literal[True] | None = None,
    key: Key[Array, ""] | None = None,
    max_steps: int = 500,
    tolerance: float | None = None,
) -> Tuned:
    r"""Minimise an objective by gradient descent.

    Without noise: L-BFGS (optax) with a line search, which stays where the objective is finite.
    With a constraint c(θ) = 0: the method of multipliers, which minimises
    $f + \lambda\cdot c + \tfrac r2|c|^2$ in rounds with $\lambda \leftarrow \lambda + rc$. With
    noise: Adam with fresh noise at each step and a rate that decays to 0, and the mean of the last
    quarter of the steps.

    Args:
        objective: parameters -> scalar, differentiable (a steady state, a mean field, a protocol);
            or an `AbstractObjective` such as `LearningObjective`, which estimates its gradient
            without bias for discontinuous rules too.
        parameters: the start; all its floating arrays and Python floats are tuned: a number, a
            rule, a network, a whole problem, any pytree of these.
        optimiser: another optax transformation.
        constraint: parameters -> array that must be 0, or True if the objective returns value and
            array from one computation. Not together with noise.
        key: for objectives that draw noise.
        max_steps: total number of gradients.
        tolerance: at which to stop, in no units: of max |∂f/∂θᵢ| sᵢ relative to the range of f on
            the way, sᵢ the larger of |θᵢ| and its distance from the start; or of L-BFGS's next step
            relative to sᵢ. Also the largest |c|. By default 1e-9 in float64, 1e-5 in float32.

    Returns:
        A `Tuned`.

    Raises:
        ValueError: the objective is not finite at the start, or the constraint cannot be met.
            Inside jit or vmap (many starts or budgets at once) see `converged` instead.
        TypeError: a key is missing, or nothing can be tuned.

    Cost: one compilation of the gradient, and one or two gradients a step.

    Example:
        >>> import thermoml as tml
        >>> float(tml.tune(lambda x: (x - 2) ** 2, 0.0).parameters)
        2.0

    Source: Nocedal and Wright 2006, chapters 7 and 17; Kingma and Ba 2015.
    """
    max_steps = check_count("max_steps", max_steps)
    arrays, static = eqx.partition(as_parameters(parameters), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    if flat.size == 0:
        raise TypeError(f"parameters must hold at least one float to tune, got {parameters!r}")
    if tolerance is None:
        tolerance = 1e-9 if flat.dtype == jnp.float64 else 1e-5
    check_bound("tolerance", tolerance, ">", 0.0)
    if optimiser is not None:
        check_optimiser(optimiser)

    def rebuild(vector: Array) -> PyTree:
        return eqx.combine(unravel(vector), static)

    if isinstance(objective, AbstractObjective):
        if objective.stochastic:
            if constraint is not None:
                raise ValueError(
                    "constraint must be left out with a noisy objective; put it into the "
                    "parameters, as `at_dissipation` does"
                )
            if key is None:
                raise TypeError("key is needed to draw noise: pass key=jax.random.key(0)")
            return _by_adam(objective, flat, rebuild, optimiser=optimiser, key=key, steps=max_steps)
        if constraint is True:
            raise TypeError("constraint must be a function, since the objective returns one value")
        objective = _without_noise(objective)
    return _by_descent(
        _with_constraint(objective, constraint, rebuild, flat.dtype),
        flat,
        rebuild,
        constrained=constraint is not None,
        optimiser=optimiser,
        tolerance=tolerance,
        max_steps=max_steps,
    )


def _by_adam(
    objective: AbstractObjective,
    flat: Float[Array, " n"],
    rebuild: Rebuild,
    *,
    optimiser: "Optimiser | None",
    key: Key[Array, ""],
    steps: int,
) -> Tuned:
    import optax  # slow to import, and rarely needed

    method = transformation(optimiser or optax.adam(optax.cosine_decay_schedule(0.05, steps)))

    def estimate(vector, step):
        result = objective.value_and_gradient(rebuild(vector), jax.random.fold_in(key, step))
        return result, jnp.asarray(ravel_pytree(result.gradient)[0], flat.dtype)

    @compiled
    def run(start):
        def move(carry, step):
            vector, state = carry
            result, slope = estimate(vector, step)
            with optax_promotes():
                updates, state = method.update(
                    slope,
                    state,
                    vector,
                    value=result.value,
                    grad=slope,
                    value_fn=lambda x: estimate(x, step)[0].value,
                )
                vector = jnp.asarray(optax.apply_updates(vector, updates), flat.dtype)
            return (vector, state), (vector, result.value, slope)

        numbers = jnp.arange(steps)
        _, (path, values, slopes) = jax.lax.scan(move, (start, method.init(start)), numbers)
        end = jnp.mean(path[-max(1, steps // 4) :], axis=0)
        result, slope = estimate(end, steps)
        finite = jnp.isfinite(values) & jnp.all(jnp.isfinite(slopes), axis=1)
        return end, result, jnp.max(jnp.abs(slope)), values, finite

    end, result, gradient_norm, values, finite = run(flat)
    if is_concrete(finite) and not finite.all():
        step = int(jnp.argmin(finite))
        raise ValueError(
            f"the objective is not finite at step {step}; begin elsewhere, or tune a transformed "
            "parameter that stays in its domain"
        )
    return Tuned(
        parameters=rebuild(end),
        value=result.value,
        value_error=result.value_error,
        gradient_norm=gradient_norm,
        constraint=None,
        values=values,
        converged=jnp.all(finite),
    )


def _without_noise(objective: AbstractObjective) -> Callable[[PyTree], Array]:
    """The value of an objective, with the gradient that the objective itself computes."""

    @jax.custom_vjp
    def value(parameters):
        return objective.value_and_gradient(parameters).value

    def forward(parameters):
        result = objective.value_and_gradient(parameters)
        return result.value, result.gradient

    def backward(gradient, scale):
        return (jax.tree.map(lambda slope: scale * slope, gradient),)

    value.defvjp(forward, backward)
    return value


def _with_constraint(
    objective: Callable[[Any], Any],
    constraint: Callable[[Any], Array] | Literal[True] | None,
    rebuild: Rebuild,
    dtype: jnp.dtype,
) -> Callable[[Array], tuple[Array, Array]]:
    """vector -> value and constraint, the latter flat and empty without a constraint."""

    def evaluate(vector):
        parameters = rebuild(vector)
        if constraint is True:
            cost, broken = objective(parameters)
        else:
            cost = objective(parameters)
            broken = jnp.zeros((0,), dtype) if constraint is None else constraint(parameters)
        cost = jnp.asarray(cost)
        if cost.shape != ():
            raise ValueError(f"objective must return a scalar, got shape {cost.shape}")
        return cost.astype(dtype), jnp.ravel(broken).astype(dtype)

    return evaluate


def _by_descent(
    evaluate: Callable[[Array], tuple[Array, Array]],
    flat: Float[Array, " n"],
    rebuild: Rebuild,
    *,
    constrained: bool,
    optimiser: "Optimiser | None",
    tolerance: float,
    max_steps: int,
) -> Tuned:
    n_constraints = eqx.filter_eval_shape(evaluate, flat)[1].size
    end = jitted(
        lambda start: descend(
            evaluate,
            start,
            n_constraints,
            max_steps=max_steps,
            tolerance=tolerance,
            optimiser=optimiser,
        )
    )(flat)
    values = end.values
    if is_concrete(end):
        if not end.steps:
            raise ValueError(
                "the objective and its gradient must be finite where tuning begins; begin elsewhere"
            )
        missed = jnp.max(jnp.abs(end.broken), initial=0)
        if missed > max(1e-4, 1e3 * tolerance):
            raise ValueError(
                f"the constraint cannot be met: it is {end.broken} after {end.count} "
                "gradients; relax it, begin closer to it, or raise max_steps"
            )
        values = values[: int(end.steps)]
    return Tuned(
        parameters=rebuild(end.vector),
        value=end.cost,
        value_error=jnp.zeros_like(end.cost),
        gradient_norm=jnp.max(jnp.abs(end.slope)),
        constraint=end.broken if constrained else None,
        values=values,
        converged=end.converged,
    )
