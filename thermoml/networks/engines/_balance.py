"""Activations as heat engines: the fraction of a unit's input energy that they pass on."""

import enum
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_number
from ...numerics.compile import jitted
from ...numerics.normal_mean import normal_mean, refuse_unconverged
from ...numerics.results import AbstractResult
from ...numerics.types import Numbers
from ._activations import Activation, Kinks, as_activation


class EngineBalance(AbstractResult):
    r"""The energy T of a pre-activation $z = \sqrt T g$, split into fractions of T.

    $$\phi(z) = \bar\phi + \kappa z + d, \quad E\,d = E\,zd = 0, \quad
      \eta = \frac{E\,\phi^2}T = \frac{\bar\phi^2}T + \kappa^2 + \frac{E\,d^2}T$$

    Attributes:
        efficiency: η, the work passed on; above 1 for a pump.
        constant: φ̄²/T, the same for all inputs.
        coherent: κ², with κ = E[zφ]/T = E[φ'], the part linear in the input.
        distortion: E[d²]/T, uncorrelated with the input.
        absorbed: 1 - η, negative for a pump.

    Source: Bussgang 1952; Zhang 2024, arXiv:2404.13218, for engines; our reading.
    """

    efficiency: Float[Array, "..."]
    constant: Float[Array, "..."]
    coherent: Float[Array, "..."]
    distortion: Float[Array, "..."]

    @property
    def absorbed(self) -> Float[Array, "..."]:
        return 1 - self.efficiency

    def _summary(self):
        names = ("efficiency", "constant", "coherent", "distortion", "absorbed")
        return "EngineBalance: fractions of T", {name: getattr(self, name) for name in names}


class EngineType(enum.Enum):
    """Dependence of an activation's efficiency on temperature."""

    SCALE_FREE = "φ(z)² + φ(-z)² grows like z²: the efficiency is the same at all temperatures"
    TEMPERATURE_DEPENDENT = "the efficiency changes with temperature"


class EngineClassification(AbstractResult):
    """The kind of engine that an activation is, with the evidence.

    Attributes:
        type: an `EngineType`.
        slope: d ln η/d ln T at each temperature.
        temperatures: those at which η is evaluated.
        efficiency: η at each temperature.
    """

    type: EngineType = eqx.field(static=True)
    slope: Float[Array, " temperature"]
    temperatures: Float[Array, " temperature"]
    efficiency: Float[Array, " temperature"]

    @property
    def pump(self) -> bool:
        """True if η exceeds 1, beyond rounding, at one of the temperatures."""
        close = 1e-9 if self.efficiency.dtype == np.float64 else 1e-5
        return bool(jnp.max(self.efficiency) > 1 + close)

    def _summary(self):
        low, high = (float(f(self.efficiency)) for f in (jnp.min, jnp.max))
        cold, hot = (float(self.temperatures[i]) for i in (0, -1))
        constant = high - low < 1e-4 * high
        efficiency = f"η = {low:.4g}" if constant else f"η from {low:.4g} to {high:.4g}"
        steepest = float(jnp.max(jnp.abs(self.slope)))
        return (
            f"{self.type.name.lower().replace('_', '-')} engine: {efficiency} for T from {cold:g} "
            f"to {hot:g}, |d ln η/d ln T| up to {steepest:.2g}" + (", a pump" * self.pump)
        ), {}


def work_efficiency(
    activation: str | Callable[[Array], Array],
    temperature: Numbers,
    *,
    kinks: Kinks | None = None,
) -> Float[Array, "..."]:
    r"""The work efficiency of an activation at the temperature of its pre-activations.

    $$\eta(T) = \frac{E\,\phi(\sqrt T g)^2}T, \quad g \sim N(0, 1)$$

    Args:
        activation: φ, a name of `tml.networks.ACTIVATIONS`, or any callable of arrays that acts
            on each element: one of `jax.nn`, a lambda, an `Activation`, a module whose arrays are
            parameters.
        temperature: T > 0, the variance of z, in units of energy; any shape.
        kinks: where φ or a derivative jumps, a number or several. If None, those in the table of
            activations; for a function that is not there, 0.

    Returns:
        η, of the shape of `temperature`. Differentiable in T and the activation's parameters.

    Raises:
        TypeError: an activation that is not elementwise.
        ValueError: an unknown name; T that is not positive; values that are not finite; a mean
            that has not converged to 1e-8 (1e-4 in float32): give all kinks.

    Cost: O(3000) evaluations for each temperature.

    Source: Zhang 2024, arXiv:2404.13218; our reading.

    Example:
        >>> print(tml.work_efficiency("relu", 2.0))
        0.5
    """
    return engine_balance(activation, temperature, kinks=kinks).efficiency


def coherent_efficiency(
    activation: str | Callable[[Array], Array],
    temperature: Numbers,
    *,
    kinks: Kinks | None = None,
) -> Float[Array, "..."]:
    r"""$\kappa^2 = (E[z\phi]/T)^2$, the part of the efficiency that is linear in the input.

    See `engine_balance` for the other parts, `work_efficiency` for arguments and errors.
    """
    return engine_balance(activation, temperature, kinks=kinks).coherent


def engine_balance(
    activation: str | Callable[[Array], Array],
    temperature: Numbers,
    *,
    kinks: Kinks | None = None,
) -> EngineBalance:
    """Efficiency and its parts; arguments and errors as for `work_efficiency`."""
    activation = as_activation(activation, kinks)
    check_bound("temperature", temperature, ">", 0.0)
    temperature = as_parameter(temperature, "temperature")
    flat = temperature.reshape(-1)
    moments = _all_moments(activation, flat)
    if is_concrete(moments):
        coarse = _all_moments(activation, flat, check=True)
        refuse_unconverged(moments, coarse, "the activation")
    balance = jax.vmap(_balance)(moments, flat)
    return jax.tree.map(lambda x: x.reshape(temperature.shape), balance)


def balance_at(
    activation: Activation, temperature: Float[Array, ""], *, check: bool = False
) -> EngineBalance:
    """The balance at one temperature, unchecked; with `check`, by fewer nodes, to compare with."""
    return _balance(_moments(activation, temperature, check=check), temperature)


@jitted
def _all_moments(
    activation: Activation, temperatures: Float[Array, " n"], *, check: bool = False
) -> Float[Array, "n 3"]:
    return lax.map(lambda t: _moments(activation, t, check=check), temperatures)


def _moments(
    activation: Activation, temperature: Float[Array, ""], *, check: bool = False
) -> Float[Array, " 3"]:
    """Means of φ², √T φ and zφ, all in units of T."""

    def parts(z):
        phi = activation(z).astype(z.dtype)
        return jnp.stack([phi**2, jnp.sqrt(temperature) * phi, z * phi])

    return normal_mean(parts, temperature, activation.kinks, check=check)


def _balance(moments: Float[Array, " 3"], temperature: Float[Array, ""]) -> EngineBalance:
    efficiency, mean, correlation = moments / temperature
    rest = efficiency - mean**2 - correlation**2
    # A variance; where φ is linear rounding may take it below 0
    return EngineBalance(efficiency, mean**2, correlation**2, jnp.maximum(rest, 0))


def classify_engine(
    activation: str | Callable[[Array], Array],
    *,
    temperatures: Numbers | None = None,
    kinks: Kinks | None = None,
    tolerance: float | None = None,
) -> EngineClassification:
    r"""Classification of an activation: does its efficiency depend on temperature?

    $$\frac{d\ln\eta}{d\ln T} = 0 \text{ for all } T \iff \phi(z)^2 + \phi(-z)^2 \propto z^2$$

    Args:
        activation, kinks: as for `work_efficiency`.
        temperatures: `(temperature,)`, at which η is evaluated; 25 from 0.01 to 100 by default.
        tolerance: the largest |d ln η/d ln T| of a scale-free engine; 1e-6, in float32 1e-3.

    Returns:
        An `EngineClassification` with type, slope and efficiency at each temperature.

    Raises:
        TypeError, ValueError: as for `work_efficiency`; an activation that is 0 everywhere; inside
            jit, vmap or grad.

    Cost: O(10⁴) evaluations for each temperature.

    Example:
        >>> print(tml.classify_engine("relu"))
        scale-free engine: η = 0.5 for T from 0.01 to 100, |d ln η/d ln T| up to 0
    """
    activation = as_activation(activation, kinks)
    if temperatures is None:
        temperatures = jnp.geomspace(0.01, 100.0, 25)
    check_bound("temperatures", temperatures, ">", 0.0)
    temperatures = jnp.atleast_1d(as_parameter(temperatures, "temperatures"))

    def log_efficiency(log_temperature):
        return jnp.log(balance_at(activation, jnp.exp(log_temperature)).efficiency)

    efficiency = work_efficiency(activation, temperatures)
    if not is_concrete(efficiency):
        raise TypeError(
            "classify_engine must not be traced, since a type has no derivative; use "
            "work_efficiency inside jit, vmap or grad"
        )
    if not (np.asarray(efficiency) > 0).all():
        raise ValueError("activation must pass some energy on, got one that is 0 everywhere")
    slope = jax.vmap(jax.grad(log_efficiency))(jnp.log(temperatures))
    if tolerance is None:
        tolerance = 1e-6 if temperatures.dtype == np.float64 else 1e-3
    check_number("tolerance", tolerance)
    check_bound("tolerance", tolerance, ">", 0.0)
    steepest = float(jnp.max(jnp.abs(slope)))
    kind = EngineType.SCALE_FREE if steepest < tolerance else EngineType.TEMPERATURE_DEPENDENT
    return EngineClassification(kind, slope, temperatures, efficiency)
