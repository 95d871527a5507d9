"""Gibbs entropies estimated from samples: by a normal law, and by nearest neighbours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, gammaln, polygamma
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import check_count
from ..numerics.host import on_host
from ..numerics.results import AbstractResult
from ..numerics.statistics import Estimate
from ..numerics.types import AnyArray
from ._entropy import LOG_2PI
from ._samples import check_batch


class Entropy(AbstractResult):
    """An entropy estimated from samples, in nats.

    Attributes:
        entropy, standard_error: the estimate; it depends on the unit of the samples.
        bias: the excess of the estimate for a finite number of samples; `gaussian_entropy` has
            subtracted it. NaN where it is not known, as that of `knn_entropy`, which remains in
            `entropy`: then entropy ± standard error is no interval for the truth.
    """

    entropy: Float[Array, ""]
    standard_error: Float[Array, ""]
    bias: Float[Array, ""]

    def _summary(self):
        bias = "not known, beside the error" if np.isnan(self.bias).all() else self.bias
        entropy = Estimate(self.entropy, self.standard_error)
        return "Entropy in nats", {"entropy": entropy, "bias": bias}


def _check_spread(points: Float[Array, "sample d"]) -> Float[Array, " d"]:
    """The triangle's diagonal of centred samples; ValueError if they lie in a plane.

    Of the samples themselves: its condition is the root of the covariance's.
    """
    away = points - jnp.mean(points, axis=0, keepdims=True)
    diagonal = jnp.abs(jnp.diagonal(jnp.linalg.qr(away, mode="r")))
    if is_concrete(diagonal):
        scale = float(np.max(np.asarray(diagonal), initial=0))
        if not np.min(np.asarray(diagonal)) > scale * points.shape[1] * np.finfo(points.dtype).eps:
            raise ValueError(
                "samples must not lie in a plane: a combination of the parameters does not vary"
            )
    return diagonal


def gaussian_entropy(samples: PyTree[Float[AnyArray, "sample ..."]]) -> Entropy:
    r"""Entropy of a normal distribution from samples, without bias.

    $$\hat S = \tfrac12\ln\det(2\pi e\,\hat\Sigma) - \tfrac12\Big[\sum_{i=1}^d
      \psi\Big(\frac{n-i}2\Big) - d\ln\frac{n-1}2\Big], \qquad
      \mathrm{Var}\,\hat S = \tfrac14\sum_{i=1}^d\psi'\Big(\frac{n-i}2\Big)$$

    with Σ̂ the covariance of the samples and ψ the digamma function: both exact for normal samples
    at any n > d. Of all distributions with that covariance the normal has the largest entropy, so
    for others this is an upper bound; separate minima are missed.

    Args:
        samples: `(sample,)`, `(sample, …)`, or a pytree of such arrays; all axes but the first, d
            elements in total, are parameters.

    Returns:
        An `Entropy`, from which `bias` has been subtracted. Differentiable.

    Raises:
        ValueError: no more samples than parameters, samples that are not finite, or that lie in a
            plane.

    Cost: O(n d² + d³).

    Source: Ahmed and Gokhale 1989, IEEE Trans. Inf. Theory 35, 688; the law of the determinant by
    Goodman 1963, Ann. Math. Stat. 34, 178 (real case: Wilks 1932).
    """
    points = check_batch("samples", samples)
    count, size = points.shape
    if count <= size:
        raise ValueError(
            f"a covariance of {size} parameters needs more samples than that, got {count}; run "
            f"at least {size + 1} trajectories, or use blocks of parameters"
        )
    diagonal = _check_spread(points)
    half_log_det = jnp.sum(jnp.log(diagonal)) - size / 2 * float(np.log(count - 1))
    degrees = (count - jnp.arange(1, size + 1).astype(points.dtype)) / 2
    bias = jnp.sum(digamma(degrees) - float(np.log((count - 1) / 2))) / 2
    entropy = half_log_det + size * (1 + LOG_2PI) / 2 - bias
    return Entropy(entropy, jnp.sqrt(jnp.sum(polygamma(1, degrees))) / 2, bias)


def knn_entropy(samples: PyTree[Float[AnyArray, "sample ..."]], *, neighbours: int = 4) -> Entropy:
    r"""Entropy of any smooth distribution from distances to nearest neighbours.

    $$\hat S = \frac dn\sum_{i=1}^n\ln r_{i,k} + \ln V_d + \psi(n) - \psi(k)$$

    r the distance of sample i to its k-th neighbour, V_d the volume of the unit ball. **The bias is
    not known** and remains in the estimate: it falls like $n^{-2/d}$ for smooth densities and like
    $n^{-1/d}$ for those with edges, down in tails and up at edges, and no sample tells which
    prevails. Measured, for k = 4 and standard normal samples of n = 500: -0.07, -0.09, +0.04 and
    +0.19 for d = 3, 5, 8 and 10; uniform ones +0.06 and +0.18 for d = 2 and 3. `standard_error` is
    that of the mean of logarithms alone; neighbours share distances, and the standard deviation of
    the estimate is 1 to 1.4 times as large. Scale parameters of different size beforehand.

    Args:
        samples: as for `gaussian_entropy`, independent of each other.
        neighbours: k; more neighbours mean less noise and more bias.

    Returns:
        An `Entropy` with bias NaN; differentiable.

    Raises:
        ValueError: fewer than 2k + 2 samples, not finite, more than k that coincide, or that lie in
            a plane.

    Cost: O(n log n) in few dimensions, O(n² d) in many; the tree is built on the host (SciPy).

    Source: Kozachenko and Leonenko 1987, Probl. Inf. Transm. 23, 95; Kraskov et al. 2004, Phys.
    Rev. E 69, 066138.
    """
    neighbours = check_count("neighbours", neighbours)
    points = check_batch("samples", samples)
    count = points.shape[0]
    if count < 2 * neighbours + 2:
        raise ValueError(
            f"{neighbours} neighbours need at least {2 * neighbours + 2} samples, got {count}"
        )
    surprise = neighbour_surprise(points, neighbours)
    estimate = Estimate.of(surprise)
    unknown = jnp.full_like(estimate.mean, jnp.nan)
    return Entropy(estimate.mean, estimate.standard_error, unknown)


def neighbour_surprise(points: Float[Array, "n d"], neighbours: int) -> Float[Array, " n"]:
    """-ln p at each sample from the distance to its k-th neighbour; the mean is the entropy."""
    count, size = points.shape
    if count > size:
        _check_spread(points)
    if is_concrete(points):  # on any device, or several
        neighbour = jnp.asarray(_neighbour(points, neighbours))
    else:
        neighbour = on_host(
            functools.partial(_neighbour, neighbours=neighbours),
            jax.ShapeDtypeStruct((count,), np.int32),
            points,
        )
    away = points[neighbour] - points
    scale = lax.stop_gradient(jnp.max(jnp.abs(away), axis=1))  # squares then stay in range
    if is_concrete(scale) and not np.all(np.asarray(scale) > 0):
        raise ValueError(
            f"more than {neighbours} samples coincide: the entropy of a distribution with atoms "
            "is not finite; use more neighbours than copies, or remove the copies"
        )
    ball = size / 2 * float(np.log(np.pi)) - gammaln(jnp.asarray(size / 2 + 1, points.dtype))
    counts = jnp.asarray([count, neighbours], points.dtype)
    squares = jnp.sum((away / scale[:, None]) ** 2, axis=1)
    volumes = size * (jnp.log(scale) + jnp.log(squares) / 2) + ball
    return volumes + digamma(counts[0]) - digamma(counts[1])


def _neighbour(points: Float[ArrayLike, "n d"], neighbours: ArrayLike) -> Int[np.ndarray, " n"]:
    """Index of each sample's k-th nearest neighbour; its own index if any sample is not finite."""
    from scipy.spatial import KDTree  # slow to import

    points = np.asarray(points)
    if not np.isfinite(points).all():
        return np.arange(len(points), dtype=np.int32)
    _, indices = KDTree(points).query(points, int(neighbours) + 1, workers=-1)  # pyright: ignore[reportArgumentType]
    return np.asarray(indices, np.int32)[:, int(neighbours)]  # pyright: ignore[reportArgumentType]
