"""`tune`: minimise an objective over any leaves of a problem, an activation or a protocol."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from .numerics._arrays import as_parameters
from .numerics._checks import check_bound, check_count

if TYPE_CHECKING:
    import optax

_OUTER = 30  # rounds of the method of multipliers


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
        values: the objective at each step, shape `(steps,)`.
        converged: whether the gradient fell below the tolerance (with noise: the steps were made).
    """

    parameters: PyTree
    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    constraint: Float[Array, " constraint"] | None
    values: Float[np.ndarray, " step"]
    converged: bool

    def __str__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"Tuned in {len(self.values)} steps ({state}): objective {float(self.value):.8g}, "
            f"largest gradient {float(self.gradient_norm):.2g}, parameters {self.parameters}"
        )


def tune(
    objective: Callable[[Any], Array] | NoisyObjective,
    parameters: PyTree,
    *,
    optimiser: "optax.GradientTransformation | None" = None,
    constraint: Callable[[Any], Array] | None = None,
    key: Key[Array, ""] | None = None,
    max_steps: int = 500,
    tolerance: float | None = None,
) -> Tuned:
    r"""Minimise an objective by gradient.

    Without noise by L-BFGS with a line search, which stays where the objective is finite; with a
    constraint c(θ) = 0 by the method of multipliers, minimising
    $f + \lambda\cdot c + \tfrac r2|c|^2$ in rounds with $\lambda \leftarrow \lambda + rc$. With
    noise by Adam with fresh noise at each step and a rate that falls to 0, and the mean of the last
    quarter of the steps.

    Args:
        objective: parameters -> scalar, differentiable (a steady state, a mean field, a protocol);
            or a `LearningObjective`, which finds a gradient that is right where rules jump.
        parameters: the start; all its floating arrays and Python floats are tuned: a number, a
            rule, a network, a whole problem, any pytree of these.
        optimiser: another optax transformation.
        constraint: parameters -> array that is to be 0. Not together with noise.
        key: for objectives that draw noise.
        max_steps: steps in all.
        tolerance: largest component of the gradient, beside max(1, |objective|), and of the
            constraint, at which to stop; by default 1e-9 in float64 and 1e-5 in float32.

    Returns:
        A `Tuned`.

    Raises:
        ValueError: the objective is not finite at the start, or the constraint cannot be met.
        TypeError: no key where one is needed, nothing to tune.

    Cost: a gradient and a few values a step.

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

    noisy = isinstance(objective, NoisyObjective)
    if noisy and objective.stochastic:
        if constraint is not None:
            raise ValueError(
                "constraint must be left out with a noisy objective; put it into the parameters, "
                "as `at_dissipation` does"
            )
        if key is None:
            raise TypeError("key is needed to draw noise: pass key=jax.random.key(0)")
        return _by_adam(objective, flat, rebuild, optimiser, key, max_steps)
    return _Deterministic(objective, constraint, rebuild, optimiser, tolerance).run(flat, max_steps)


@contextlib.contextmanager
def _optax_promotes() -> Iterator[None]:
    """optax relies on JAX's promotion of dtypes and ranks, which a user may have made strict."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _by_adam(
    objective: Any, flat: Array, rebuild: Any, optimiser: Any, key: Any, max_steps: int
) -> Tuned:
    import optax

    rate = optax.cosine_decay_schedule(0.05, max_steps)
    optimiser = optimiser or optax.adam(rate)
    state, values, places = optimiser.init(flat), [], []
    for step in range(max_steps):
        found = objective.value_and_gradient(rebuild(flat), jax.random.fold_in(key, step))
        slope = ravel_pytree(found.gradient)[0]
        if not (np.isfinite(found.value) and np.isfinite(np.asarray(slope)).all()):
            raise ValueError(
                f"the objective is not finite at {rebuild(flat)} (step {step}); begin elsewhere, "
                "or tune a transformed parameter that stays in its domain"
            )
        values.append(float(found.value))
        with _optax_promotes():
            updates, state = optimiser.update(slope, state, flat)
        flat = jnp.asarray(optax.apply_updates(flat, updates))
        places.append(flat)
    last = jnp.mean(jnp.stack(places[-max(1, max_steps // 4) :]), axis=0)
    found = objective.value_and_gradient(rebuild(last), jax.random.fold_in(key, max_steps))
    norm = jnp.max(jnp.abs(ravel_pytree(found.gradient)[0]))
    return Tuned(
        rebuild(last), found.value, found.value_error, norm, None, np.asarray(values), True
    )


class _Deterministic:
    """Steps on the augmented Lagrangian; without a constraint in one round."""

    def __init__(self, objective, constraint, rebuild, optimiser, tolerance):
        import optax  # takes a while, and few need it

        self.rebuild, self.tolerance = rebuild, tolerance
        self.constrained = constraint is not None
        optimiser = optax.with_extra_args_support(optimiser or optax.lbfgs())

        def value(vector, multipliers, weight):
            built = rebuild(vector)
            cost = jnp.asarray(objective(built))
            if cost.shape != ():
                raise ValueError(f"objective must return a scalar, got shape {cost.shape}")
            broken = jnp.ravel(constraint(built)) if self.constrained else jnp.zeros((0,))
            penalty = jnp.sum(multipliers * broken) + weight * jnp.sum(broken**2) / 2
            return cost + penalty, (cost, broken)

        @eqx.filter_jit
        def look(vector, multipliers, weight):
            return jax.value_and_grad(value, has_aux=True)(vector, multipliers, weight)

        @eqx.filter_jit
        def move(vector, state, found, multipliers, weight):
            def total(vector):
                reached = value(vector, multipliers, weight)[0]
                return jnp.where(jnp.isfinite(reached), reached, jnp.inf)

            (reached, _), slope = found
            with _optax_promotes():
                updates, state = optimiser.update(
                    slope, state, vector, value=reached, grad=slope, value_fn=total
                )
            return jnp.asarray(optax.apply_updates(vector, updates)), state

        self.look, self.move, self.begin = look, move, optimiser.init

    def run(self, flat: Array, max_steps: int) -> Tuned:
        multipliers = jnp.zeros((), flat.dtype)
        weight = jnp.asarray(1.0 if self.constrained else 0.0, flat.dtype)
        found = self.look(flat, multipliers, weight)
        (_, (cost, broken)), slope = found
        if not (np.isfinite(cost) and np.isfinite(np.asarray(slope)).all()):
            raise ValueError(
                f"the objective must be finite where it begins, got {float(cost)} with a gradient "
                f"{np.asarray(slope)}; begin elsewhere"
            )
        values, converged, missed, worst = [float(cost)], False, 0.0, np.inf
        for number in range(_OUTER if self.constrained else 1):
            # Early multipliers are rough: no need to follow them to the last digit.
            loose = max(self.tolerance, 0.1 ** (number + 2)) if self.constrained else self.tolerance
            flat, found = self._settle(flat, found, multipliers, weight, values, max_steps, loose)
            (_, (cost, broken)), slope = found
            missed = float(jnp.max(jnp.abs(broken), initial=0.0))
            converged = missed <= self.tolerance and self._calm(found, self.tolerance)
            if converged or not self.constrained or len(values) > max_steps:
                break
            multipliers = multipliers + weight * broken
            if missed > worst / 4:
                weight = weight * 4
            worst = missed
            found = self.look(flat, multipliers, weight)
        if missed > max(1e-4, 1e3 * self.tolerance):
            raise ValueError(
                f"the constraint cannot be met: it is {np.asarray(broken)} after {len(values)} "
                "steps; ask for less, begin closer to it, or raise max_steps"
            )
        return Tuned(
            self.rebuild(flat),
            cost,
            jnp.zeros_like(cost),
            jnp.max(jnp.abs(slope)),
            broken if self.constrained else None,
            np.asarray(values),
            converged,
        )

    def _calm(self, found, tolerance: float) -> bool:
        (_, (cost, _)), slope = found
        return float(jnp.max(jnp.abs(slope))) <= tolerance * max(1.0, abs(float(cost)))

    def _settle(self, flat, found, multipliers, weight, values, max_steps, tolerance):
        """Steps until the gradient is small, or no step lowers the value any more."""
        state, still = self.begin(flat), 0
        while len(values) <= max_steps and still < 3 and not self._calm(found, tolerance):
            moved, state = self.move(flat, state, found, multipliers, weight)
            after = self.look(moved, multipliers, weight)
            if not np.isfinite(float(after[0][0])):
                break
            still = still + 1 if float(after[0][0]) >= float(found[0][0]) else 0
            flat, found = moved, after
            values.append(float(found[0][1][0]))
        return flat, found
