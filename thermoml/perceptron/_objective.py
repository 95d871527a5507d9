"""Gradients of learning outcomes at every level, unbiased for discontinuous rules too."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, PyTree

from ..ensembles import AbstractAdjoint, ForwardMode, Layout, RecursiveCheckpoint
from ..numerics import AbstractResult, Estimate
from ..numerics.arrays import as_parameters, default_float, is_concrete
from ..numerics.checks import (
    check_bound,
    check_count,
    check_first_trajectory,
    check_key,
    number,
)
from ..numerics.choices import is_choice
from ..numerics.compile import jitted
from ._curve import LearningCurve
from ._learn import learn
from .levels import (
    AbstractLevel,
    MeanField,
    Microscopic,
    Reduced,
    check_teachers,
    score_of_learning,
)
from .problem import AbstractRule, LearningProblem
from .theory import force_jumps

_FEW = 8  # parameters up to which forward mode is cheaper
Method = Literal["auto", "pathwise", "finite_difference", "likelihood_ratio", "jump_corrected"]
METHODS = get_args(Method)
# Values (trajectory,) and slopes (trajectory, n); in reverse mode (1, n), their mean.
Samples = tuple[Float[Array, " trajectory"], Float[Array, "rows n"]]


class Gradient(AbstractResult):
    """A value and its gradient, with standard errors over trajectories.

    Attributes:
        value, value_error: the mean of the measurement, and its standard error.
        gradient, gradient_error: like the parameters. The errors are NaN for a single trajectory
            and in reverse mode, which computes the mean alone.
    """

    value: Float[Array, ""]
    value_error: Float[Array, ""]
    gradient: PyTree[Array]
    gradient_error: PyTree[Array]

    @property
    def estimate(self) -> Estimate:
        """The value with its error."""
        return Estimate(self.value, self.value_error)

    @property
    def gradient_estimate(self) -> PyTree[Estimate]:
        """The gradient with its errors: like the parameters, an `Estimate` for each array."""
        return jax.tree.map(Estimate, self.gradient, self.gradient_error)

    def _summary(self):
        leaves, _ = jax.tree_util.tree_flatten_with_path(
            self.gradient_estimate, is_leaf=lambda x: isinstance(x, Estimate)
        )
        rows = {f"gradient{jax.tree_util.keystr(path)}": slope for path, slope in leaves}
        return "Gradient", {"value": self.estimate} | rows


class AbstractObjective(eqx.Module):
    """An objective that estimates its own value and gradient, for `tune`.

    `LearningObjective` is one. Subclass it for other simulations, whose gradient needs a key or is
    not that of automatic differentiation.
    """

    @property
    @abc.abstractmethod
    def stochastic(self) -> bool:
        """True if noise is drawn, so that a key is needed."""

    @abc.abstractmethod
    def value_and_gradient(self, parameters: PyTree, key: Key[Array, ""] | None = None) -> Gradient:
        """The value and its gradient, like `parameters` (its floating arrays; None elsewhere)."""


def final_error(curve: LearningCurve) -> Float[Array, " trajectory"]:
    """The generalization error at the end."""
    return curve.error[:, -1]


class LearningObjective(AbstractObjective):
    r"""The mean of a measurement at the end of learning, and its gradient in any parameters.

    Where F jumps (Perceptron, α-tron, a rule with a margin), noise carries students across the
    jump, and the derivative along each path lacks the jump's contribution to the mean: 11 % in one
    measured case.
    Methods:

    * "pathwise": automatic differentiation. Exact for `MeanField()` and for rules without a jump;
      **biased otherwise**. Forward mode up to 8 parameters, checkpointed reverse mode beyond.
    * "finite_difference": central differences with common noise, error O(step²).
    * "likelihood_ratio": $\langle (O - \bar O)\,\partial\ln p(\text{path})\rangle$, the score
      $\sum\sqrt{dt/2T}\,\partial_\theta f\cdot n$ over all steps. Unbiased; its variance grows like
      N²t/B. For `Microscopic`, and measurements of overlap, norm and error.
    * "jump_corrected": pathwise at `Reduced(dt, jump_corrected=True)`, which adds the mean of the
      jumps. Right at large N, for measurements of overlap, norm and error.
    * "auto": pathwise where that is exact, else finite differences.

    Pathwise in a simulation, jump-corrected or not, differentiates F along each path. For the
    α-tron F' ~ s^(α-1) near s = 0, whose mean diverges for α < 0 and whose variance for α <= 1/2:
    its error bars are then meaningless; use finite differences.

    Args:
        build: parameters -> `LearningProblem`.
        level: `MeanField()`, `Reduced(dt)` or `Microscopic(dt)`.
        t1: the end of learning.
        measure: curve -> `(trajectory,)`; by default the final generalization error.
        n_trajectories: as of `learn`.
        method: one of the above.
        step: of finite differences, relative to max(1, |parameter|).
        teachers: as of `learn`.

    Raises:
        ValueError: an unknown method, or one that the level does not offer.

    Source: theory of jumps by thermoml; likelihood ratio: Glynn 1990, Commun. ACM 33, 75.
    """

    build: Callable[[Any], LearningProblem]
    level: AbstractLevel
    t1: float = eqx.field(static=True, kw_only=True, converter=number("t1"))
    measure: Callable[[LearningCurve], Array] = eqx.field(default=final_error, kw_only=True)
    n_trajectories: int = eqx.field(default=1, static=True, kw_only=True)
    method: Method = eqx.field(default="auto", static=True, kw_only=True)
    step: float = eqx.field(default=0.02, static=True, kw_only=True, converter=number("step"))
    teachers: Literal["single", "ensemble"] = eqx.field(
        default="ensemble", static=True, kw_only=True
    )

    def __check_init__(self):
        if not isinstance(self.level, AbstractLevel):
            raise TypeError(
                f"level must be Microscopic(dt), Reduced(dt) or MeanField(), got {self.level!r:.80}"
            )
        if not is_choice(self.method, METHODS):
            names = ", ".join(METHODS)
            raise ValueError(f"method must be one of {names}, got {self.method!r:.80}")
        check_bound("t1", self.t1, ">", 0.0)
        check_bound("step", self.step, ">", 0.0)
        check_count("n_trajectories", self.n_trajectories)
        check_teachers(self.teachers)
        if self.method == "likelihood_ratio" and not isinstance(self.level, Microscopic):
            raise ValueError(
                f"method likelihood_ratio needs level=Microscopic(dt), got {self.level!r}"
            )
        if self.method == "jump_corrected" and not isinstance(self.level, Reduced):
            raise ValueError(f"method jump_corrected needs level=Reduced(dt), got {self.level!r}")

    @property
    def stochastic(self) -> bool:
        return not isinstance(self.level, MeanField)

    def method_for(self, parameters: PyTree) -> Method:
        """The method used at these parameters: that of "auto", or the one chosen."""
        if self.method != "auto":
            return self.method
        if isinstance(self.level, MeanField):
            return "pathwise"
        rule = self.build(parameters).rule
        return "pathwise" if rule.smooth and not _jumps(rule) else "finite_difference"

    def measured(self, curve: LearningCurve) -> Float[Array, " trajectory"]:
        """The measurement of each trajectory.

        Raises:
            ValueError: a measurement of another shape.
        """
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
            ValueError: a measurement of the wrong shape.
        """
        self._check_key(key)
        return _estimate(self, as_parameters(parameters), key, self.method_for(parameters))

    def samples(
        self,
        parameters: PyTree,
        key: Key[Array, ""] | None = None,
        first_trajectory: int | Int[Array, ""] = 0,
    ) -> tuple[Float[Array, " trajectory"], Float[Array, "trajectory n"]]:
        """The measurement of each trajectory and its gradient in all parameters, flattened.

        Their means are those of `value_and_gradient`. In reverse mode (pathwise with more than 8
        parameters) all rows hold the mean gradient. `first_trajectory` is as of `learn`.
        """
        self._check_key(key)
        check_first_trajectory(first_trajectory, self.n_trajectories)
        parameters = as_parameters(parameters)
        values, slopes = _samples(
            self, parameters, key, self.method_for(parameters), first_trajectory
        )
        return values, jnp.broadcast_to(slopes, (*values.shape, slopes.shape[1]))

    def _check_key(self, key: Key[Array, ""] | None) -> None:
        if self.stochastic:
            check_key(key, "inputs and noise")


def _jumps(rule: AbstractRule) -> bool:
    """True if F is seen to jump, at 0 or at a kink."""
    heights = force_jumps(rule, default_float()).heights
    return is_concrete(heights) and bool((np.asarray(heights) != 0).any())


@jitted
def _measure(
    objective: LearningObjective, parameters: PyTree, key: Key[Array, ""] | None
) -> Float[Array, " trajectory"]:
    return _Run(objective, key, 0).values(objective.build(parameters), RecursiveCheckpoint())


@jitted
def _estimate(
    objective: LearningObjective, parameters: PyTree, key: Key[Array, ""] | None, method: Method
) -> Gradient:
    _, unravel = ravel_pytree(eqx.filter(parameters, eqx.is_inexact_array))
    values, slopes = _samples(objective, parameters, key, method)
    value, slope = Estimate.of(values), Estimate.of(slopes)
    return Gradient(
        value=value.mean,
        value_error=value.standard_error,
        gradient=unravel(slope.mean),
        gradient_error=unravel(slope.standard_error),
    )


@jitted
def _samples(
    objective: LearningObjective,
    parameters: PyTree,
    key: Key[Array, ""] | None,
    method: Method,
    first: int | Int[Array, ""] = 0,
) -> Samples:
    arrays, static = eqx.partition(parameters, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)

    def build(vector: Array) -> LearningProblem:
        return objective.build(eqx.combine(unravel(vector), static))

    return _SAMPLERS[method](_Run(objective, key, first), build, flat)


@dataclasses.dataclass(frozen=True)
class _Run:
    """An objective with its randomness: the key and the number of the first trajectory."""

    objective: LearningObjective
    key: Key[Array, ""] | None
    first: int | Int[Array, ""]

    def values(
        self, problem: LearningProblem, adjoint: AbstractAdjoint
    ) -> Float[Array, " trajectory"]:
        """The measurement of each trajectory."""
        objective = self.objective
        curve = learn(
            problem,
            objective.level,
            t1=objective.t1,
            key=self.key,
            n_trajectories=objective.n_trajectories,
            teachers=objective.teachers,
            adjoint=adjoint,
            first_trajectory=self.first,
            throw=False,
        )
        return objective.measured(curve)


Build = Callable[[Array], LearningProblem]


def _pathwise(run: _Run, build: Build, flat: Float[Array, " n"]) -> Samples:
    if flat.size <= _FEW:

        def each(vector):
            values = run.values(build(vector), ForwardMode())
            return values, values

        slopes, values = jax.jacfwd(each, has_aux=True)(flat)
        return values, slopes

    def mean(vector):
        values = run.values(build(vector), RecursiveCheckpoint())
        return jnp.mean(values), values

    (_, values), slope = jax.value_and_grad(mean, has_aux=True)(flat)
    return values, slope[None]


def _jump_corrected(run: _Run, build: Build, flat: Float[Array, " n"]) -> Samples:
    level = dataclasses.replace(run.objective.level, jump_corrected=True)
    objective = dataclasses.replace(run.objective, level=level)
    return _pathwise(dataclasses.replace(run, objective=objective), build, flat)


def _finite_difference(run: _Run, build: Build, flat: Float[Array, " n"]) -> Samples:
    steps = run.objective.step * jnp.maximum(1, jnp.abs(flat))
    moved = flat[None] + jnp.concatenate([jnp.diag(steps), -jnp.diag(steps)])
    values = jax.lax.map(lambda vector: run.values(build(vector), ForwardMode()), moved)
    ahead, behind = jnp.split(values, 2)
    slopes = ((ahead - behind) / (2 * steps[:, None])).T
    return run.values(build(flat), ForwardMode()), slopes


def _likelihood_ratio(run: _Run, build: Build, flat: Float[Array, " n"]) -> Samples:
    objective, key, level = run.objective, run.key, run.objective.level
    assert isinstance(level, Microscopic)  # __check_init__ refuses others
    assert key is not None  # this level draws noise
    curve, score = score_of_learning(
        build,
        flat,
        level,
        key=key,
        t1=objective.t1,
        n_trajectories=objective.n_trajectories,
        first_trajectory=run.first,
        teachers=objective.teachers,
        layout=Layout().here(),
    )
    values = objective.measured(curve)
    slopes = (values - jnp.mean(values))[:, None] * score
    return values, slopes * values.shape[0] / (values.shape[0] - 1)


_SAMPLERS: dict[Method, Callable[[_Run, Build, Array], Samples]] = {
    "pathwise": _pathwise,
    "finite_difference": _finite_difference,
    "likelihood_ratio": _likelihood_ratio,
    "jump_corrected": _jump_corrected,
}
