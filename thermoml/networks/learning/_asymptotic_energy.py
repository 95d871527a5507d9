"""Expected energies of wide and narrow initialisations."""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.normal_mean import normal_mean, refuse_unconverged
from ...numerics.quadrature import gauss_legendre
from ._energy import AbstractEnergy


def asymptotic_energy(
    energy: AbstractEnergy, variance: Any, *, width: Literal["narrow", "wide"], n_classes: int = 2
) -> Float[Array, "..."]:
    r"""The expected energy of normal outputs of variance v, for narrow and wide initialisations.

    | energy | v → 0 | v → ∞ |
    |---|---|---|
    | mean squared, targets 0 | v/2 | v/2 |
    | mean absolute, targets 0 | √(2v/π) | √(2v/π) |
    | cross-entropy, 2 classes | ln 2 + v/8 | √(v/2π) |
    | softmax, c classes | ln c + v(1 - 1/c)/2 | √v E[max of c normals] |

    The regressions are exact. The next terms of cross-entropies are O(v²) for narrow and O(1/√v)
    for wide initialisations. Outputs of uniform parameters are normal in the limit of many.
    Energies without a closed form are averaged by quadrature, at any width, with one output.

    Args:
        energy: such as `CrossEntropy()`.
        variance: v > 0 of each output; outputs are independent and normal.
        width: "narrow" or "wide".
        n_classes: c; 2 means a single output.

    Returns:
        E, of the shape of v.

    Raises:
        ValueError, TypeError: arguments of other kinds; an energy without a closed form for many
            classes.
    """
    check_bound("variance", variance, ">", 0.0)
    if width not in ("narrow", "wide"):
        raise ValueError(f'width must be "narrow" or "wide", got {width!r}')
    n_classes = check_count("n_classes", n_classes, 2)
    return expectation_limit(energy, as_parameter(variance), width, n_classes)


@functools.singledispatch
def expectation_limit(
    energy: AbstractEnergy,
    variance: Float[Array, "..."],
    width: Literal["narrow", "wide"],
    n_classes: int,
) -> Float[Array, "..."]:
    """The mean of the loss by quadrature, for one output: exact at any variance.

    Raises:
        TypeError: neither an energy nor one with a closed form, for more than two classes.
        ValueError: a loss that is not finite, or has kinks away from 0.
    """
    if not isinstance(energy, AbstractEnergy):
        raise TypeError(f"energy must be an AbstractEnergy, got {energy!r}")
    if energy.classifies and n_classes > 2:
        raise TypeError(
            f"{type(energy).__name__} has no closed form for {n_classes} classes: use "
            "expected_energy, or register expectation_limit for it (see AbstractEnergy)"
        )
    targets = (0, 1) if energy.classifies else (0.0,)

    def loss(outputs):
        losses = [jax.vmap(energy.loss, (0, None))(outputs, target) for target in targets]
        return jnp.mean(jnp.stack(losses), axis=0)

    def mean(check):
        return jnp.vectorize(lambda v: normal_mean(loss, v, check=check))(variance)

    value = mean(False)
    if is_concrete(value):
        refuse_unconverged(value[..., None], mean(True)[..., None], f"the loss of {energy}")
    return value


def expected_maximum(count: int) -> Float[Array, ""]:
    r"""$E\max(g_1, …, g_c) = \int x\,c\,\varphi(x)\Phi(x)^{c-1}dx$ of c standard normal numbers."""
    count = check_count("count", count)
    u, w = (jnp.asarray(x) for x in gauss_legendre(256))
    x = 18 * u - 9
    density = jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi)
    # From the upper tail: in float32 the distribution function is too close to 1 for high powers
    above = jnp.minimum(jax.scipy.stats.norm.cdf(-x), 1 - jnp.finfo(x.dtype).eps)
    return 18 * jnp.sum(w * x * count * density * jnp.exp((count - 1) * jnp.log1p(-above)))
