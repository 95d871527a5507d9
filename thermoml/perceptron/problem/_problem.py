"""The learning problem: rule, learning rate, bath and inputs; as a system for `simulate` too."""

import warnings
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ...langevin import AbstractSystem
from ...numerics.arrays import as_parameter, cast_floats, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.random import trajectory_streams
from ...numerics.types import AnyArray
from ._custom import CustomRule, with_kinks
from ._inputs import AbstractInputs, TrainingSet, as_inputs
from ._model import Perceptron
from ._rules import AbstractPowerRule, AbstractRule, RuleWarning


def as_rule(rule: AbstractRule | Callable[[Array], Array]) -> AbstractRule:
    """`rule` as an `AbstractRule`; a plain function F(s) becomes a `CustomRule`."""
    if isinstance(rule, AbstractRule):
        return rule
    if callable(rule) and not isinstance(rule, type):
        return CustomRule(cast(Callable[[Array], Array], rule))
    raise TypeError(
        f"rule must be a rule such as Hebbian() or AlphaTron(0.5), or a function F(s), got {rule!r}"
    )


def _scalar(name: str) -> Callable[[Any], Array]:
    """A converter of a field to one number, which may be NaN where it is the result of a search."""

    def convert(value: Any) -> Array:
        array = as_parameter(value, name)
        if array.ndim:
            raise ValueError(
                f"{name} must be one number, got shape {array.shape}; map over several with "
                "jax.vmap, or take a sweep"
            )
        return array

    return convert


class LearningProblem(eqx.Module):
    r"""A perceptron in a heat bath that learns from a teacher.

    $$dw = \Big[-k w + \frac{\nu}{B}\sum_{b=1}^B \sigma_b\,\xi_b\,F(s_b)\Big]dt
      + \sqrt{2T}\,dW, \qquad s_b = \sigma_b\,\frac{w\cdot\xi_b}{\sqrt N},\quad
      \sigma_b = \operatorname{sgn}(T_\text{teacher}\cdot\xi_b)$$

    with ν = learning_rate·√N, mobility 1 and k_B = 1. The energy is U = k|w|²/2; the learning force
    is a drive, and its work is δW.

    Args:
        rule: F(s), an `AbstractRule` or a function.
        learning_rate: ν̃ = ν/√N >= 0, the rate that has a thermodynamic limit.
        n_inputs: N; None for N → ∞ alone.
        stiffness: k >= 0, the weight decay.
        temperature: T >= 0 of the bath.
        batch: B >= 1, inputs per step.
        inputs: "binary" or `BinaryInputs()`, "gaussian" or `GaussianInputs()`, `TrainingSet(x)`.

    Raises:
        TypeError, ValueError: an argument out of range, or a training set of another N or smaller
            than the batch.

    Warns:
        RuleWarning: an `AbstractPowerRule` whose force grows like s, and faster than the decay.

    Source: Wennberg 2019; Goldt and Seifert 2017, arXiv:1706.09713, eqs. 4-7.
    """

    rule: AbstractRule = eqx.field(converter=as_rule)
    learning_rate: Float[Array, ""] = eqx.field(kw_only=True, converter=_scalar("learning_rate"))
    n_inputs: int | np.integer | Array | None = eqx.field(default=None, kw_only=True)
    stiffness: Float[Array, ""] = eqx.field(
        default=1.0, kw_only=True, converter=_scalar("stiffness")
    )
    temperature: Float[Array, ""] = eqx.field(
        default=1.0, kw_only=True, converter=_scalar("temperature")
    )
    batch: int = eqx.field(default=30, kw_only=True, static=True)
    inputs: AbstractInputs = eqx.field(default="binary", kw_only=True, converter=as_inputs)

    def __check_init__(self):
        check_bound("learning_rate", self.learning_rate, ">=", 0.0)
        check_bound("stiffness", self.stiffness, ">=", 0.0)
        check_bound("temperature", self.temperature, ">=", 0.0)
        check_count("batch", self.batch)
        if self.n_inputs is not None and not isinstance(self.n_inputs, jax.Array):
            check_count("n_inputs", self.n_inputs)
        if isinstance(self.inputs, TrainingSet):
            n_examples, n_inputs = self.inputs.examples.shape
            if self.n_inputs is None:
                object.__setattr__(self, "n_inputs", n_inputs)
            if self.n_inputs != n_inputs:
                raise ValueError(
                    f"n_inputs must be {n_inputs}, the width of the training set, "
                    f"got {self.n_inputs}"
                )
            if self.batch > n_examples:
                raise ValueError(
                    f"batch must not exceed the {n_examples} examples of the training set, "
                    f"got {self.batch}"
                )
        if isinstance(self.rule, AbstractPowerRule) and is_concrete(self):
            _warn_of_runaway(self, self.rule)


def known_kinks(problem: LearningProblem) -> LearningProblem:
    """The problem with the kinks of its rule searched once, before they are used in a loop."""
    rule = with_kinks(problem.rule, problem.learning_rate.dtype)
    return problem if rule is problem.rule else eqx.tree_at(lambda p: p.rule, problem, rule)


def _warn_of_runaway(problem: LearningProblem, rule: AbstractPowerRule) -> None:
    """A RuleWarning if a term of the force that is linear in s outgrows the weights' decay."""
    rate, stiffness = np.asarray(problem.learning_rate), np.asarray(problem.stiffness)
    for terms, sign in zip(rule.powers, (-1, 1), strict=True):
        for coefficient, exponent in terms:
            gain = sign * rate * np.asarray(coefficient)
            if ((np.asarray(exponent) == 1) & (gain >= stiffness)).any():
                warnings.warn(
                    f"the weights run away with this rule ({rule.label}) unless its slope times "
                    f"learning_rate is below stiffness, got {gain} and {stiffness}",
                    RuleWarning,
                    stacklevel=4,
                )


class PerceptronLearning(AbstractSystem):
    r"""A `LearningProblem` as a system for `simulate`, one example batch drawn at each step.

    The general way: state w of shape `(N,)`, any observables, integrators and observers; `learn` is
    the fast one. Energy k|w|²/2, drive $\frac{\nu}{B}\sum_b \sigma_b\,\xi_b\,F(s_b)$.

    Args:
        problem: with `n_inputs`.
        teacher: a `Perceptron` or its weights, shape `(N,)`.

    Raises:
        ValueError: a teacher of another shape than `(n_inputs,)`.

    Cost: O(B N) per step and trajectory.
    """

    problem: LearningProblem
    teacher: Perceptron

    def __init__(self, problem: LearningProblem, teacher: Perceptron | AnyArray):
        self.problem = problem
        self.teacher = teacher if isinstance(teacher, Perceptron) else Perceptron(teacher)
        if self.teacher.weights.shape != (problem.n_inputs,):
            raise ValueError(
                f"teacher must have shape ({problem.n_inputs},) like the problem's inputs, got "
                f"{self.teacher.weights.shape}"
            )

    @property
    def temperature(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.problem.temperature

    @property
    def mobility(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 1.0

    @property
    def autonomous(self) -> bool:
        return False

    def control_at(self, t):
        return None

    def draw(self, key: Key[Array, ""]) -> Float[Array, "B N"]:
        problem = self.problem
        streams = trajectory_streams(key, jnp.zeros(1, int), 0)
        dtype = self.teacher.weights.dtype
        batch = problem.inputs.draw(
            streams.at(jnp.asarray(0)),
            batch=problem.batch,
            n_inputs=self.teacher.weights.shape[-1],
            dtype=dtype,
        )
        return batch.unpack()[..., 0].astype(dtype)

    def energy(self, state, control, sample):
        return self.problem.stiffness * jnp.sum(state**2) / 2

    def drive_force(self, state, control, sample):
        problem = cast_floats(self.problem, state.dtype)
        labels = self.teacher(sample)
        stabilities = labels * Perceptron(state).activation(sample)
        pushes = labels * jnp.vectorize(problem.rule)(stabilities)
        rate = problem.learning_rate * sample.shape[1] ** 0.5 / sample.shape[0]
        return rate * jnp.einsum("b,bn->n", pushes, sample)
