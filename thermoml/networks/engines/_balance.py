"""Activations as heat engines: what of the energy that a unit takes in it passes on."""

import enum
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound
from ...numerics.normal_mean import normal_mean, refuse_unconverged

Activation = Callable[[Any], Any]


class EngineBalance(eqx.Module):
    r"""Where the energy T of a pre-activation $z = \sqrt T g$ goes, as fractions of T.

    $$\phi(z) = \bar\phi + \kappa z + d, \quad E\,d = E\,zd = 0, \quad
      \eta = \frac{E\,\phi^2}T = \frac{\bar\phi^2}T + \kappa^2 + \frac{E\,d^2}T$$

    Attributes:
        efficiency: η, the work that is passed on; above 1 for a pump.
        constant: φ̄²/T, the same for all inputs.
        coherent: κ², with κ = E[zφ]/T = E[φ']: what follows the input.
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


class EngineType(enum.Enum):
    """Whether the efficiency of an activation depends on temperature."""

    SCALE_FREE = "φ(z)² + φ(-z)² grows like z²: the efficiency is the same at all temperatures"
    TEMPERATURE_DEPENDENT = "the efficiency changes with temperature"


class EngineClassification(eqx.Module):
    """What kind of engine an activation is, with the evidence.

    Attributes:
        type: an `EngineType`.
        slope: d ln η/d ln T at each temperature.
        temperatures: where it was asked.
        efficiency: η at each temperature.
    """

    type: EngineType = eqx.field(static=True)
    slope: Float[Array, " temperature"]
    temperatures: Float[Array, " temperature"]
    efficiency: Float[Array, " temperature"]

    @property
    def pump(self) -> bool:
        """Whether η exceeds 1 (to rounding) at some temperature."""
        close = 1e-9 if self.efficiency.dtype == np.float64 else 1e-5
        return bool(jnp.max(self.efficiency) > 1 + close)

    def __str__(self) -> str:
        low, high = (float(f(self.efficiency)) for f in (jnp.min, jnp.max))
        ends = [float(self.temperatures[i]) for i in (0, -1)]
        found = f"η = {low:.4g}" if high - low < 1e-4 * high else f"η from {low:.4g} to {high:.4g}"
        steepest = float(jnp.max(jnp.abs(self.slope)))
        return (
            f"{self.type.name.lower().replace('_', '-')} engine: {found} for T from {ends[0]:g} to "
            f"{ends[1]:g}, |d ln η/d ln T| up to {steepest:.2g}" + (", a pump" * self.pump)
        )


def work_efficiency(
    activation: Activation, temperature: Any, *, kinks: Any = (0.0,)
) -> Float[Array, "..."]:
    r"""The work efficiency of an activation at the temperature of its pre-activations.

    $$\eta(T) = \frac{E\,\phi(\sqrt T g)^2}T, \quad g \sim N(0, 1)$$

    Args:
        activation: φ, elementwise, any callable of arrays: one of `jax.nn`, a lambda, a module
            whose arrays are parameters.
        temperature: T > 0, the variance of z, in units of energy; any shape.
        kinks: where φ or a derivative jumps, a number or several.

    Returns:
        η, of the shape of `temperature`. Differentiable in T and the activation's parameters.

    Raises:
        TypeError: an activation that is not elementwise.
        ValueError: T that is not positive; values that are not finite; a mean that has not
            converged to 1e-8 (1e-4 in float32), which more kinks mend.

    Cost: O(3000) evaluations for each temperature.

    Source: Zhang 2024, arXiv:2404.13218; our reading.
    """
    return engine_balance(activation, temperature, kinks=kinks).efficiency


def coherent_efficiency(
    activation: Activation, temperature: Any, *, kinks: Any = (0.0,)
) -> Float[Array, "..."]:
    r"""$\kappa^2 = (E[z\phi]/T)^2$, the part of the efficiency that follows the input.

    See `engine_balance` for its arguments and the rest of the split.
    """
    return engine_balance(activation, temperature, kinks=kinks).coherent


def engine_balance(
    activation: Activation, temperature: Any, *, kinks: Any = (0.0,)
) -> EngineBalance:
    """Efficiency and its parts; arguments and errors as for `work_efficiency`."""
    check_activation(activation)
    check_bound("temperature", temperature, ">", 0.0)
    temperature = as_parameter(temperature)
    flat = temperature.reshape(-1)
    found = _all_moments(activation, flat, kinks, False)
    if is_concrete(found):
        again = _all_moments(activation, flat, kinks, True)
        refuse_unconverged(found, again, "the activation")
    balance = jax.vmap(_balance)(found, flat)
    return jax.tree.map(lambda x: x.reshape(temperature.shape), balance)


def balance_at(activation: Activation, temperature: Float[Array, ""], kinks: Any) -> EngineBalance:
    """The balance at one temperature, without checks."""
    return _balance(_moments(activation, temperature, kinks), temperature)


@eqx.filter_jit
def _all_moments(
    activation: Activation, temperatures: Float[Array, " n"], kinks: Any, check: bool
) -> Float[Array, "n 3"]:
    return lax.map(lambda t: _moments(activation, t, kinks, check), temperatures)


def _moments(
    activation: Activation, temperature: Float[Array, ""], kinks: Any, check: bool = False
) -> Float[Array, " 3"]:
    """Means of φ², √T φ and zφ, all in units of T."""

    def parts(z):
        phi = activation(z).astype(z.dtype)
        return jnp.stack([phi**2, jnp.sqrt(temperature) * phi, z * phi])

    return normal_mean(parts, temperature, kinks, check=check)


def _balance(moments: Float[Array, " 3"], temperature: Float[Array, ""]) -> EngineBalance:
    efficiency, mean, correlation = moments / temperature
    rest = efficiency - mean**2 - correlation**2
    # A variance; where φ is linear rounding may take it below 0
    return EngineBalance(efficiency, mean**2, correlation**2, jnp.maximum(rest, 0))


def check_activation(activation: Any) -> None:
    """TypeError unless it acts on each element of an array by itself."""
    if not callable(activation):
        raise TypeError(f"activation must be callable, got {activation!r}")
    probe = jnp.linspace(-2.0, 2.0, 5)
    try:
        together: Any = activation(probe)
        alone: list[Any] = [activation(probe[i : i + 1]) for i in range(5)]
    except Exception as error:
        raise TypeError(f"activation must take an array of any length: {error}") from error
    shapes = [np.shape(together), *(np.shape(x) for x in alone)]
    if shapes != [(5,)] + [(1,)] * 5:
        raise TypeError(
            f"activation must be elementwise, but of shape (5,) it makes {shapes[0]}; functions "
            "such as softmax or GLU are no engines of single units"
        )
    if is_concrete((together, alone)):
        again = np.concatenate([np.asarray(x) for x in alone])
        if not np.allclose(again, np.asarray(together), rtol=1e-4, atol=1e-6, equal_nan=True):
            raise TypeError(
                "activation must be elementwise, but what it makes of one number depends on the "
                "others; functions such as softmax are no engines of single units"
            )


def classify_engine(
    activation: Activation,
    *,
    temperatures: Any = None,
    kinks: Any = (0.0,),
    tolerance: float | None = None,
) -> EngineClassification:
    r"""Whether the efficiency of an activation depends on temperature.

    $$\frac{d\ln\eta}{d\ln T} = 0 \text{ for all } T \iff \phi(z)^2 + \phi(-z)^2 \propto z^2$$

    Args:
        activation, kinks: as for `work_efficiency`.
        temperatures: `(temperature,)`, where it is asked; 25 from 0.01 to 100 if left out.
        tolerance: the largest |d ln η/d ln T| of a scale-free engine; 1e-6, in float32 1e-3.

    Returns:
        An `EngineClassification` with type, slope and efficiency at each temperature.

    Raises:
        TypeError, ValueError: as for `work_efficiency`; an activation that passes nothing on.
    """
    check_activation(activation)
    if temperatures is None:
        temperatures = jnp.geomspace(0.01, 100.0, 25)
    check_bound("temperatures", temperatures, ">", 0.0)
    temperatures = jnp.atleast_1d(as_parameter(temperatures))

    def log_efficiency(log_temperature):
        return jnp.log(balance_at(activation, jnp.exp(log_temperature), kinks).efficiency)

    efficiency = work_efficiency(activation, temperatures, kinks=kinks)
    if is_concrete(efficiency) and not (np.asarray(efficiency) > 0).all():
        raise ValueError("activation must pass some energy on, got one that is 0 everywhere")
    slope = jax.vmap(jax.grad(log_efficiency))(jnp.log(temperatures))
    if tolerance is None:
        tolerance = 1e-6 if temperatures.dtype == np.float64 else 1e-3
    steepest = float(jnp.max(jnp.abs(slope)))
    kind = EngineType.SCALE_FREE if steepest < tolerance else EngineType.TEMPERATURE_DEPENDENT
    return EngineClassification(kind, slope, temperatures, efficiency)
