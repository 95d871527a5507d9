"""Gradients of what was learned, at any level, by a way that is right where F jumps."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from ..ensembles import ForwardMode, Layout, RecursiveCheckpoint
from ..numerics.arrays import as_parameters
from ..numerics.checks import check_bound
from ._curve import LearningCurve
from ._learn import learn
from .levels import AbstractLevel, MeanField, Microscopic, Reduced, score_of_learning
from .problem import LearningProblem

_FEW = 8  # parameters up to which forward mode is the cheaper one
METHODS = ("auto", "pathwise", "finite_difference", "likelihood_ratio", "jump_corrected")


class Gradient(eqx.Module):
    """A value and its gradient, with standard errors over trajectories.

    Attributes:
        value, value_error: the mean of what was measured.
        gradient, gradient_error: like the parameters. The errors are NaN for a single trajectory
            and in reverse mode, which knows only the mean.
    """

    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient: PyTree[Array]
    gradient_error: PyTree[Array]


def final_error(curve: LearningCurve) -> Float[Array, " trajectory"]:
    """The generalization error at the end."""
    return curve.error[:, -1]


class LearningObjective(eqx.Module):
    r"""The mean of a measurement at the end of learning, and its gradient in any parameters.

    Where F jumps at s = 0 (Perceptron, α-tron), noise carries students across the jump, and the
    derivative along each path misses what that adds to the mean: 11 % in one measured case. Ways:

    * "pathwise": automatic differentiation. Exact for `MeanField()` and for rules without a jump;
      **biased otherwise**. Forward mode up to 8 parameters, checkpointed reverse mode beyond.
    * "finite_difference": central differences with common noise, error O(step²).
    * "likelihood_ratio": $\langle (O - \bar O)\,\partial\ln p(\text{path})\rangle$, the score
      $\sum\sqrt{dt/2T}\,\partial_\theta f\cdot n$ over all steps. Unbiased; its variance grows like
      N²t/B. For `Microscopic`, and measurements of overlap, norm and error.
    * "jump_corrected": pathwise with the jump's mean added; for `Reduced` at large N, and
      measurements of overlap, norm and error.
    * "auto": pathwise where that is right, else finite differences.

    Pathwise in a simulation, jump-corrected or not, differentiates F along each path: for the
    α-tron F' ~ s^(α-1) beside s = 0, whose mean diverges for α < 0 and whose variance for α <= 1/2.
    There its errors mean nothing; use finite differences.

    Args:
        build: parameters -> `LearningProblem`.
        level: `MeanField()`, `Reduced(dt)` or `Microscopic(dt)`.
        t1: the end of learning.
        measure: curve -> `(trajectory,)`; by default the final generalization error.
        n_trajectories: as of `learn`.
        method: one of the above.
        step: of finite differences, relative to max(1, |parameter|).
        teachers: as of `learn`.

    Source: theory of jumps by thermoml; likelihood ratio: Glynn 1990, Commun. ACM 33, 75.
    """

    build: Callable[[Any], LearningProblem]
    level: AbstractLevel
    t1: float = eqx.field(static=True, kw_only=True)
    measure: Callable[[LearningCurve], Array] = eqx.field(default=final_error, kw_only=True)
    n_trajectories: int = eqx.field(default=1, static=True, kw_only=True)
    method: str = eqx.field(default="auto", static=True, kw_only=True)
    step: float = eqx.field(default=0.02, static=True, kw_only=True)
    teachers: Literal["single", "ensemble"] = eqx.field(
        default="ensemble", static=True, kw_only=True
    )

    def __check_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        check_bound("step", self.step, ">", 0.0)
        if self.method == "likelihood_ratio" and not isinstance(self.level, Microscopic):
            raise ValueError("method likelihood_ratio needs level=Microscopic(dt)")
        if self.method == "jump_corrected" and not isinstance(self.level, Reduced):
            raise ValueError("method jump_corrected needs level=Reduced(dt)")

    @property
    def stochastic(self) -> bool:
        """Whether a key is needed."""
        return not isinstance(self.level, MeanField)

    def method_for(self, parameters: PyTree) -> str:
        """The way that "auto" takes."""
        if self.method != "auto":
            return self.method
        smooth = isinstance(self.level, MeanField) or self.build(parameters).rule.smooth
        return "pathwise" if smooth else "finite_difference"

    def _values(
        self, parameters: PyTree, key: Any, adjoint: Any, first: Any = 0, **changes: Any
    ) -> Array:
        curve = learn(
            self.build(parameters),
            dataclasses.replace(self.level, **changes),
            t1=self.t1,
            key=key,
            n_trajectories=self.n_trajectories,
            teachers=self.teachers,
            adjoint=adjoint,
            first_trajectory=first,
            throw=False,
        )
        values = self.measure(curve)
        if values.shape != (self.n_trajectories,):
            raise ValueError(
                f"measure must return shape ({self.n_trajectories},), one value for each "
                f"trajectory, got {values.shape}"
            )
        return values

    def __call__(self, parameters: PyTree, key: Key[Array, ""] | None = None) -> Float[Array, ""]:
        """The mean of the measurement."""
        return jnp.mean(_measure(self, as_parameters(parameters), key))

    def value_and_gradient(self, parameters: PyTree, key: Key[Array, ""] | None = None) -> Gradient:
        """The mean and its gradient, like `parameters` (its floating arrays; the rest None).

        Raises:
            TypeError: no key where noise is drawn.
            ValueError: a measurement of the wrong shape, or not finite.
        """
        if self.stochastic and key is None:
            raise TypeError("key is needed to draw inputs and noise: pass key=jax.random.key(0)")
        return _estimate(self, as_parameters(parameters), key, self.method_for(parameters))

    def samples(
        self, parameters: PyTree, key: Key[Array, ""] | None = None, first_trajectory: Any = 0
    ) -> tuple[Float[Array, " trajectory"], Float[Array, "trajectory n"]]:
        """Of each trajectory the measurement and its gradient in all parameters, flattened.

        Their means are those of `value_and_gradient`. In reverse mode (pathwise with more than 8
        parameters) all rows hold the mean gradient. `first_trajectory` is as of `learn`.
        """
        if self.stochastic and key is None:
            raise TypeError("key is needed to draw inputs and noise: pass key=jax.random.key(0)")
        parameters = as_parameters(parameters)
        values, slopes = _samples(
            self, parameters, key, self.method_for(parameters), first_trajectory
        )
        return values, jnp.broadcast_to(slopes, (*values.shape, slopes.shape[1]))


@eqx.filter_jit
def _measure(objective: LearningObjective, parameters: PyTree, key: Any) -> Array:
    return objective._values(parameters, key, RecursiveCheckpoint())


@eqx.filter_jit
def _estimate(objective: LearningObjective, parameters: PyTree, key: Any, method: str) -> Gradient:
    _, unravel = ravel_pytree(eqx.filter(parameters, eqx.is_inexact_array))
    found, slopes = _samples(objective, parameters, key, method)
    return Gradient(
        jnp.mean(found),
        _standard_error(found),
        unravel(jnp.mean(slopes, axis=0)),
        unravel(_standard_error(slopes)),
    )


@eqx.filter_jit
def _samples(
    objective: LearningObjective, parameters: PyTree, key: Any, method: str, first: Any = 0
) -> tuple[Array, Array]:
    """Measurements `(trajectory,)` and slopes `(trajectory, n)`; in reverse mode `(1, n)`."""
    arrays, rest = eqx.partition(parameters, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)
    changes = {"jump_corrected": True} if method == "jump_corrected" else {}

    def values(vector: Array, adjoint: Any) -> Array:
        built = eqx.combine(unravel(vector), rest)
        return objective._values(built, key, adjoint, first, **changes)

    if method == "likelihood_ratio":

        def build(vector):
            return objective.build(eqx.combine(unravel(vector), rest))

        level = objective.level
        assert isinstance(level, Microscopic)  # as __check_init__ says
        curve, score = score_of_learning(
            build,
            flat,
            level,
            key=key,
            t1=objective.t1,
            n_trajectories=objective.n_trajectories,
            first_trajectory=first,
            teachers=objective.teachers,
            layout=Layout().here(),
        )
        found = objective.measure(curve)
        slopes = (found - jnp.mean(found))[:, None] * score
        slopes = slopes * found.shape[0] / (found.shape[0] - 1)
    elif method == "finite_difference":
        steps = objective.step * jnp.maximum(1, jnp.abs(flat))
        moved = flat[None] + jnp.concatenate([jnp.diag(steps), -jnp.diag(steps)])
        ahead, behind = jnp.split(jax.lax.map(lambda v: values(v, ForwardMode()), moved), 2)
        slopes = ((ahead - behind) / (2 * steps[:, None])).T
        found = values(flat, ForwardMode())
    elif flat.size <= _FEW:
        slopes, found = jax.jacfwd(lambda v: (values(v, ForwardMode()),) * 2, has_aux=True)(flat)
    else:

        def mean(vector):
            each = values(vector, RecursiveCheckpoint())
            return jnp.mean(each), each

        (_, found), slope = jax.value_and_grad(mean, has_aux=True)(flat)
        slopes = slope[None]
    return found, slopes


def _standard_error(values: Array) -> Array:
    count = values.shape[0]
    if count == 1:
        return jnp.full(values.shape[1:], jnp.nan, values.dtype)
    return jnp.std(values, axis=0, ddof=1) / count**0.5
