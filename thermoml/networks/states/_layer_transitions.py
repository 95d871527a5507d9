"""Contribution of each layer to a transition."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...langevin import Solution
from ...numerics.results import AbstractResult
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


class LayerTransition(AbstractResult):
    r"""The share of one layer in a transition, $T_l = \Delta Q_l/\Delta S_l$.

    Attributes:
        heat: ΔQ_l from the ledger, with its error; these add up to the heat of all.
        entropy_drop: ΔS_l, of the layer's own distribution, in nats, with its error.
        temperature: T_l with its error; it may be below τ.
    """

    heat: Estimate
    entropy_drop: Estimate
    temperature: Estimate

    def _summary(self):
        return "Share of a layer in a transition", {
            "heat released": self.heat,
            "entropy drop": self.entropy_drop,
            "temperature": self.temperature,
        }


def layer_transitions(
    system: AbstractLearning, before: TypeI, run: Solution, by: LayersBy
) -> tuple[dict[str, LayerTransition], Float[Array, ""]]:
    r"""By layer heat, entropy drop and temperature; and the information between layers.

    $$I_1 = \sum_lS_l - S = \Delta S - \sum_l\Delta S_l \ge 0$$

    since the layers are independent at the start. Entropies at the end are those of the normal
    distribution with the covariance of the run's final states.
    """
    chosen = layers(system, by)
    ledger = chosen.sum(run.heat_by_leaf)
    starts = chosen.sum(entropy_of_leaves(before.initialisation, matrix_like(system)))
    ends = chosen.leaves(run.final_state)
    by_layer, information = {}, -gaussian_entropy(run.final_state).entropy
    for name in chosen.members:
        heat = Estimate.of(ledger[name][:, -1])
        end = gaussian_entropy(ends[name])
        drop = Estimate(starts[name] - end.entropy, end.standard_error)
        ratio = heat.mean / drop.mean
        error = jnp.hypot(heat.standard_error, ratio * drop.standard_error) / jnp.abs(drop.mean)
        by_layer[name] = LayerTransition(heat, drop, Estimate(ratio, error))
        information = information + end.entropy
    return by_layer, information
