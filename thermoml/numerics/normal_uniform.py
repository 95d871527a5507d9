r"""Expectations over sums of independent normal and uniform variables, exact for any mixture.

A linear model's output under an initialisation is such a sum, $z = \sum_j x_j\theta_j$. Its
characteristic function is known in closed form,

$$\varphi(t) = e^{-\sum_j(\sigma_jt)^2/2}\prod_j\frac{\sin a_jt}{a_jt}$$

so expectations are taken in Fourier space. There the trapezoidal rule is exact up to periodic
images, which the step keeps away: no accuracy is lost at the kink of |z|.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import erf
from jaxtyping import Array, Float

from .quadrature import gauss_legendre

_FREQUENCIES = 512
_GRID = 4096
_REACH = 9.0  # standard deviations: sums of uniform variables have lighter tails than normal ones


class Widths(NamedTuple):
    """Widths of numbers that are each normal or uniform, all independent, of mean 0.

    Attributes:
        normal: standard deviations σ, 0 for a uniform number.
        uniform: bounds a of [-a, a], 0 for a normal number. Both broadcast to the numbers' shape.
    """

    normal: Float[Array, "..."]
    uniform: Float[Array, "..."]

    @property
    def variance(self) -> Float[Array, "..."]:
        """σ² + a²/3."""
        return self.normal**2 + self.uniform**2 / 3

    def broadcast_to(self, shape: tuple[int, ...]) -> "Widths":
        """The widths of each number of this shape."""
        return Widths(*(jnp.broadcast_to(w, shape) for w in self))


def scaled(features: Float[Array, " d"], widths: Widths) -> Widths:
    """The widths of x_j θ_j."""
    size = jnp.abs(features)
    return Widths(*(size.reshape((1,) * (w.ndim - 1) + (-1,)) * w if w.ndim else size * w
                    for w in widths))  # fmt: skip


def _total(widths: Widths) -> Array:
    """Variance of the sum over the last axis, kept off 0 so that its root has a derivative."""
    total = jnp.sum(widths.variance, axis=-1)
    return jnp.maximum(total, jnp.finfo(total.dtype).tiny ** 0.5)


def _characteristic(widths: Widths, t: Float[Array, " t"]) -> Float[Array, "... t"]:
    """φ(t), for each row of widths."""
    normal = jnp.sum(widths.normal**2, axis=-1)[..., None]
    phase = widths.uniform[..., None] * t.reshape((1,) * widths.uniform.ndim + (-1,))
    gauss = jnp.exp(-normal * _row(t, normal) ** 2 / 2)
    return gauss * jnp.prod(_sinc(phase), axis=-2)


def _sinc(x: Array) -> Array:
    r"""$\tfrac{\sin x}x$; by its series near 0, where the derivative of the quotient cancels."""
    near = jnp.abs(x) < 0.7
    square, series = jnp.where(near, x, 0) ** 2, jnp.ones_like(x)
    for k in (6, 5, 4, 3, 2, 1):
        series = 1 - square / (2 * k * (2 * k + 1)) * series
    far = jnp.where(near, 1, x)
    return jnp.where(near, series, jnp.sin(far) / far)


def _row(t: Array, like: Array) -> Array:
    return t.reshape((1,) * (like.ndim - 1) + (-1,))


def expected_absolute(offset: Float[Array, ""], widths: Widths) -> Float[Array, ""]:
    r"""$E|z - m|$: that of the folded normal, corrected for uniform parts.

    $$E|z - m| = \sqrt{\tfrac{2v}\pi}e^{-m^2/2v} + m\,\mathrm{erf}\tfrac m{\sqrt{2v}}
      + \frac2\pi\int_0^\infty\frac{[e^{-vt^2/2} - \varphi(t)]\cos mt}{t^2}dt$$
    """
    variance = _total(widths)
    root = jnp.sqrt(variance)
    folded = root * float(np.sqrt(2 / np.pi)) * jnp.exp(-(offset**2) / (2 * variance))
    folded = folded + offset * erf(offset / (root * float(np.sqrt(2))))
    reach = lax.stop_gradient(_REACH * root)
    step = (
        2 * float(np.pi) / (1.5 * (reach + jnp.minimum(lax.stop_gradient(jnp.abs(offset)), reach)))
    )
    t = step * jnp.arange(1, _FREQUENCIES + 1).astype(variance.dtype)
    lacking = (jnp.exp(-variance * t**2 / 2) - _characteristic(widths, t)) * jnp.cos(offset * t)
    correction = step * jnp.sum(lacking / t**2) * (2 / float(np.pi))
    return folded + jnp.where(jnp.abs(offset) < reach, correction, 0)


def expected_log_cosh(widths: Widths) -> Float[Array, ""]:
    r"""$E\ln(2\cosh\tfrac z2)$, the expected binary cross-entropy of a symmetric logit.

    By 64 points for a normal z, and for uniform parts, with $1/(\pi t\sinh\pi t)$ the transform,

    $$\int_0^\infty\frac{e^{-vt^2/2} - \varphi(t)}{t\sinh\pi t}dt$$
    """
    variance = _total(widths)
    root = jnp.sqrt(variance)
    step = 2 * float(np.pi) / (2 * lax.stop_gradient(_REACH * root) + 40)
    t = step * jnp.arange(1, _FREQUENCIES + 1).astype(variance.dtype)
    lacking = jnp.exp(-variance * t**2 / 2) - _characteristic(widths, t)
    transform = 2 * jnp.exp(-float(np.pi) * t) / (-jnp.expm1(-2 * float(np.pi) * t))
    return normal_log_cosh(root) + step * jnp.sum(lacking * transform / t)


def normal_log_cosh(std: Float[Array, ""]) -> Float[Array, ""]:
    r"""$E\ln(2\cosh\tfrac z2)$ for normal z; for a wide one |z|/2 is split off in closed form."""
    u, w = (jnp.asarray(x, std.dtype) for x in gauss_legendre(64))

    def half_normal(f, end):
        density = jnp.exp(-((end * u) ** 2) / 2) * float(np.sqrt(2 / np.pi))
        return end * jnp.sum(w * density * f(std * end * u))

    narrow = half_normal(lambda z: z / 2 + jax.nn.softplus(-z), jnp.asarray(_REACH, std.dtype))
    end = jnp.minimum(_REACH, 40 / lax.stop_gradient(std))
    wide = std / float(np.sqrt(2 * np.pi)) + half_normal(lambda z: jax.nn.softplus(-z), end)
    return jnp.where(std < 3, narrow, wide)


def expected_log_sum_exp(widths: Widths, n_classes: int) -> Float[Array, ""]:
    r"""$E\ln\sum_{c=1}^n e^{z_c}$ for independent $z_c$, one row of widths each or one for all.

    The logarithm of a sum of exponentials is the mean of a maximum, $E_g\max_c(z_c + g_c) -
    \gamma$, with g from Gumbel's distribution, whose characteristic function is Γ(1 - it). So
    the distribution functions F_c of the sums come from one FFT each, and
    $E\max = x_1 - \int_{x_0}^{x_1}\prod_cF_c\,dx$.
    """
    variance = _total(widths)
    dtype = variance.dtype
    reach = lax.stop_gradient(_REACH * jnp.sqrt(jnp.max(variance)))
    start, period = -reach - 5, 2 * reach + 50 + float(np.log(n_classes))
    k = jnp.arange(_GRID // 2 + 1).astype(dtype)
    t = 2 * float(np.pi) * k / period
    phase, modulus = _gumbel_phase(t)
    # A density's transform over -it is that of its integral; the mean, k = 0, makes the ramp
    modulus = jnp.where(k == 0, 0, modulus / jnp.where(k == 0, 1, t))
    characteristic = _characteristic(widths, t)
    phase = _row(phase - t * start, characteristic)
    size = _row(modulus, characteristic) * characteristic
    wave = lax.complex(-size * jnp.sin(phase), -size * jnp.cos(phase))
    swing = jnp.fft.irfft(wave, _GRID, axis=-1) * (_GRID / period)
    ramp = jnp.arange(_GRID).astype(dtype) / _GRID
    below = ramp.reshape((1,) * (swing.ndim - 1) + (-1,)) + swing - swing[..., :1]
    below = jnp.clip(below, 0, 1)
    product = jnp.prod(below, axis=0) if below.shape[0] == n_classes else below[0] ** n_classes
    integral = period / _GRID * jnp.sum(product) + period / _GRID / 2
    return start + period - integral - float(np.euler_gamma)


def _gumbel_phase(t: Float[Array, " t"]) -> tuple[Array, Array]:
    """Argument and modulus of Γ(1 - it), by Stirling's series and recurrence."""
    shift = 8
    real, imaginary = jnp.asarray(shift + 1.0, t.dtype), -t
    square, angle = real**2 + t**2, jnp.arctan2(imaginary, real)
    logarithm = jnp.log(square) / 2
    argument = (real - 0.5) * angle + imaginary * logarithm - imaginary
    for power, coefficient in ((1, 1 / 12), (3, -1 / 360), (5, 1 / 1260), (7, -1 / 1680)):
        argument = argument - coefficient * jnp.sin(power * angle) / square ** (power / 2)
    for j in range(1, shift + 1):
        argument = argument - jnp.arctan2(imaginary, jnp.asarray(float(j), t.dtype))
    scaled_t = float(np.pi) * t
    small = jnp.where(t == 0, 1, scaled_t)
    modulus = jnp.sqrt(jnp.where(t == 0, 1, 2 * small * jnp.exp(-small) / -jnp.expm1(-2 * small)))
    return argument, modulus
