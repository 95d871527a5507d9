"""Engines in a row: temperature through the depth of a wide network."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.normal_mean import normal_mean
from ._balance import Activation, balance_at, check_activation, engine_balance


class EngineChain(eqx.Module):
    r"""Temperatures of pre-activations through a wide network at initialisation.

    $$T_{l+1} = \sigma_w^2\,\eta(T_l)\,T_l + \sigma_b^2$$

    Attributes:
        temperature: T of each layer's pre-activations, `(depth + 1,)`.
        efficiency: η of each layer's activation, `(depth,)`.
        slope: dT_{l+1}/dT_l, `(depth,)`; a temperature that is kept is stable where it is below 1.
        chi: χ = σ_w² E[φ'²], `(depth,)`: below 1 two inputs converge (order), above they part
            (chaos); infinite where φ jumps at a kink.
    """

    temperature: Float[Array, " depth+1"]
    efficiency: Float[Array, " depth"]
    slope: Float[Array, " depth"]
    chi: Float[Array, " depth"]


class WorkingTemperature(eqx.Module):
    """A temperature that a chain of engines keeps.

    Attributes:
        temperature: the fixed point.
        slope: dT_{l+1}/dT_l there; |slope| < 1 is stable.
        chi: σ_w² E[φ'²] there; 1 is the edge of chaos.
    """

    temperature: Float[Array, ""]
    slope: Float[Array, ""]
    chi: Float[Array, ""]

    @property
    def stable(self) -> bool:
        """Whether the temperatures of a chain tend to it."""
        return bool(jnp.abs(self.slope) < 1)

    def __str__(self) -> str:
        order = "order" if float(self.chi) < 1 else "chaos"
        return (
            f"T = {float(self.temperature):.6g}, {'' if self.stable else 'un'}stable (slope "
            f"{float(self.slope):.4g}), {order} (χ = {float(self.chi):.4g})"
        )


class _Step(eqx.Module):
    """One layer: the next temperature, and what belongs to the step."""

    activation: Activation
    weight_variance: Float[Array, ""]
    bias_variance: Float[Array, ""]
    kinks: Any
    jumps: bool = eqx.field(static=True)

    def next(self, temperature: Float[Array, ""]) -> tuple[Array, Array]:
        """The next temperature, and the efficiency."""
        efficiency = balance_at(self.activation, temperature, self.kinks).efficiency
        return self.weight_variance * efficiency * temperature + self.bias_variance, efficiency

    def chi(self, temperature: Float[Array, ""]) -> Float[Array, ""]:
        if self.jumps:
            return jnp.full_like(temperature, jnp.inf)

        def squared_slope(z):
            return jax.jvp(self.activation, (z,), (jnp.ones_like(z),))[1] ** 2

        mean = normal_mean(squared_slope, temperature, self.kinks)
        return self.weight_variance * mean

    def all(self, temperature: Float[Array, ""]) -> tuple[Array, Array, Array, Array]:
        """Next temperature, efficiency, slope and χ."""
        (after, efficiency), slope = jax.value_and_grad(self.next, has_aux=True)(temperature)
        return after, efficiency, slope, self.chi(temperature)


def _step(activation: Activation, weights: Any, biases: Any, kinks: Any) -> _Step:
    check_activation(activation)
    check_bound("weight_variance", weights, ">", 0.0)
    check_bound("bias_variance", biases, ">=", 0.0)
    weights, biases = as_parameter(weights), as_parameter(biases)
    for name, value in (("weight_variance", weights), ("bias_variance", biases)):
        if value.ndim:
            raise ValueError(f"{name} must be one number, got shape {value.shape}")
    return _Step(activation, weights, biases, kinks, _jumps(activation, kinks))


def _jumps(activation: Activation, kinks: Any) -> bool:
    """Whether φ itself jumps at one of its kinks, as a step does; False where that is traced."""
    if not is_concrete(kinks):
        return False
    with jax.ensure_compile_time_eval():
        for at in np.ravel(np.asarray(kinks, float)):
            near = 1e-4 * max(1.0, abs(at))
            sides = activation(jnp.asarray([at - 2 * near, at - near, at + near, at + 2 * near]))
            if not is_concrete(sides):
                return False
            values = np.asarray(sides, float)
            steps = abs(np.diff(values))
            if steps[1] > 0.01 and steps[1] > 20 * max(steps[0], steps[2]):
                return True
    return False


def engine_chain(
    activation: Activation,
    *,
    depth: int,
    weight_variance: Any,
    bias_variance: Any = 0.0,
    temperature: Any = 1.0,
    kinks: Any = (0.0,),
) -> EngineChain:
    r"""Temperature, efficiency and stability through the layers of a wide network.

    $$T_{l+1} = \sigma_w^2\,\eta(T_l)\,T_l + \sigma_b^2, \quad
      \frac{dT_{l+1}}{dT_l} = \sigma_w^2\,\eta\Big(1 + \frac{d\ln\eta}{d\ln T}\Big), \quad
      \chi = \sigma_w^2 E\,\phi'^2$$

    Args:
        activation, kinks: as for `work_efficiency`; a smooth φ whose slope has a kink needs it too.
        depth: number of activations, a whole number.
        weight_variance: σ_w², the variance of a weight times the number of inputs.
        bias_variance: σ_b².
        temperature: T of the first pre-activations.

    Returns:
        An `EngineChain`, differentiable in variances, temperature and the activation's parameters.

    Raises:
        TypeError, ValueError: as for `work_efficiency`; variances that are negative.

    Cost: O(10⁴) evaluations of the activation for each layer.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 9; Schoenholz et al. 2017,
    arXiv:1611.01232; Zhang 2024 for the engines.
    """
    depth = check_count("depth", depth)
    step = _step(activation, weight_variance, bias_variance, kinks)
    check_bound("temperature", temperature, ">", 0.0)
    first = as_parameter(temperature)
    if first.ndim:
        raise ValueError(f"temperature must be one number, got shape {first.shape}; use jax.vmap")
    found = _chain(step, first, depth)
    if is_concrete(found):
        engine_balance(activation, found.temperature, kinks=kinks)  # has it converged?
    return found


@eqx.filter_jit
def _chain(step: _Step, first: Float[Array, ""], depth: int) -> EngineChain:
    def go(temperature, _):
        after, efficiency, slope, chi = step.all(temperature)
        return after, (after, efficiency, slope, chi)

    _, (after, efficiency, slope, chi) = lax.scan(go, first, length=depth)
    return EngineChain(jnp.concatenate([first[None], after]), efficiency, slope, chi)


def working_temperatures(
    activation: Activation,
    *,
    weight_variance: Any,
    bias_variance: Any = 0.0,
    kinks: Any = (0.0,),
    between: tuple[float, float] = (1e-4, 1e4),
) -> list[WorkingTemperature]:
    r"""The temperatures that a chain of engines keeps, $T = \sigma_w^2\eta(T)T + \sigma_b^2$.

    None for a scale-free engine without bias: where σ_w² = 1/η every temperature is kept, and
    elsewhere none.

    Args:
        activation, weight_variance, bias_variance, kinks: as for `engine_chain`.
        between: the temperatures between which they are sought, on a grid of 200.

    Returns:
        Each with its slope and χ, ascending.

    Raises:
        TypeError, ValueError: as for `engine_chain`.
    """
    step = _step(activation, weight_variance, bias_variance, kinks)
    low, high = between
    check_bound("between", np.asarray([low, high - low]), ">", 0.0, "give (low, high)")
    found = _fixed_points(step, low, high)
    return [WorkingTemperature(*one) for one in zip(*found, strict=True)]


def _fixed_points(step: _Step, low: float, high: float) -> tuple[Array, Array, Array]:
    """Where the map less the identity changes its sign, by bisection in ln T."""
    logs = jnp.linspace(jnp.log(jnp.asarray(low)), jnp.log(jnp.asarray(high)), 200)
    away = np.asarray(_excess(step, logs))
    if not np.isfinite(away).all():
        raise ValueError("the activation must be finite, its efficiency is not for all T between")
    close = 1e-9 if away.dtype == np.float64 else 1e-5
    above = away > -close  # a scale-free engine at 1/η keeps all: no sign changes
    places = np.flatnonzero(above[:-1] != above[1:])
    left, right = logs[places], logs[places + 1]
    for _ in range(60 if away.dtype == np.float64 else 30):
        middle = (left + right) / 2
        same = jnp.sign(_excess(step, middle)) == jnp.sign(_excess(step, left))
        left, right = jnp.where(same, middle, left), jnp.where(same, right, middle)
    found = jnp.exp((left + right) / 2)
    return found, *_there(step, found)


@eqx.filter_jit
def _excess(step: _Step, log_temperature: Array) -> Array:
    """ln of next over present temperature."""
    temperature = jnp.exp(log_temperature)
    after, _ = lax.map(step.next, temperature)
    return jnp.log(after / temperature)


@eqx.filter_jit
def _there(step: _Step, temperatures: Array) -> tuple[Array, Array]:
    _, _, slope, chi = lax.map(step.all, temperatures)
    return slope, chi
