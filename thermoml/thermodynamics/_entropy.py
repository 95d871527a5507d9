"""Gibbs entropies: closed forms, and estimates from samples with their errors."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, gammaln, polygamma
from jaxtyping import Array, Float, PyTree

from ..langevin import Solution
from ..numerics.arrays import as_parameter, is_concrete, shared_float
from ..numerics.checks import check_bound, check_count
from ..numerics.quadrature import gauss_legendre
from ._samples import check_batch

_LOG_2PI = float(np.log(2 * np.pi))


class Entropy(eqx.Module):
    """An entropy estimated from samples, in nats.

    Attributes:
        entropy, standard_error: the estimate; it depends on the unit of the samples.
        bias: how far the estimate lies above the truth for want of samples; `gaussian_entropy`
            has taken its bias off, `knn_entropy` shows an estimate of what remains.
    """

    entropy: Float[Array, ""]
    standard_error: Float[Array, ""]
    bias: Float[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.entropy):
            return "Entropy (traced)"
        return (
            f"S = {float(self.entropy):.6g} ± {float(self.standard_error):.2g} nats "
            f"(bias {float(self.bias):.2g})"
        )


def normal_entropy(covariance: Any) -> Float[Array, ""]:
    r"""Entropy of a normal distribution, $S = \tfrac12\ln\det(2\pi e\,\Sigma)$, in nats.

    Args:
        covariance: Σ: a variance, scalar; or a matrix `(d, d)`, positive definite.

    Raises:
        ValueError: another shape, or a covariance that is not positive.

    Cost: O(d³).
    """
    covariance = as_parameter(covariance)
    if covariance.ndim == 0:
        check_bound("covariance", covariance, ">", 0.0)
        return (1 + _LOG_2PI + jnp.log(covariance)) / 2
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ValueError(
            f"covariance must be a variance or a matrix (d, d), got shape {covariance.shape}"
        )
    sign, logarithm = jnp.linalg.slogdet(covariance)
    if is_concrete(covariance) and not (np.linalg.eigvalsh(np.asarray(covariance)) > 0).all():
        raise ValueError("covariance must be positive definite")
    return (covariance.shape[0] * (1 + _LOG_2PI) + jnp.where(sign > 0, logarithm, jnp.nan)) / 2


def uniform_entropy(widths: Any) -> Float[Array, ""]:
    r"""Entropy of a uniform distribution on a box, $S = \sum_i\ln w_i$, in nats.

    Args:
        widths: the lengths of its sides, any shape; one for [-a, a] is 2a.

    Raises:
        ValueError: a width that is not positive.
    """
    check_bound("widths", widths, ">", 0.0)
    return jnp.sum(jnp.log(as_parameter(widths)))


def truncated_normal_entropy(std: Any, lower: Any, upper: Any, *, mean: Any = 0.0) -> Array:
    r"""Entropy of a normal distribution cut off outside [lower, upper], in nats.

    $$S = \ln(\sqrt{2\pi e}\,\sigma Z) + \frac{a\varphi(a) - b\varphi(b)}{2Z},
      \qquad Z = \Phi(b) - \Phi(a),$$

    a and b the ends less the mean, in units of σ (the standard deviation before the cut).

    Args:
        std, lower, upper, mean: of each parameter; they broadcast by scalars. An end may be
            infinite.

    Returns:
        S, of the arguments' shape.

    Raises:
        ValueError: std <= 0 or upper <= lower.
    """
    check_bound("std", std, ">", 0.0)
    parameters = [as_parameter(x) for x in (std, lower, upper, mean)]
    dtype = shared_float("std", parameters)
    std, lower, upper, mean = (x.astype(dtype) for x in parameters)
    if is_concrete((lower, upper)) and not np.all(np.asarray(upper) > np.asarray(lower)):
        raise ValueError(f"upper must lie above lower = {lower}, got {upper}")

    def scaled(end):  # also at infinity, with gradients
        finite = jnp.isfinite(end)
        return jnp.where(finite, (jnp.where(finite, end, mean) - mean) / std, end)

    # By quadrature from the highest density to where it has fallen to e^-40 of that: the closed
    # form is a difference of large numbers far out in a tail and where the cut is narrow.
    a, b = scaled(lower), scaled(upper)
    top = lax.stop_gradient(jnp.clip(jnp.zeros((), dtype), a, b))
    reach = 80 / (jnp.abs(top) + jnp.sqrt(top**2 + 80))
    left, right = jnp.maximum(a - top, -reach), jnp.minimum(b - top, reach)
    along = (-1,) + (1,) * top.ndim
    nodes, weights = (jnp.asarray(x, dtype).reshape(along) for x in gauss_legendre(48))
    away = left[None] + (right - left)[None] * nodes
    fall = away * (top[None] + away / 2)
    density = jnp.exp(-fall) * weights
    mass = jnp.sum(density, axis=0)
    return jnp.log(std * (right - left) * mass) + jnp.sum(density * fall, axis=0) / mass


def block_entropy(entropies: Any, counts: Any) -> Float[Array, ""]:
    r"""Entropy of independent blocks of parameters, $S = \sum_i n_i s_i$, in nats.

    A network whose weights are normal and whose biases are uniform is one.

    Args:
        entropies: s of one parameter of each block, `(block,)`.
        counts: n, the parameters in each, `(block,)`.

    Raises:
        ValueError: shapes that differ, or a negative count.
    """
    entropies, counts = as_parameter(entropies), as_parameter(counts)
    if entropies.ndim != 1 or entropies.shape != counts.shape:
        raise ValueError(
            "entropies and counts must both have shape (block,), got "
            f"{entropies.shape} and {counts.shape}"
        )
    check_bound("counts", counts, ">=", 0.0)
    return jnp.sum(entropies * counts.astype(entropies.dtype))


def mixture_entropy(entropies: Any, weights: Any) -> Float[Array, ""]:
    r"""Entropy of a mixture of components that do not overlap, in nats.

    $$S = \sum_i w_i(s_i - \ln w_i)$$

    An upper bound where they do overlap. h equivalent minima add ln h.

    Args:
        entropies: s of each component, `(component,)`.
        weights: w, `(component,)`, not negative; they are made to sum to 1.

    Raises:
        ValueError: shapes that differ, or weights that are negative or all 0.
    """
    entropies, weights = as_parameter(entropies), as_parameter(weights)
    if entropies.ndim != 1 or entropies.shape != weights.shape:
        raise ValueError(
            "entropies and weights must both have shape (component,), got "
            f"{entropies.shape} and {weights.shape}"
        )
    check_bound("weights", weights, ">=", 0.0)
    if is_concrete(weights) and not np.sum(np.asarray(weights)) > 0:
        raise ValueError("weights must not all be 0")
    weights = (weights / jnp.sum(weights)).astype(entropies.dtype)
    return jnp.sum(weights * entropies + jax.scipy.special.entr(weights))


def gaussian_entropy(samples: PyTree[Float[Array, "sample ..."]]) -> Entropy:
    r"""Entropy of a normal distribution from samples, without bias.

    $$\hat S = \tfrac12\ln\det(2\pi e\,\hat\Sigma) - \tfrac12\Big[\sum_{i=1}^d
      \psi\Big(\frac{n-i}2\Big) - d\ln\frac{n-1}2\Big], \qquad
      \mathrm{Var}\,\hat S = \tfrac14\sum_{i=1}^d\psi'\Big(\frac{n-i}2\Big)$$

    with Σ̂ the covariance of the samples and ψ the digamma function: both exact for normal samples
    at any n > d. Of all distributions with that covariance the normal has the largest entropy, so
    for others this is an upper bound; it does not see separate minima.

    Args:
        samples: `(sample,)`, `(sample, …)`, or a pytree of such; all axes but the first, d elements
            in all, are parameters.

    Returns:
        An `Entropy`; `bias` is what was taken off. Differentiable.

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
    # By the triangle of the samples themselves, whose condition is the root of the covariance's
    diagonal = jnp.abs(jnp.diagonal(jnp.linalg.qr(away, mode="r")))
    if is_concrete(diagonal):
        scale = float(np.max(np.asarray(diagonal), initial=0))
        if not np.min(np.asarray(diagonal)) > scale * size * np.finfo(diagonal.dtype).eps:
            raise ValueError(
                "samples must not lie in a plane: some combination of parameters does not vary"
            )
    half_log_det = jnp.sum(jnp.log(diagonal)) - size / 2 * float(np.log(count - 1))
    degrees = (count - jnp.arange(1, size + 1).astype(points.dtype)) / 2
    bias = jnp.sum(digamma(degrees) - float(np.log((count - 1) / 2))) / 2
    entropy = half_log_det + size * (1 + _LOG_2PI) / 2 - bias
    return Entropy(entropy, jnp.sqrt(jnp.sum(polygamma(1, degrees))) / 2, bias)


def knn_entropy(samples: PyTree[Float[Array, "sample ..."]], *, neighbours: int = 4) -> Entropy:
    r"""Entropy of any smooth distribution from distances to nearest neighbours.

    $$\hat S = \frac dn\sum_{i=1}^n\ln r_{i,k} + \ln V_d + \psi(n) - \psi(k)$$

    r the distance of sample i to its k-th neighbour, V_d the volume of the unit ball. The bias
    falls like $n^{-2/d}$, so slowly above a few dimensions; `bias` is estimated from halves of the
    samples on that assumption and left in; edges and tails make it up to three times as large.
    Neighbours share distances: the estimate spreads 1 to 1.4 times as far as `standard_error`
    says. Scale parameters of different size beforehand.

    Args:
        samples: as for `gaussian_entropy`, independent of each other.
        neighbours: k; more of them mean less noise and more bias.

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
    surprise = _neighbour_surprise(points, neighbours)
    estimate = jnp.mean(surprise)
    halves = [jnp.mean(_neighbour_surprise(points[i::2], neighbours)) for i in (0, 1)]
    bias = ((halves[0] + halves[1]) / 2 - estimate) / (2 ** (2 / size) - 1)
    return Entropy(estimate, jnp.std(surprise, ddof=1) / float(np.sqrt(count)), bias)


def _neighbour_surprise(points: Float[Array, "n d"], neighbours: int) -> Float[Array, " n"]:
    """-ln p at each sample from the distance to its k-th neighbour; the mean is the entropy."""
    count, size = points.shape
    if is_concrete(points):  # wherever they lie, on several devices too
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
            f"more than {neighbours} samples coincide: the entropy of a distribution with lumps "
            "is not finite; use more neighbours than copies, or leave copies out"
        )
    ball = size / 2 * float(np.log(np.pi)) - gammaln(jnp.asarray(size / 2 + 1, points.dtype))
    counts = jnp.asarray([count, neighbours], points.dtype)
    return size / 2 * jnp.log(squares) + ball + digamma(counts[0]) - digamma(counts[1])


def _neighbour(points: Any, neighbours: Any) -> np.ndarray:
    """Which sample is the k-th nearest of each; NaN has itself."""
    from scipy.spatial import KDTree  # takes a while, and few need it

    points = np.asarray(points)
    if not np.isfinite(points).all():
        return np.arange(len(points), dtype=np.int32)
    _, indices = KDTree(points).query(points, int(neighbours) + 1, workers=-1)
    return np.asarray(indices, np.int32)[:, int(neighbours)]


Density = Literal["normal", "neighbours"] | Callable[[Any], Any]


def system_entropy(
    states: PyTree[Float[Array, "trajectory ..."]], density: Density = "normal"
) -> Float[Array, " trajectory"]:
    r"""Entropy of the system along each trajectory, $s(t) = -\ln p(x_t, t)$, in nats.

    Args:
        states: of all trajectories at one time.
        density: where p comes from: "normal", mean and covariance of these states; "neighbours",
            distances to the 4 nearest of them; or a function `x -> ln p(x, t)` of one state.

    Returns:
        s of each trajectory, `(trajectory,)`; their mean is the Gibbs entropy.

    Raises:
        ValueError: as for `gaussian_entropy` and `knn_entropy`.

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602, eq. 9.
    """
    if callable(density):
        return -jax.vmap(density)(states)
    if density not in ("normal", "neighbours"):
        raise ValueError(
            f'density must be "normal", "neighbours" or a function x -> ln p(x), got {density!r}'
        )
    points = check_batch("states", states)
    if density == "neighbours":
        return _neighbour_surprise(points, 4)
    gaussian_entropy(points)  # refuses too few states, or such that lie in a plane
    away = points - jnp.mean(points, axis=0, keepdims=True)
    covariance = away.T @ away / (points.shape[0] - 1)
    whitened = jnp.linalg.solve(covariance, away.T).T
    constant = points.shape[1] * _LOG_2PI + jnp.linalg.slogdet(covariance)[1]
    return (jnp.sum(away * whitened, axis=1) + constant) / 2


def entropy_production(
    solution: Solution,
    states: PyTree[Float[Array, "trajectory save ..."]],
    density: Literal["normal", "neighbours"] | Callable[[Any, Any], Any] = "normal",
) -> Float[Array, "trajectory save"]:
    r"""Total entropy production along each trajectory since save 0, in nats.

    $$\Delta s_\text{tot}(t) = \ln\frac{p(x_0, 0)}{p(x_t, t)} + \sum_l\frac{Q_l}{T_l}$$

    Its mean is not negative, and `integral_fluctuation` of it is 1.

    Args:
        solution: of `simulate`, with all trajectories finite.
        states: the states at its saves, such as `solution.observables["x"]` of
            `observables={"x": lambda x, control, t: x}`.
        density: as for `system_entropy`, at each save anew; a function here is of x and t.

    Returns:
        Δs_tot, `(trajectory, save)`.

    Raises:
        ValueError: states of other shapes, and as for `system_entropy`.

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602, eq. 13.
    """
    shape = solution.work.shape
    for leaf in jax.tree.leaves(states):
        if jnp.shape(leaf)[:2] != shape:
            raise ValueError(
                f"states must begin with the axes [trajectory, save] of the solution, {shape}, got "
                f"a leaf of shape {jnp.shape(leaf)}"
            )

    def at_save(j):
        here = jax.tree.map(lambda leaf: leaf[:, j], states)
        if not callable(density):
            return system_entropy(here, density)
        known: Any = density  # pyright cannot tell it from a string here
        return system_entropy(here, lambda x: known(x, solution.times[j]))

    entropies = jnp.stack([at_save(j) for j in range(shape[1])], axis=1)
    return entropies - entropies[:, :1] + solution.entropy_flow
