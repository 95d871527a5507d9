"""Interface of a batch of inputs."""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractInputBatch(eqx.Module):
    """B inputs ξ for each of M trajectories."""

    @abc.abstractmethod
    def project(self, *vectors: Float[Array, "N _"]) -> tuple[Float[Array, "B M"], ...]:
        """Σ_i ξ_bi v_i for each vector, of shape `(N, M)`, or `(N, 1)` shared by trajectories."""

    @abc.abstractmethod
    def combine(self, coefficients: Float[Array, "B M"]) -> Float[Array, "N M"]:
        """Σ_b c_b ξ_bi."""

    @abc.abstractmethod
    def unpack(self) -> Float[Array, "B N M"]:
        """The inputs themselves."""
