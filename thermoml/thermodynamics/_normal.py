"""Normal distributions of a state: mean, covariance, density and samples."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key

from ..numerics.arrays import as_parameter, is_concrete
from ..numerics.results import AbstractResult
from ..numerics.types import Numbers
from ._entropy import normal_entropy


class NormalState(AbstractResult):
    r"""A normal distribution of a state.

    $$p(x) = \frac{e^{-(x-m)\cdot\Sigma^{-1}(x-m)/2}}{\sqrt{\det 2\pi\Sigma}}$$

    Args:
        mean: m, `(d,)`, or () for a scalar state.
        covariance: Σ, `(d, d)`; a scalar is the variance of each coordinate, independent of the
            others. Zero is a point.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, or a covariance that is not
            symmetric or negative.
    """

    mean: Float[Array, "..."]
    covariance: Float[Array, "..."]

    def __init__(self, mean: Numbers, covariance: Numbers):
        self.mean = as_parameter(mean, "mean")
        covariance = as_parameter(covariance, "covariance").astype(self.mean.dtype)
        if self.mean.ndim == 1 and covariance.ndim == 0:
            covariance = covariance * jnp.eye(self.mean.shape[0], dtype=self.mean.dtype)
        self.covariance = covariance

    def __check_init__(self):
        if self.mean.ndim > 1 or self.covariance.shape != self.mean.shape * 2:
            raise ValueError(
                "covariance must be a scalar or (d, d) for a mean of shape (d,), got "
                f"{self.covariance.shape} and {self.mean.shape}"
            )
        if is_concrete(self.mean) and not np.isfinite(np.asarray(self.mean)).all():
            raise ValueError(f"mean must be finite, got {self.mean}")
        if not is_concrete(self.covariance):
            return
        matrix = np.asarray(self.covariance).reshape(self.size, self.size)
        slack = 100 * np.finfo(matrix.dtype).eps * max(np.abs(matrix).max(initial=0), 1e-300)
        if not np.isfinite(matrix).all() or np.abs(matrix - matrix.T).max(initial=0) > slack:
            raise ValueError(f"covariance must be finite and symmetric, got {self.covariance}")
        if np.linalg.eigvalsh(matrix).min(initial=0) < -slack:
            raise ValueError(f"covariance must not be negative, got {self.covariance}")

    def _summary(self):
        size = self.mean.shape[-1] if jnp.ndim(self.mean) else 1
        heading = f"NormalState of {size} coordinate{'s' if size > 1 else ''}"
        covariance = np.array2string(np.asarray(self.covariance), precision=5, threshold=16)
        return heading, {"mean": self.mean, "covariance": " ".join(covariance.split())}

    @property
    def size(self) -> int:
        """The number of coordinates, d."""
        return self.mean.size

    @property
    def vector(self) -> Float[Array, " d"]:
        """The mean as a vector, also of a scalar state."""
        return jnp.ravel(self.mean)

    @property
    def matrix(self) -> Float[Array, "d d"]:
        """The covariance as a matrix, also of a scalar state."""
        return jnp.reshape(self.covariance, (self.size, self.size))

    @property
    def entropy(self) -> Float[Array, ""]:
        """½ ln det(2πeΣ), in nats."""
        return normal_entropy(self.covariance)

    def log_density(self, x: Float[ArrayLike, "..."]) -> Float[Array, ""]:
        """ln p(x) of one state, of the mean's shape."""
        away = jnp.ravel(x) - self.vector
        whitened = jnp.linalg.solve(self.matrix, away)
        size = jnp.asarray(self.size, away.dtype)
        return self.entropy * -1 + (size - away @ whitened) / 2

    def expectation(self, quadratic: Callable[[Any], Float[Array, ""]]) -> Float[Array, ""]:
        r"""The mean of a quadratic function, $f(m) + \tfrac12\mathrm{tr}\,f''\Sigma$.

        Args:
            quadratic: `f(x) -> scalar` of one state, of second order in x.
        """

        def function(vector):
            return quadratic(jnp.reshape(vector, self.mean.shape))

        curvature = jax.hessian(function)(self.vector)
        return function(self.vector) + jnp.sum(curvature * self.matrix) / 2

    def sample(self, key: Key[Array, ""]) -> Float[Array, "..."]:
        """One state. As the `state` of `simulate` it is drawn anew for each trajectory."""
        drawn = jax.random.multivariate_normal(  # by SVD: eigenvalues of 0 may round below 0
            key, self.vector, self.matrix, dtype=self.mean.dtype, method="svd"
        )
        return jnp.reshape(drawn, self.mean.shape)

    def like(self, vector: Float[Array, " d"], matrix: Float[Array, "d d"]) -> "NormalState":
        """Another mean and covariance in the shapes of these."""
        shape = self.mean.shape
        return NormalState(jnp.reshape(vector, shape), jnp.reshape(matrix, shape * 2))
