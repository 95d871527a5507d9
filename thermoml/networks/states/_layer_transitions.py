"""What each layer of a network has to do with a transition."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...langevin import Solution
from ...numerics.statistics import Estimate
from ...thermodynamics import gaussian_entropy
from ..learning import (
    AbstractLearning,
    LayersBy,
    entropy_of_leaves,
    layers,
    matrix_like,
)
from ._states import TypeI


class LayerTransition(eqx.Module):
    r"""The share of one layer in a transition, $T_l = \Delta Q_l/\Delta S_l$.

    Attributes:
        heat: ΔQ_l from the ledger, with its error; these add up to the heat of all.
        entropy_drop: ΔS_l, of the layer's own distribution, in nats, with its error.
        temperature: T_l with its error; not bound to be at least τ.
    """

    heat: Estimate
    entropy_drop: Estimate
    temperature: Estimate


def layer_transitions(
    before: TypeI, system: AbstractLearning, run: Solution, by: LayersBy
) -> tuple[dict[str, LayerTransition], Float[Array, ""]]:
    r"""By layer heat, entropy drop and temperature; and the information between layers.

    $$I_1 = \sum_lS_l - S = \Delta S - \sum_l\Delta S_l \ge 0$$

    since the layers are independent at the start. Entropies at the end are those of the normal law
    with the covariance of the run's final states.
    """
    chosen = layers(system, by)
    ledger = chosen.sum(run.heat_by_leaf)
    starts = chosen.sum(entropy_of_leaves(before.initialisation, matrix_like(system)))
    ends = chosen.leaves(run.final_state)
    found, together = {}, -gaussian_entropy(run.final_state).entropy
    for name in chosen.members:
        heats = ledger[name][:, -1]
        end = gaussian_entropy(ends[name])
        heat, drop = Estimate.of(heats), (starts[name] - end.entropy, end.standard_error)
        ratio = heat[0] / drop[0]
        error = jnp.hypot(heat[1], ratio * drop[1]) / jnp.abs(drop[0])
        found[name] = LayerTransition(heat, drop, (ratio, error))
        together = together + end.entropy
    return found, together
