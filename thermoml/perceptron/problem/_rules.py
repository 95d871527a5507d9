"""Learning rules: the force F(s) on a perceptron as a function of its stability s."""

import abc
import dataclasses
import re
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.quadrature import tanh_sinh
from ...numerics.results import value_text

_LETTERS = "alpha beta gamma delta epsilon kappa lambda mu nu rho sigma tau".split()
_GREEK = dict(zip(_LETTERS, "αβγδεκλμνρστ", strict=True))


class RuleWarning(UserWarning):
    """A rule is used where it has no steady state, or its heat no finite error bar."""


class AbstractRule(eqx.Module):
    r"""A learning rule: each example (ξ, σ) pushes the weights with the force νσξF(s).

    s = σ w·ξ/√N is the stability: s < 0 means that the student is wrong. Since
    $\sigma\xi F(s) = \sqrt N\,\nabla_w\Phi(s)$ with $\Phi(s) = \int_0^s F$, every rule's force has
    a potential for each example. Subclass it with `__call__` on a scalar s (jnp functions; it is
    vectorised by the library), or pass a function to `CustomRule`.

    Attributes:
        title: name in figures and tables; the name of the class where it is None.

    Source: Goldt and Seifert 2017, arXiv:1706.09713, section 2; Wennberg 2019.
    """

    title: ClassVar[str | None] = None

    @abc.abstractmethod
    def __call__(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        """F(s)."""

    @abc.abstractmethod
    def potential(self, s: Float[Array, "..."]) -> Float[Array, "..."]:
        """Φ(s), the integral of F from 0 to s."""

    @property
    @abc.abstractmethod
    def smooth(self) -> bool:
        """False where F jumps at s = 0: pathwise gradients and the heat then carry extra terms."""

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """The arguments that make the rule, in order."""
        return tuple(field.name for field in dataclasses.fields(cls) if field.init)

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


def check_force(rule: AbstractRule, dtype: Any) -> None:
    """TypeError where F of a scalar s of `dtype` is no such scalar. Found without computing."""
    force = eqx.filter_eval_shape(rule, jax.ShapeDtypeStruct((), dtype))
    if getattr(force, "shape", None) != () or force.dtype != dtype:
        raise TypeError(f"rule must map a scalar s of {dtype} to a scalar, got {force}")


def check_finite(rule: AbstractRule, dtype: Any) -> None:
    """ValueError where F is known and not finite on both sides of 0."""
    probes = jnp.asarray([-3.0, -0.1, 0.1, 3.0], dtype)
    values = jax.vmap(rule)(probes)
    if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
        raise ValueError(f"rule must be finite, got F({probes}) = {values}")


def potential_by_quadrature(
    rule: Callable[[Array], Array], s: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""$\Phi(s) = s\int_0^1 F(su)\,du$ by tanh-sinh quadrature, for rules without a closed form.

    Exact to rounding for F analytic on either side of 0 (singularities at 0 allowed); a kink
    elsewhere costs accuracy. 79 evaluations of F per s.
    """
    nodes, weights = (jnp.asarray(x, s.dtype) for x in tanh_sinh())
    force = jax.vmap(jnp.vectorize(rule), in_axes=-1, out_axes=-1)(s[..., None] * _row(nodes, s))
    return s * jnp.sum(_row(weights, s) * force, axis=-1)


def _row(values: Array, s: Array) -> Array:
    return values.reshape((1,) * s.ndim + values.shape)


class Hebbian(AbstractRule):
    """F(s) = 1: every example pushes alike. Φ(s) = s."""

    title = "Hebbian"

    def __call__(self, s):
        return jnp.ones_like(s)

    def potential(self, s):
        return s

    @property
    def smooth(self):
        return True


class PerceptronRule(AbstractRule):
    """F(s) = θ(-s): only wrong examples push. Φ(s) = s θ(-s). (Rosenblatt 1962.)"""

    title = "Perceptron"

    def __call__(self, s):
        return jnp.where(s < 0, jnp.ones_like(s), 0)

    def potential(self, s):
        return jnp.minimum(s, 0)

    @property
    def smooth(self):
        return False


class AdaTron(AbstractRule):
    """F(s) = |s| θ(-s): wrong examples push by how wrong they are. Φ(s) = -s²/2 θ(-s).

    (Anlauf and Biehl 1989.)
    """

    title = "AdaTron"

    def __call__(self, s):
        return jnp.maximum(-s, 0)

    def potential(self, s):
        return -(jnp.minimum(s, 0) ** 2) / 2

    @property
    def smooth(self):
        return True


class AlphaTron(AbstractRule):
    r"""$F(s) = \theta(-s) + |s|^\alpha\,\theta(s)$, $\Phi(s) = s\,\theta(-s) +
    s^{\alpha+1}/(\alpha+1)\,\theta(s)$.

    Constant when wrong, activation-dependent when right; α = 0 is Hebbian. This formula is a
    reading: the source's own was lost, and this one fits all its sentences (Wennberg 2019).

    Args:
        alpha: α > -1 for a finite mean force. α > -1/2 for finite dissipation, α > -1/4 for a
            finite variance of the heat; α < 1 for a steady state at every learning rate. A value
            outside (-1/4, 1) is warned about.

    Raises:
        ValueError: α <= -1.
    """

    title = "alpha-tron"
    alpha: Float[Array, ""] = eqx.field(converter=as_parameter)

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
        # exp and log are vectorised on a CPU, where a power is not.
        right = jnp.exp(self.alpha * jnp.log(jnp.where(s > 0, s, 1)))
        at_zero = jnp.where(self.alpha > 0, jnp.zeros_like(s), 1)
        return jnp.where(s > 0, right, jnp.where(s < 0, jnp.ones_like(s), at_zero))

    def potential(self, s):
        power = self.alpha + 1
        return jnp.where(s > 0, jnp.where(s > 0, s, 1) ** power / power, s)

    @property
    def smooth(self):
        return False


class LinearAlphaTron(AbstractRule):
    r"""$F(s) = \theta(-s) + \alpha s\,\theta(s)$, $\Phi(s) = s\,\theta(-s) +
    \alpha s^2/2\,\theta(s)$.

    A second reading of the α-tron: the force scales with the activation when the prediction is
    correct. Bounded only while learning_rate · α < stiffness.

    Args:
        alpha: slope of the force where the student is right.

    Raises:
        ValueError: α not finite.
    """

    title = "linear alpha-tron"
    alpha: Float[Array, ""] = eqx.field(converter=as_parameter)

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


class CustomRule(AbstractRule):
    """A rule of your own from F(s) alone; Φ comes by quadrature.

    Args:
        force: `force(s) -> F(s)` on a scalar s; a function or a module (a network, say).
        continuous: whether F is continuous at s = 0.
    """

    force: Callable[[Array], Array]
    continuous: bool = eqx.field(default=False, static=True, kw_only=True)

    def __check_init__(self):
        if not callable(self.force):
            raise TypeError(f"force must be a function of s, got {self.force!r}")

    def __call__(self, s):
        return self.force(s)

    def potential(self, s):
        return potential_by_quadrature(self.force, jnp.asarray(s))

    @property
    def smooth(self):
        return self.continuous


def _titled(classes: dict[str, Any]) -> dict[str, type[AbstractRule]]:
    rules = [x for x in classes.values() if isinstance(x, type) and issubclass(x, AbstractRule)]
    names = [(re.sub("[ -]", "_", (rule.title or "").lower()), rule) for rule in rules]
    return {name: rule for name, rule in names if name}


# The rules that are made of numbers alone, by the names that configs use.
RULES: dict[str, type[AbstractRule]] = _titled(globals())
