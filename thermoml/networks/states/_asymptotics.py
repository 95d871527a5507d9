"""Limits of many parameters and examples."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound


def log_determinant_density(aspect_ratio: Any) -> Float[Array, "..."]:
    r"""$\ell(c) = \lim\tfrac1d\ln\det C = -1 - \tfrac{1-c}c\ln(1-c)$ for whitened normal data.

    Args:
        aspect_ratio: c = d/n, in (0, 1): parameters for each example.

    Raises:
        ValueError: c outside (0, 1): with fewer examples than parameters C is singular.

    Source: Marchenko and Pastur 1967; the integral of ln over their law.
    """
    c = _aspect("aspect_ratio", aspect_ratio)
    # 1 + (1-c)/c ln(1-c) cancels for small c
    small = jnp.where(c < 0.01, c, 0.01)
    series = -small / 2 - small**2 / 6 - small**3 / 12 - small**4 / 20 - small**5 / 30
    safe = jnp.where(c < 0.01, 0.5, c)
    return jnp.where(c < 0.01, series, -1 - (1 - safe) / safe * jnp.log1p(-safe))


def asymptotic_temperature(
    *, aspect_ratio: Any, initial_variance: Any, signal: Any, bath_temperature: Any
) -> Float[Array, ""]:
    r"""Temperature of training a linear model of many parameters, mean squared error.

    $$T = \frac{s_0 + \hat\theta^\top C\hat\theta/d - \tau}{\ln(s_0/\tau) + \ell(c)},
      \qquad d, n \to \infty, \quad c = d/n$$

    for whitened normal features and a normal start of variance s₀. The remainder is O(1/d).

    Args:
        aspect_ratio: c, in (0, 1).
        initial_variance: s₀ > 0.
        signal: θ̂ᵀCθ̂/d >= 0. It equals |θ̂|²/d if the variance of the label noise is small relative
            to |θ̂|²; larger noise lengthens θ̂ along the directions in which C is small.
        bath_temperature: τ > 0.

    Returns:
        T, scalar; differentiable in all arguments.

    Raises:
        ValueError: arguments outside these ranges.

    Source: derived here from Marchenko and Pastur 1967; definition of T: Zhang 2024.
    """
    check_bound("initial_variance", initial_variance, ">", 0.0)
    check_bound("signal", signal, ">=", 0.0)
    check_bound("bath_temperature", bath_temperature, ">", 0.0)
    start = as_parameter(initial_variance, "initial_variance")
    signal = as_parameter(signal, "signal")
    bath = as_parameter(bath_temperature, "bath_temperature")
    drop = jnp.log(start / bath) + log_determinant_density(aspect_ratio)
    return (start + signal - bath) / drop


def asymptotic_refresh(
    *,
    aspect_ratio: Any,
    new_aspect_ratio: Any,
    label_noise: Any,
    n_parameters: Any,
    bath_temperature: Any,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Mean heat and entropy drop of a trained linear model on new data of the same law.

    $$\Delta Q = \tfrac12\Big[\frac{\tau dc}{1-c} + \sigma^2\Big(\frac c{1-c} + c'\Big)\Big],
      \qquad \Delta S = \tfrac d2[\ell(c') - \ell(c)]$$

    Args:
        aspect_ratio, new_aspect_ratio: c = d/n and c' = d/n' of the old and the new data.
        label_noise: σ >= 0, standard deviation of the targets about the plane.
        n_parameters: d.
        bath_temperature: τ > 0.

    Returns:
        ΔQ in units of energy and ΔS in nats; the remainders are O(1/d) relative to them.

    Raises:
        ValueError: arguments outside these ranges.

    Source: derived here from Marchenko and Pastur 1967.
    """
    check_bound("label_noise", label_noise, ">=", 0.0)
    check_bound("n_parameters", n_parameters, ">", 0.0)
    check_bound("bath_temperature", bath_temperature, ">", 0.0)
    old, new = _aspect("aspect_ratio", aspect_ratio), _aspect("new_aspect_ratio", new_aspect_ratio)
    size = as_parameter(n_parameters, "n_parameters")
    bath = as_parameter(bath_temperature, "bath_temperature")
    excess = old / (1 - old)
    heat = bath * size * excess + as_parameter(label_noise, "label_noise") ** 2 * (excess + new)
    return heat / 2, size / 2 * (log_determinant_density(new) - log_determinant_density(old))


def _aspect(name: str, value: Any) -> Float[Array, "..."]:
    check_bound(name, value, ">", 0.0)
    check_bound(name, value, "<", 1.0, "with fewer examples than parameters C is singular")
    return as_parameter(value, name)
