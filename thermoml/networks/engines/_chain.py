"""Chains of engines: temperature through the depth of a wide network."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.compile import jitted
from ...numerics.normal_mean import normal_mean, refuse_unconverged
from ...numerics.results import AbstractResult
from ...numerics.types import Numbers
from ._activations import Activation, Kinks, as_activation
from ._balance import balance_at


class EngineChain(AbstractResult):
    r"""Temperatures of pre-activations through a wide network at initialisation.

    $$T_{l+1} = \sigma_w^2\,\eta(T_l)\,T_l + \sigma_b^2$$

    Attributes:
        temperature: T of each layer's pre-activations, `(depth + 1,)`.
        efficiency: η of each layer's activation, `(depth,)`.
        slope: dT_{l+1}/dT_l, `(depth,)`; a fixed point is stable if its slope is below 1.
        chi: χ = σ_w² E[φ'²], `(depth,)`: below 1 two inputs converge (order), above 1 they diverge
            (chaos); infinite if φ jumps at a kink.
    """

    temperature: Float[Array, " layer"]
    efficiency: Float[Array, " depth"]
    slope: Float[Array, " depth"]
    chi: Float[Array, " depth"]

    def _summary(self):
        return f"EngineChain of depth {self.efficiency.shape[-1]}", {
            "temperature": self.temperature,
            "efficiency": self.efficiency,
            "slope": self.slope,
            "χ": self.chi,
        }


class WorkingTemperature(AbstractResult):
    """A fixed point of the temperature of a chain of engines.

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
        """True if the temperatures of a chain converge to it."""
        return bool(jnp.abs(self.slope) < 1)

    def _summary(self):
        if self.temperature.ndim:
            numbers = {"T": self.temperature, "slope": self.slope, "χ": self.chi}
            return "WorkingTemperature", numbers
        order = "order" if float(self.chi) < 1 else "chaos"
        return (
            f"T = {float(self.temperature):.6g}, {'' if self.stable else 'un'}stable (slope "
            f"{float(self.slope):.4g}), {order} (χ = {float(self.chi):.4g})"
        ), {}


class _Step(eqx.Module):
    """The map from the temperature of one layer to that of the next.

    With `check`, its means are taken with fewer nodes, to compare with.
    """

    activation: Activation
    weight_variance: Float[Array, ""]
    bias_variance: Float[Array, ""]
    jumps: bool = eqx.field(static=True)
    check: bool = eqx.field(static=True, default=False)

    def next(self, temperature: Float[Array, ""]) -> tuple[Array, Array]:
        """The next temperature, and the efficiency; near T = 0 its limit, where T underflows."""
        at = _above_underflow(temperature)
        efficiency = balance_at(self.activation, at, check=self.check).efficiency
        return self.weight_variance * efficiency * temperature + self.bias_variance, efficiency

    def chi(self, temperature: Float[Array, ""]) -> Float[Array, ""]:
        if self.jumps:
            return jnp.full_like(temperature, jnp.inf)

        def squared_slope(z):
            return jax.jvp(self.activation, (z,), (jnp.ones_like(z),))[1] ** 2

        at = _above_underflow(temperature)
        mean = normal_mean(squared_slope, at, self.activation.kinks, check=self.check)
        return self.weight_variance * mean

    def all(self, temperature: Float[Array, ""]) -> tuple[Array, Array, Array, Array]:
        """Next temperature, efficiency, slope and χ."""
        (after, efficiency), slope = jax.value_and_grad(self.next, has_aux=True)(temperature)
        return after, efficiency, slope, self.chi(temperature)


def _above_underflow(temperature: Float[Array, ""]) -> Float[Array, ""]:
    """T, or a temperature so small that its square still is a number."""
    least = jnp.asarray(float(jnp.finfo(temperature.dtype).tiny) ** 0.4, temperature.dtype)
    return jnp.where(temperature > least, temperature, least)


def _step(activation: Activation, weight_variance: Numbers, bias_variance: Numbers) -> _Step:
    check_bound("weight_variance", weight_variance, ">", 0.0)
    check_bound("bias_variance", bias_variance, ">=", 0.0)
    weights = as_parameter(weight_variance, "weight_variance")
    biases = as_parameter(bias_variance, "bias_variance")
    for name, value in (("weight_variance", weights), ("bias_variance", biases)):
        if value.ndim:
            raise ValueError(f"{name} must be one number, got shape {value.shape}")
    return _Step(activation, weights, biases, _jumps(activation))


def _jumps(activation: Activation) -> bool:
    """True if φ itself jumps at one of its kinks, as a step does; False if it is traced."""
    if not is_concrete(activation.kinks):
        return False
    with jax.ensure_compile_time_eval():
        for kink in np.ravel(np.asarray(activation.kinks, float)):
            near = 1e-4 * max(1.0, abs(kink))
            at = jnp.asarray([kink - 2 * near, kink - near, kink + near, kink + 2 * near])
            sides = activation(at)
            if not is_concrete(sides):
                return False
            steps = abs(np.diff(np.asarray(sides, float)))
            if steps[1] > 0.01 and steps[1] > 20 * max(steps[0], steps[2]):
                return True
    return False


def engine_chain(
    activation: str | Callable[[Array], Array],
    *,
    depth: int,
    weight_variance: Numbers,
    bias_variance: Numbers = 0.0,
    temperature: Numbers = 1.0,
    kinks: Kinks | None = None,
) -> EngineChain:
    r"""Temperature, efficiency and stability through the layers of a wide network.

    $$T_{l+1} = \sigma_w^2\,\eta(T_l)\,T_l + \sigma_b^2, \quad
      \frac{dT_{l+1}}{dT_l} = \sigma_w^2\,\eta\Big(1 + \frac{d\ln\eta}{d\ln T}\Big), \quad
      \chi = \sigma_w^2 E\,\phi'^2$$

    Args:
        activation, kinks: as for `work_efficiency`; for χ, kinks include those of the slope.
        depth: number of activations, a whole number.
        weight_variance: σ_w², the variance of a weight times the number of inputs, scalar.
        bias_variance: σ_b², in units of energy, scalar.
        temperature: T of the first pre-activations, in units of energy, scalar.

    Returns:
        An `EngineChain`, differentiable in variances, temperature and the activation's parameters.

    Raises:
        TypeError, ValueError: as for `work_efficiency`; variances that are negative.

    Cost: O(10⁴) evaluations of the activation for each layer.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 9; Schoenholz et al. 2017,
    arXiv:1611.01232; Zhang 2024 for the engines.

    Example:
        >>> print(tml.engine_chain("relu", depth=3, weight_variance=2.0).temperature)
        [1. 1. 1. 1.]
    """
    depth = check_count("depth", depth)
    activation = as_activation(activation, kinks)
    step = _step(activation, weight_variance, bias_variance)
    check_bound("temperature", temperature, ">", 0.0)
    first = as_parameter(temperature, "temperature")
    if first.ndim:
        raise ValueError(f"temperature must be one number, got shape {first.shape}; use jax.vmap")
    chain = _chain(step, first, depth)
    if is_concrete(chain):
        _converged(step, chain.temperature)
    return chain


def _converged(step: _Step, temperatures: Float[Array, " n"]) -> tuple[Array, Array, Array]:
    """Efficiency, slope and χ at each temperature; ValueError unless fewer nodes give the same."""
    fine = _at(step, temperatures)
    coarse = _at(dataclasses.replace(step, check=True), temperatures)
    names = ["the activation", "the activation's change with temperature"]
    if not step.jumps:  # with a jump χ is infinite
        names.append("its squared slope")
    for name, values, again in zip(names, fine, coarse, strict=False):
        refuse_unconverged(values[:, None], again[:, None], name)
    return fine


@jitted
def _chain(step: _Step, first: Float[Array, ""], depth: int) -> EngineChain:
    def go(temperature, _):
        after, efficiency, slope, chi = step.all(temperature)
        return after, (after, efficiency, slope, chi)

    _, (after, efficiency, slope, chi) = lax.scan(go, first, length=depth)
    return EngineChain(jnp.concatenate([first[None], after]), efficiency, slope, chi)


def working_temperatures(
    activation: str | Callable[[Array], Array],
    *,
    weight_variance: Numbers,
    bias_variance: Numbers = 0.0,
    kinks: Kinks | None = None,
    between: tuple[float, float] = (1e-4, 1e4),
) -> list[WorkingTemperature]:
    r"""The fixed points of the temperature of a chain, $T = \sigma_w^2\eta(T)T + \sigma_b^2$.

    A scale-free engine without bias has no isolated one: at σ_w² = 1/η every temperature is fixed,
    otherwise none.

    Args:
        activation, weight_variance, bias_variance, kinks: as for `engine_chain`.
        between: the lowest and highest temperature of the search, on a grid of 200.

    Returns:
        Each with its slope and χ, ascending.

    Raises:
        TypeError, ValueError: as for `engine_chain`; inside jit, vmap or grad.

    Cost: O(10⁶) evaluations of the activation.
    """
    step = _step(as_activation(activation, kinks), weight_variance, bias_variance)
    low, high = between
    check_bound("between", np.asarray([low, high - low]), ">", 0.0, "give (low, high)")
    points = _fixed_points(step, low, high)
    return [WorkingTemperature(*point) for point in zip(*points, strict=True)]


def _fixed_points(step: _Step, low: float, high: float) -> tuple[Array, Array, Array]:
    """Temperatures, slopes and χ at the sign changes of ln T' - ln T, by bisection in ln T."""
    logs = jnp.linspace(jnp.log(jnp.asarray(low)), jnp.log(jnp.asarray(high)), 200)
    excess = _excess(step, logs)
    if not is_concrete(excess):
        raise TypeError(
            "working_temperatures must not be traced: how many there are depends on the numbers; "
            "differentiate engine_chain from one of them instead"
        )
    excess = np.asarray(excess)
    if not np.isfinite(excess).all():
        raise ValueError("the activation must be finite, its efficiency is not for all T between")
    close = 1e-9 if excess.dtype == np.float64 else 1e-5
    above = excess > -close  # a scale-free engine at 1/η has only rounding, no sign changes
    places = np.flatnonzero(above[:-1] != above[1:])
    left, right = logs[places], logs[places + 1]
    for _ in range(60 if excess.dtype == np.float64 else 30):
        middle = (left + right) / 2
        same = jnp.sign(_excess(step, middle)) == jnp.sign(_excess(step, left))
        left, right = jnp.where(same, middle, left), jnp.where(same, right, middle)
    temperatures = jnp.exp((left + right) / 2)
    if not temperatures.size:
        return temperatures, temperatures, temperatures
    _, slope, chi = _converged(step, temperatures)
    return temperatures, slope, chi


@jitted
def _excess(step: _Step, log_temperature: Array) -> Array:
    """ln of next over present temperature."""
    temperature = jnp.exp(log_temperature)
    after, _ = lax.map(step.next, temperature)
    return jnp.log(after / temperature)


@jitted
def _at(step: _Step, temperatures: Array) -> tuple[Array, Array, Array]:
    """Efficiency, slope and χ at each temperature."""
    _, efficiency, slope, chi = lax.map(step.all, temperatures)
    return efficiency, slope, chi
