"""Learning rules: the force F(s) on a perceptron as a function of the stability s."""

import abc
import inspect
import re
import warnings
from typing import Any, ClassVar, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.results import value_text
from ...numerics.types import Numbers

_LETTERS = "alpha beta gamma delta epsilon kappa lambda mu nu rho sigma tau".split()
_GREEK: dict[str, str] = dict(zip(_LETTERS, "αβγδεκλμνρστ", strict=True))


class RuleWarning(UserWarning):
    """A rule without a steady state, or with a heat whose error bar is infinite."""


class AbstractRule(eqx.Module):
    r"""A learning rule: each example (ξ, σ) pushes the weights with the force νσξF(s).

    s = σ w·ξ/√N is the stability; s < 0 where the student is wrong. Since
    $\sigma\xi F(s) = \sqrt N\,\nabla_w\Phi(s)$ with $\Phi(s) = \int_0^s F$, the force of each
    example has a potential, whatever the rule.

    To write a rule, subclass this with F, Φ and `smooth`, each on a scalar s with functions of
    jax.numpy; the library vectorises them. `potential_by_quadrature` computes a Φ that has no
    closed form, `AbstractPowerRule` is the base of rules made of powers of |s|, and `CustomRule`
    turns a function F(s) into a rule. Parameters are fields; arrays among them are differentiated.

    Attributes:
        title: name in figures and tables; the name of the class where it is None.
        kinks: where F or a derivative jumps, besides s = 0: a number or several, as a constant of
            the class, a field or a property. Places that move with a parameter must be made of it,
            so that gradients in it count the jumps. If None, they are searched in the program of F,
            where it compares (`where`, `maximum`, `abs`, ...; see `rule_kinks`).

    Example:
        >>> import jax
        >>> import thermoml as tml
        >>> class Logistic(tml.AbstractRule):
        ...     slope: float
        ...
        ...     def __call__(self, s):
        ...         return jax.nn.sigmoid(-self.slope * s)
        ...
        ...     def potential(self, s):
        ...         return tml.perceptron.potential_by_quadrature(self, s)
        ...
        ...     @property
        ...     def smooth(self):
        ...         return True
        >>> Logistic(2.0).label
        'Logistic, slope = 2'

    Source: Goldt and Seifert 2017, arXiv:1706.09713, section 2; Wennberg 2019.
    """

    title: ClassVar[str | None] = None
    # Without an annotation, so that a field of a subclass keeps its place among the arguments.
    kinks = cast("Numbers | None", None)

    @abc.abstractmethod
    def __call__(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        """F(s)."""

    @abc.abstractmethod
    def potential(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        """Φ(s), the integral of F from 0 to s."""

    @property
    @abc.abstractmethod
    def smooth(self) -> bool:
        """False if F jumps: pathwise gradients and the heat then have extra terms."""

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """The arguments that make the rule, in order."""
        return tuple(inspect.signature(cls).parameters)

    @property
    def label(self) -> str:
        """Title and numerical parameters, for figures and tables: `α-tron, α = 0.5`."""
        values = {name: getattr(self, name) for name in self.parameter_names()}
        parts = [self.title or type(self).__name__]
        for name, value in values.items():
            if eqx.is_array_like(value) and np.ndim(value) == 0 and not isinstance(value, bool):
                text = value_text(value) if is_concrete(value) else "traced"
                parts.append(f"{name} = {text}")
        return re.sub("[a-z]+", lambda word: _GREEK.get(word[0], word[0]), ", ".join(parts))


class Power(NamedTuple):
    """The term c|s|^p of a force on one side of s = 0.

    Attributes:
        coefficient: c, a number or a traced scalar.
        exponent: p > -1, likewise. Python floats 0.0 and 1.0 are averaged in elementary form.
    """

    coefficient: float | Array
    exponent: float | Array


class AbstractPowerRule(AbstractRule):
    r"""A rule made of powers of |s|: $F(s) = \sum_j c_j|s|^{p_j}$ on each side of s = 0.

    Its averages over Gaussian inputs are then taken in closed form instead of by some 600
    evaluations of F: for the mean field, steady states and everything computed from them.
    Subclass it like `AbstractRule`, and add `powers`.
    """

    kinks = ()

    @property
    @abc.abstractmethod
    def powers(self) -> tuple[tuple[Power, ...], tuple[Power, ...]]:
        """The terms of F for s < 0 (student wrong) and for s > 0 (right); no term where F = 0."""


def check_force(rule: AbstractRule, dtype: DTypeLike) -> None:
    """TypeError unless F maps a scalar s of `dtype` to such a scalar. Computes nothing."""
    force = eqx.filter_eval_shape(rule, jax.ShapeDtypeStruct((), dtype))
    scalar = isinstance(force, jax.ShapeDtypeStruct) and force.shape == ()
    if not scalar or force.dtype != dtype:
        raise TypeError(f"rule must map a scalar s of {dtype} to a scalar, got {force}")


def check_finite_force(rule: AbstractRule, dtype: DTypeLike) -> None:
    """ValueError unless F is finite on both sides of 0, if its parameters are concrete."""
    probes = jnp.asarray([-3.0, -0.1, 0.1, 3.0], dtype)
    values = jax.vmap(rule)(probes)
    if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
        raise ValueError(f"rule must be finite, got F({probes}) = {values}")


_CONSTANT = Power(1.0, 0.0)


class Hebbian(AbstractPowerRule):
    """F(s) = 1: every example pushes with the same force. Φ(s) = s."""

    title = "Hebbian"

    def __call__(self, s):
        return jnp.ones_like(s)

    def potential(self, s):
        return s

    @property
    def smooth(self):
        return True

    @property
    def powers(self):
        return (_CONSTANT,), (_CONSTANT,)


class PerceptronRule(AbstractPowerRule):
    """F(s) = θ(-s): only wrong examples push. Φ(s) = s θ(-s).

    Source: Rosenblatt 1962.
    """

    title = "Perceptron"

    def __call__(self, s):
        return jnp.where(s < 0, jnp.ones_like(s), 0)

    def potential(self, s):
        return jnp.minimum(s, 0)

    @property
    def smooth(self):
        return False

    @property
    def powers(self):
        return (_CONSTANT,), ()


class AdaTron(AbstractPowerRule):
    """F(s) = |s| θ(-s): wrong examples push in proportion to |s|. Φ(s) = -s²/2 θ(-s).

    Source: Anlauf and Biehl 1989.
    """

    title = "AdaTron"

    def __call__(self, s):
        return jnp.maximum(-s, 0)

    def potential(self, s):
        return -(jnp.minimum(s, 0) ** 2) / 2

    @property
    def smooth(self):
        return True

    @property
    def powers(self):
        return (Power(1.0, 1.0),), ()


class AlphaTron(AbstractPowerRule):
    r"""$F(s) = \theta(-s) + |s|^\alpha\,\theta(s)$, $\Phi(s) = s\,\theta(-s) +
    s^{\alpha+1}/(\alpha+1)\,\theta(s)$.

    Constant where the student is wrong, activation-dependent where it is right; α = 0 is Hebbian.
    The formula is a reconstruction: the source's own is lost, and this one agrees with everything
    that its text says (Wennberg 2019).

    Args:
        alpha: α > -1 for a finite mean force. α > -1/2 for finite dissipation, α > -1/4 for a
            finite variance of the heat; α < 1 for a steady state at every learning rate.

    Raises:
        ValueError: α <= -1.

    Warns:
        RuleWarning: α outside (-1/4, 1).
    """

    title = "alpha-tron"
    alpha: Float[Array, ""] = eqx.field(converter=lambda x: as_parameter(x, "alpha"))

    def __check_init__(self):
        if not isinstance(self.alpha, jax.Array) or not is_concrete(self.alpha):
            return
        alpha = np.asarray(self.alpha)
        if not (np.isfinite(alpha) & (alpha > -1)).all():
            raise ValueError(
                f"alpha must be > -1 for the mean force to be finite, got {alpha}; "
                "values between -0.25 and 1 have a steady state and a finite heat"
            )
        if (alpha <= -0.5).any():
            reason = "the dissipation is infinite for alpha <= -1/2"
        elif (alpha <= -0.25).any():
            reason = "the variance of the heat is infinite, so its error bars mean nothing"
        elif (alpha >= 1).any():
            reason = "there is no steady state at every learning rate for alpha >= 1"
        else:
            return
        warnings.warn(f"AlphaTron with alpha = {alpha}: {reason}", RuleWarning, stacklevel=3)

    def __call__(self, s):
        # XLA vectorises exp and log on a CPU, but not powers.
        right = jnp.exp(self.alpha * jnp.log(jnp.where(s > 0, s, 1)))
        at_zero = jnp.where(self.alpha > 0, jnp.zeros_like(s), 1)
        return jnp.where(s > 0, right, jnp.where(s < 0, jnp.ones_like(s), at_zero))

    def potential(self, s):
        power = self.alpha + 1
        return jnp.where(s > 0, jnp.where(s > 0, s, 1) ** power / power, s)

    @property
    def smooth(self):
        return False

    @property
    def powers(self):
        return (_CONSTANT,), (Power(1.0, self.alpha),)


class LinearAlphaTron(AbstractPowerRule):
    r"""$F(s) = \theta(-s) + \alpha s\,\theta(s)$, $\Phi(s) = s\,\theta(-s) +
    \alpha s^2/2\,\theta(s)$.

    Another reconstruction of the α-tron: the force is proportional to the activation where the
    prediction is correct. Bounded only while learning_rate · α < stiffness.

    Args:
        alpha: slope of the force where the student is right.

    Raises:
        ValueError: α is not finite.
    """

    title = "linear alpha-tron"
    alpha: Float[Array, ""] = eqx.field(converter=lambda x: as_parameter(x, "alpha"))

    def __check_init__(self):
        if isinstance(self.alpha, jax.Array) and is_concrete(self.alpha):
            if not np.isfinite(np.asarray(self.alpha)).all():
                raise ValueError(f"alpha must be finite, got {self.alpha}")

    def __call__(self, s):
        return jnp.where(s < 0, jnp.ones_like(s), self.alpha * s)

    def potential(self, s):
        return jnp.where(s < 0, s, self.alpha * s**2 / 2)

    @property
    def smooth(self):
        return False

    @property
    def powers(self):
        return (_CONSTANT,), (Power(self.alpha, 1.0),)


def _titled(classes: dict[str, Any]) -> dict[str, type[AbstractRule]]:
    rules = [x for x in classes.values() if isinstance(x, type) and issubclass(x, AbstractRule)]
    names = [(re.sub("[ -]", "_", (rule.title or "").lower()), rule) for rule in rules]
    return {name: rule for name, rule in names if name}


# The rules that are made of numbers alone, by the names that configs use.
RULES: dict[str, type[AbstractRule]] = _titled(globals())
