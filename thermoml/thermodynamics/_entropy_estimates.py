"""Gibbs entropies estimated from samples: by a normal law, and by nearest neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, gammaln, polygamma
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PyTree

from ..numerics.arrays import is_concrete
from ..numerics.checks import check_count
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
            subtracted it, `knn_entropy` returns an estimate of what remains in `entropy`.
    """

    entropy: Float[Array, ""]
    standard_error: Float[Array, ""]
    bias: Float[Array, ""]

    def _summary(self):
        entropy = Estimate(self.entropy, self.standard_error)
        return "Entropy in nats", {"entropy": entropy, "bias": self.bias}


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
    away = points - jnp.mean(points, axis=0, keepdims=True)
    # The triangle of the samples themselves: its condition is the root of the covariance's.
    diagonal = jnp.abs(jnp.diagonal(jnp.linalg.qr(away, mode="r")))
    if is_concrete(diagonal):
        scale = float(np.max(np.asarray(diagonal), initial=0))
        if not np.min(np.asarray(diagonal)) > scale * size * np.finfo(diagonal.dtype).eps:
            raise ValueError(
                "samples must not lie in a plane: a combination of the parameters does not vary"
            )
    half_log_det = jnp.sum(jnp.log(diagonal)) - size / 2 * float(np.log(count - 1))
    degrees = (count - jnp.arange(1, size + 1).astype(points.dtype)) / 2
    bias = jnp.sum(digamma(degrees) - float(np.log((count - 1) / 2))) / 2
    entropy = half_log_det + size * (1 + LOG_2PI) / 2 - bias
    return Entropy(entropy, jnp.sqrt(jnp.sum(polygamma(1, degrees))) / 2, bias)


def knn_entropy(samples: PyTree[Float[AnyArray, "sample ..."]], *, neighbours: int = 4) -> Entropy:
    r"""Entropy of any smooth distribution from distances to nearest neighbours.

    $$\hat S = \frac dn\sum_{i=1}^n\ln r_{i,k} + \ln V_d + \psi(n) - \psi(k)$$

    r the distance of sample i to its k-th neighbour, V_d the volume of the unit ball. The bias
    falls like $n^{-2/d}$, slowly in more than a few dimensions; `bias` is estimated from halves of
    the samples on that assumption and not subtracted; edges and tails make it up to three times as
    large. Neighbours share distances: the standard deviation of the estimate is 1 to 1.4 times
    `standard_error`. Scale parameters of different size beforehand.

    Args:
        samples: as for `gaussian_entropy`, independent of each other.
        neighbours: k; more neighbours mean less noise and more bias.

    Returns:
        An `Entropy`; differentiable.

    Raises:
        ValueError: fewer than 2k + 2 samples, not finite, or more than k that coincide.

    Cost: O(n log n) in few dimensions, O(n² d) in many; the tree is built on the host (SciPy).

    Source: Kozachenko and Leonenko 1987, Probl. Inf. Transm. 23, 95; Kraskov et al. 2004, Phys.
    Rev. E 69, 066138.
    """
    neighbours = check_count("neighbours", neighbours)
    points = check_batch("samples", samples)
    count, size = points.shape
    if count < 2 * neighbours + 2:
        raise ValueError(
            f"{neighbours} neighbours need at least {2 * neighbours + 2} samples, got {count}"
        )
    surprise = neighbour_surprise(points, neighbours)
    estimate = Estimate.of(surprise)
    halves = [jnp.mean(neighbour_surprise(points[i::2], neighbours)) for i in (0, 1)]
    bias = ((halves[0] + halves[1]) / 2 - estimate.mean) / (2 ** (2 / size) - 1)
    return Entropy(estimate.mean, estimate.standard_error, bias)


def neighbour_surprise(points: Float[Array, "n d"], neighbours: int) -> Float[Array, " n"]:
    """-ln p at each sample from the distance to its k-th neighbour; the mean is the entropy."""
    count, size = points.shape
    if is_concrete(points):  # on any device, or several
        neighbour = jnp.asarray(_neighbour(points, neighbours))
    else:
        neighbour = jax.pure_callback(
            _neighbour,
            jax.ShapeDtypeStruct((count,), np.int32),
            lax.stop_gradient(points),
            neighbours,
            vmap_method="sequential",
        )
    squares = jnp.sum((points[neighbour] - points) ** 2, axis=1)
    if is_concrete(squares) and not np.all(np.asarray(squares) > 0):
        raise ValueError(
            f"more than {neighbours} samples coincide: the entropy of a distribution with atoms "
            "is not finite; use more neighbours than copies, or remove the copies"
        )
    ball = size / 2 * float(np.log(np.pi)) - gammaln(jnp.asarray(size / 2 + 1, points.dtype))
    counts = jnp.asarray([count, neighbours], points.dtype)
    return size / 2 * jnp.log(squares) + ball + digamma(counts[0]) - digamma(counts[1])


def _neighbour(points: Float[ArrayLike, "n d"], neighbours: ArrayLike) -> Int[np.ndarray, " n"]:
    """Index of each sample's k-th nearest neighbour; its own index if any sample is not finite."""
    from scipy.spatial import KDTree  # slow to import

    points = np.asarray(points)
    if not np.isfinite(points).all():
        return np.arange(len(points), dtype=np.int32)
    _, indices = KDTree(points).query(points, int(neighbours) + 1, workers=-1)  # pyright: ignore[reportArgumentType]
    return np.asarray(indices, np.int32)[:, int(neighbours)]  # pyright: ignore[reportArgumentType]
