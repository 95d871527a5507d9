"""Temperature of the noise that minibatches add to the gradient, by layer."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from ...numerics.arrays import as_parameter
from ...numerics.checks import check_bound, check_count
from ...numerics.compile import jitted
from ...numerics.statistics import Estimate
from ..learning import AbstractLearning, LayersBy, layers, several_states


def gradient_noise_temperature(
    system: AbstractLearning,
    states: PyTree[Float[Array, "trajectory ..."]],
    *,
    learning_rate: ArrayLike,
    batch: int,
    replacement: bool = True,
    by: LayersBy = None,
) -> dict[str, Estimate]:
    r"""The temperature of each layer under gradient descent whose only noise is minibatches.

    $$T_l = \frac\eta2\,\frac{\mathrm{tr}\,C_l}{d_l}, \qquad \mathrm{tr}\,C_l =
      \frac1{nB}\sum_i|\partial_l\ell_i - \overline{\partial_l\ell}|^2$$

    averaged over the states; without replacement times $(n-B)/(n-1)$. C is the exact covariance of
    the gradient of a random batch, computed from all n examples.

    Args:
        system: a learning system.
        states: like its state with a first axis of trajectories, from the steady state.
        learning_rate: η of $\theta' = \theta - \eta g$.
        batch: B, examples in each step.
        replacement: whether one example may be drawn twice.
        by: the definition of layers, see `layers`.

    Returns:
        T_l by layer, in units of energy, with its standard error over the states.

    Raises:
        ValueError: states that do not fit, or a batch that cannot be drawn.

    Cost: n gradients of one example for each state.

    Source: Yaida 2019, arXiv:1810.00004, for C in the steady state; our reading of it as a
    temperature.
    """
    check_bound("learning_rate", learning_rate, ">", 0.0)
    check_count("batch", batch)
    count = system.features.shape[0]
    if not replacement and batch > count:
        raise ValueError(f"batch must be at most the {count} examples, got {batch}")
    states = several_states(system, states)
    chosen = layers(system, by)
    share = 1 / batch if replacement else (count - batch) / (batch * max(count - 1, 1))
    variances = _gradient_variance(system, states, by)
    scale = as_parameter(learning_rate) / 2 * share
    return {
        name: Estimate.of(scale.astype(values.dtype) * values / chosen.sizes[name])
        for name, values in variances.items()
    }


@jitted
def _gradient_variance(
    system: AbstractLearning, states: PyTree[Array], by: LayersBy
) -> dict[str, Array]:
    """By layer and state: the variance of single examples' gradients, summed over parameters."""
    chosen = layers(system, by)

    def one(state):
        def gradient(example):
            x, y = example
            return jax.grad(lambda s: system.data_energy(s, x[None], y[None]))(state)

        mean = jax.grad(system.data_energy)(state)

        def squared_deviation(example):
            deviation = jax.tree.map(jnp.subtract, gradient(example), mean)
            return chosen.totals(jax.tree.map(jnp.square, deviation))

        examples = (system.features, system.targets)
        deviations = lax.map(squared_deviation, examples, batch_size=64)
        return jax.tree.map(jnp.mean, deviations)

    return lax.map(one, states)
