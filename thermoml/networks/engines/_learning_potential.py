"""Potential of a learning system whose loss is scaled by a control, the piston of an engine."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from ..learning import AbstractLearning


class LearningPotential(eqx.Module):
    r"""The energy of a learning system as a function of the scale of its data, for a `Cycle`.

    $$E(\theta, \lambda) = \sum_s \lambda_s E_s(\theta) + \tfrac k2|\theta|^2$$

    with E_s the mean loss of data set s. For one system the control λ is a scalar, the scale of its
    loss. Several systems, one model on several data sets, have a scale each, in an array `(s,)` or
    a list; a change from one to another refreshes the data, which is work.

        potential = tml.networks.LearningPotential(old, new)
        learn = tml.Stroke(tml.Ramp([1.0, 0.0], [4.0, 0.0], t1=8.0), duration=8.0, bath="cold")

    Args:
        systems: learning systems on all their examples, with the prior of the first. Their own
            controls, baths and mobilities are ignored: the cycle has its own.

    Raises:
        TypeError: no system, or an argument that is not a learning system.
        ValueError: systems with minibatches, or with other parameters than the first.

    Cost: one energy of each system.

    Source: the cycle of training and refresh as an engine is our reading of Zhang 2024,
    arXiv:2404.13218.
    """

    systems: tuple[AbstractLearning, ...]

    def __init__(self, *systems: AbstractLearning):
        if not systems or not all(isinstance(s, AbstractLearning) for s in systems):
            raise TypeError(f"systems must be learning systems, one or more, got {systems!r}")
        shapes = [jax.tree.map(lambda leaf: leaf.shape, s.like) for s in systems]
        for number, (system, shape) in enumerate(zip(systems, shapes, strict=True)):
            if system.batch is not None:
                raise ValueError(
                    f"system {number} draws minibatches of {system.batch}; an engine's potential "
                    "is that of all examples, leave batch out"
                )
            if shape != shapes[0]:
                raise ValueError(
                    f"system {number} must have the parameters of the first, {shapes[0]}, got "
                    f"{shape}"
                )
        self.systems = systems

    def __call__(self, state: PyTree[Array], control: PyTree[ArrayLike]) -> Float[Array, ""]:
        scales = jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(control)])
        if scales.size != len(self.systems):
            raise ValueError(
                f"control must be the scale of the loss on each of {len(self.systems)} data sets, "
                f"got {scales.size} numbers"
            )
        energies = [s.data_energy(state) for s in self.systems]
        return jnp.dot(scales, jnp.stack(energies)) + self.systems[0].prior_energy(state)
