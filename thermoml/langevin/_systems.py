"""Systems: the physics of a Langevin simulation."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from ..numerics.checks import parameters
from ._baths import Baths
from ._types import StateTree, Time


class AbstractSystem(eqx.Module):
    r"""An overdamped system in contact with heat baths.

    $$dx = \mu F(x, \lambda, \xi)\,dt + \sqrt{2\mu T}\,dW, \qquad
      F = -\partial_x U(x, \lambda, \xi) + f(x, \lambda, \xi)$$

    x is the state (any pytree of floating arrays), λ(t) the control, ξ a sample of the environment
    drawn anew for each step (a batch of inputs, say), f a drive whose work is not stored in U.
    Subclass it for systems with samples; `Langevin` covers the rest. k_B = 1.

    Attributes:
        temperature, mobility: T and μ, both >= 0, in any form that `Baths` takes.
        baths: both together, as `Baths`.
    """

    temperature: eqx.AbstractVar[Any]
    mobility: eqx.AbstractVar[Any]

    @property
    def baths(self) -> Baths:
        return Baths(self.temperature, self.mobility)

    @abc.abstractmethod
    def energy(self, state: StateTree, control: Any, sample: Any) -> Float[Array, ""]:
        """U(x, λ, ξ), a scalar."""

    @abc.abstractmethod
    def drive_force(self, state: StateTree, control: Any, sample: Any) -> StateTree | None:
        """f(x, λ, ξ), like the state, or None without a drive."""

    @abc.abstractmethod
    def control_at(self, t: Time) -> Any:
        """λ(t), or None without a control."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""]) -> Any:
        """A sample ξ for one step, or None for an environment without samples."""

    @property
    @abc.abstractmethod
    def autonomous(self) -> bool:
        """True if neither λ nor ξ changes, so that the force at a step's end serves the next."""


class Langevin(AbstractSystem):
    r"""A potential in a heat bath, with an optional drive and control.

    $$dx = \mu\,[-\partial_x U(x, \lambda(t)) + f(x, \lambda(t))]\,dt + \sqrt{2\mu T}\,dW$$

    Args:
        potential: `potential(x, control) -> scalar`, the energy U, such as `HarmonicPotential`.
        drive: `drive(x, control) -> force like x`, a force f outside the potential, or None.
        control: `control(t) -> pytree`; None passes `None` to `potential` and `drive`. Prefer
            `Constant`, `Ramp`, `PiecewiseLinear` or a module of your own: their arrays are leaves.
            A lambda is compared by identity, so each new one compiles again.
        temperature, mobility: T and μ, 1 by default, in any form that `Baths` takes.
        baths: both together, a `Baths`, in place of `temperature` and `mobility`.

    Raises:
        TypeError: potential, drive or control is not callable, or `baths` is no `Baths` or given
            in addition to temperature or mobility.

    Source: Sekimoto 2010, Stochastic Energetics, ch. 1 and 4; Seifert 2012, section 2.
    """

    potential: Callable[[Any, Any], Float[Array, ""]]
    drive: Callable[[Any, Any], StateTree] | None
    control: Callable[[Any], Any] | None
    temperature: PyTree[Any]
    mobility: PyTree[Any]

    def __init__(
        self,
        potential: Callable[[Any, Any], Float[Array, ""]],
        *,
        drive: Callable[[Any, Any], StateTree] | None = None,
        control: Callable[[Any], Any] | None = None,
        temperature: PyTree[Any] = None,
        mobility: PyTree[Any] = None,
        baths: Baths | None = None,
    ):
        if not callable(potential):
            raise TypeError(f"potential must be callable, got {potential!r}")
        for name, function in (("drive", drive), ("control", control)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be callable or None, got {function!r}")
        self.potential, self.drive, self.control = potential, drive, control
        if baths is None:
            self.temperature = parameters("temperature")(
                1.0 if temperature is None else temperature
            )
            self.mobility = parameters("mobility")(1.0 if mobility is None else mobility)
            return
        if not isinstance(baths, Baths):
            raise TypeError(f"baths must be Baths(temperature, mobility), got {baths!r}")
        if temperature is not None or mobility is not None:
            raise TypeError("baths stand for temperature and mobility: pass either, not both")
        self.temperature, self.mobility = baths.temperature, baths.mobility

    def energy(self, state: StateTree, control: Any, sample: Any) -> Float[Array, ""]:
        return self.potential(state, control)

    def drive_force(self, state: StateTree, control: Any, sample: Any) -> StateTree | None:
        return None if self.drive is None else self.drive(state, control)

    def control_at(self, t: Time) -> Any:
        return None if self.control is None else self.control(t)

    def draw(self, key: Key[Array, ""]) -> Any:
        return None

    @property
    def autonomous(self) -> bool:
        return self.control is None
