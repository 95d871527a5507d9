"""States of a learning system: distributions of its parameters when a transition begins."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.arrays import is_concrete
from ...numerics.checks import check_count
from ...numerics.statistics import Estimate
from ...thermodynamics import NormalState
from ..learning import (
    AbstractInitialisation,
    AbstractLearning,
    entropy_of_leaves,
    expected_energy,
    initial_state,
    initialisation,
    matrix_like,
    widths_of,
)
from ._entropy_spread import entropy_spread
from ._trained import Trained


class AbstractState(eqx.Module):
    """A distribution p(θ) of the parameters that a transition begins with."""

    @abc.abstractmethod
    def energy_in(self, system: AbstractLearning) -> Estimate:
        """U = E_p[E] in the potential of a system, with its standard error."""

    @abc.abstractmethod
    def entropy_in(self, system: AbstractLearning) -> Estimate:
        """S of p over the parameters of a system, in nats, with its standard error."""

    @abc.abstractmethod
    def work_towards(
        self, system: AbstractLearning, energy: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """Work of quenching the potential to that of a system, in which p has this energy."""

    @abc.abstractmethod
    def spread_of_drop(self, after: Trained) -> Float[Array, "..."]:
        """Standard deviation of S - S₁ over data of the same law; NaN if not known."""

    @abc.abstractmethod
    def sample(self, system: AbstractLearning, key: Key[Array, ""]) -> PyTree[Array]:
        """A state of a system drawn from p."""

    @abc.abstractmethod
    def normal_in(self, system: AbstractLearning) -> NormalState:
        """p over all parameters as one vector, where it is normal.

        Raises:
            ValueError, TypeError: it is not.
        """


def starting_state(before: Any) -> AbstractState:
    """A state in which a transition can begin; a trained one is refreshed."""
    if isinstance(before, Trained):
        return TypeII(before)
    if not isinstance(before, AbstractState):
        raise TypeError(f"before must be TypeI, TypeII or Trained, got {type(before).__name__}")
    return before


class TypeI(AbstractState):
    r"""The state before any training: p is the initialisation.

    $U_0 = E_{p_0}[E]$ is exact for a linear model whose parameters start normal or uniform;
    otherwise it is the mean of samples.

    Args:
        start: an `AbstractInitialisation` or a name such as "he_normal".
        n_samples, key: of the mean of samples; the key is required where it is one.
    """

    initialisation: AbstractInitialisation
    n_samples: int = eqx.field(static=True)
    key: Key[Array, ""] | None

    def __init__(self, start: Any, *, n_samples: int = 10_000, key: Key[Array, ""] | None = None):
        self.initialisation = initialisation(start)
        self.n_samples = check_count("n_samples", n_samples, 2)
        self.key = key

    def energy_in(self, system):
        return expected_energy(system, self.initialisation, n_samples=self.n_samples, key=self.key)

    def entropy_in(self, system):
        parts = entropy_of_leaves(self.initialisation, matrix_like(system))
        return Estimate.exact(jnp.sum(jnp.stack(parts)))

    def work_towards(self, system, energy):
        return jnp.zeros_like(energy)

    def spread_of_drop(self, after):
        return jnp.zeros_like(after.entropy)

    def sample(self, system, key):
        return initial_state(system, self.initialisation, key)

    def normal_in(self, system):
        like = matrix_like(system)
        widths = widths_of(self.initialisation, like)
        boxed = None if widths is None else widths.uniform
        if boxed is None or (is_concrete(boxed) and np.any(np.asarray(boxed) > 0)):
            raise ValueError(
                "training_path needs parameters that start normal, and then stay normal; use "
                "simulated_training_path for others"
            )
        assert widths is not None
        variance = jnp.broadcast_to(widths.variance, like.shape).astype(like.dtype).reshape(-1)
        return NormalState(jnp.zeros_like(variance), jnp.diag(variance))


class TypeII(AbstractState):
    """The trained state with new data: the potential is quenched to that of the new system.

    Args:
        trained: the state trained on the old data.
        key: of samples for the energy in the new potential; required where the trained state is
            normal and the new potential is not harmonic (`Laplace` and a cross-entropy).
    """

    trained: Trained
    key: Key[Array, ""] | None = eqx.field(default=None, kw_only=True)

    def __check_init__(self):
        if not isinstance(self.trained, Trained):
            raise TypeError(
                f"trained must be a Trained state, got {type(self.trained).__name__}; a TypeI "
                "state has no data that could be refreshed"
            )

    def energy_in(self, system):
        return self.trained.mean_energy(system, key=self.key)

    def entropy_in(self, system):
        return self.trained.distribution.entropy

    def work_towards(self, system, energy):
        if system is self.trained.system:
            return jnp.zeros_like(energy)
        return energy - self.trained.energy

    def spread_of_drop(self, after):
        return jnp.hypot(entropy_spread(self.trained), entropy_spread(after))

    def sample(self, system, key):
        return self.trained.sample(key)

    def normal_in(self, system):
        normal = self.trained.distribution.normal
        if normal is None:
            raise TypeError(
                "before must be TypeI, or a Trained state of a linear model by Harmonic()"
            )
        return normal
