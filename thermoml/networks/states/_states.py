"""States of a learning system: distributions of its parameters when a transition begins."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Key

from ...numerics.checks import check_count
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractInitialisation,
    AbstractLearning,
    entropy_of_leaves,
    expected_energy,
    initialisation,
    matrix_like,
)


class AbstractState(eqx.Module):
    """A distribution p(θ) of the parameters that a transition begins with."""

    @abc.abstractmethod
    def energy_in(self, system: AbstractLearning) -> Estimate:
        """U = E_p[E] in the potential of a system, with its standard error."""

    @abc.abstractmethod
    def entropy_in(self, system: AbstractLearning) -> Estimate:
        """S of p over the parameters of a system, in nats, with its standard error."""

    @abc.abstractmethod
    def work_towards(self, system: AbstractLearning, energy: Array) -> Array:
        """Work of quenching the potential to that of a system, in which p has this energy."""


class TypeI(AbstractState):
    r"""The state before any training: p is the initialisation.

    $U_0 = E_{p_0}[E]$ is exact for a linear model whose parameters start normal or uniform; for
    others it is the mean of samples.

    Args:
        start: an `AbstractInitialisation` or a name such as "he_normal".
        n_samples, key: of the mean, where one is needed.
    """

    initialisation: AbstractInitialisation
    n_samples: int = eqx.field(static=True)
    key: Key[Array, ""] | None

    def __init__(self, start: Any, *, n_samples: int = 10_000, key: Key[Array, ""] | None = None):
        self.initialisation = initialisation(start)
        self.n_samples = check_count("n_samples", n_samples, 2)
        self.key = key

    def energy_in(self, system):
        return expected_energy(self.initialisation, system, n_samples=self.n_samples, key=self.key)

    def entropy_in(self, system):
        parts = entropy_of_leaves(self.initialisation, matrix_like(system))
        total = jnp.sum(jnp.stack(parts))
        return total, jnp.zeros_like(total)

    def work_towards(self, system, energy):
        return jnp.zeros_like(energy)


class TypeII(AbstractState):
    """The trained state with new data: the potential is quenched to that of the new system.

    Args:
        trained: the state trained on the old data.
    """

    trained: AbstractState

    def __check_init__(self):
        if not hasattr(self.trained, "system"):
            raise TypeError(
                f"trained must be a Trained state, got {type(self.trained).__name__}; a TypeI "
                "state has no data that could be refreshed"
            )

    def energy_in(self, system):
        return self.trained.energy_in(system)

    def entropy_in(self, system):
        return self.trained.entropy_in(system)

    def work_towards(self, system, energy):
        return self.trained.work_towards(system, energy)
