"""Systems: what a Langevin simulation needs to know about the physics."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from ..numerics.arrays import as_parameters

State = PyTree[Float[Array, "..."]]


class AbstractSystem(eqx.Module):
    r"""An overdamped system in contact with heat baths.

    $$dx = \mu F(x, \lambda, \xi)\,dt + \sqrt{2\mu T}\,dW, \qquad
      F = -\partial_x U(x, \lambda, \xi) + f(x, \lambda, \xi)$$

    x is the state (any pytree of floating arrays), λ(t) the control, ξ a sample of the environment
    drawn anew for each step (a batch of inputs, say), f a drive whose work is not stored in U.
    Subclass this for systems with samples; `Langevin` covers the rest. k_B = 1.

    Attributes:
        temperature, mobility: T and μ. Each a number, an array that broadcasts against a leaf of
            the state, a function of time, or a pytree of these whose structure is a prefix of the
            state's (one bath per leaf). Both must be >= 0.
    """

    temperature: eqx.AbstractVar[Any]
    mobility: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def energy(self, state: State, control: Any, sample: Any) -> Float[Array, ""]:
        """U(x, λ, ξ), a scalar."""

    @abc.abstractmethod
    def drive_force(self, state: State, control: Any, sample: Any) -> State | None:
        """f(x, λ, ξ), like the state, or None where there is no drive."""

    @abc.abstractmethod
    def control_at(self, t: Float[Array, ""]) -> Any:
        """λ(t), or None where there is no control."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""]) -> Any:
        """A sample ξ for one step, or None where the environment shows nothing."""

    @property
    @abc.abstractmethod
    def autonomous(self) -> bool:
        """True when neither λ nor ξ changes: a force found at a step's end serves the next."""


class Langevin(AbstractSystem):
    r"""A potential in a heat bath, with an optional drive and control.

    $$dx = \mu\,[-\partial_x U(x, \lambda(t)) + f(x, \lambda(t))]\,dt + \sqrt{2\mu T}\,dW$$

    Args:
        potential: `potential(x, control) -> scalar`, the energy U.
        drive: `drive(x, control) -> force like x`, a force f outside the potential; None for none.
        control: `control(t) -> pytree`; None passes `None` to `potential` and `drive`. Prefer
            `Constant`, `Ramp`, `PiecewiseLinear` or a module of yours: their arrays are leaves.
            A lambda is known by its identity, so a new one compiles again.
        temperature, mobility: see `AbstractSystem`. T = 0 is deterministic.

    Raises:
        TypeError: potential, drive or control is not callable.

    Source: Sekimoto 2010, Stochastic Energetics, ch. 1 and 4; Seifert 2012, section 2.
    """

    potential: Callable[[Any, Any], Float[Array, ""]]
    drive: Callable[[Any, Any], Any] | None = eqx.field(default=None, kw_only=True)
    control: Callable[[Any], Any] | None = eqx.field(default=None, kw_only=True)
    temperature: Any = eqx.field(default=1.0, kw_only=True, converter=as_parameters)
    mobility: Any = eqx.field(default=1.0, kw_only=True, converter=as_parameters)

    def __check_init__(self):
        if not callable(self.potential):
            raise TypeError(f"potential must be callable, got {self.potential!r}")
        for name in ("drive", "control"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name} must be callable or None, got {value!r}")

    def energy(self, state, control, sample):
        return self.potential(state, control)

    def drive_force(self, state, control, sample):
        return None if self.drive is None else self.drive(state, control)

    def control_at(self, t):
        return None if self.control is None else self.control(t)

    def draw(self, key):
        return None

    @property
    def autonomous(self) -> bool:
        return self.control is None
