"""Energy and entropy of ensembles whose states are kept at each save."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..langevin import Heun
from ..numerics.labels import Labelled
from ..thermodynamics import gaussian_entropy
from ._base import per_trajectory
from ._experiments import ExperimentStudy, diverged, single


def run_and_keep(
    study: ExperimentStudy, system: Any, start: Any, ensemble: Mapping[str, Any], n_parameters: int
) -> dict[str, Labelled]:
    """A run whose energy and weights are kept at each save; spare parameters are 0."""
    config = study.config
    run = study.run(
        system,
        start,
        ensemble,
        0,
        t1=config.t1,
        save_every=round(config.t1 / config.dt) // config.saves,
        integrator=Heun(),
        observables={"weights": _itself},
    )
    weights = flat_parameters(run.observables["weights"], 2, n_parameters)
    return {
        "energy": Labelled(("trajectory", "time"), run.energy, "energy", "energy"),
        "heat": per_trajectory(run.heat[:, -1], "energy", "heat released"),
        "weights": Labelled(("trajectory", "time", "parameter"), weights, "", "weights"),
        **diverged(run),
    }


def flat_parameters(states: Any, n_axes: int, n_parameters: int) -> Array:
    """All parameters along one axis after the first `n_axes`; points share one array."""
    leaves = jax.tree.leaves(states)
    flat = jnp.concatenate([x.reshape((*x.shape[:n_axes], -1)) for x in leaves], axis=-1)
    return jnp.pad(flat, ((0, 0),) * n_axes + ((0, n_parameters - flat.shape[-1]),))


def _itself(state: Any, control: Any, t: Any) -> Any:
    return state


def energy_and_entropy(entry: Any, n_parameters: int) -> dict[str, np.ndarray]:
    """Both at each save with their standard errors; entropy of the normal law of the weights."""
    with jax.enable_x64(True):
        weights = jnp.asarray(single(entry, "weights")[..., :n_parameters])
        found = [gaussian_entropy(weights[:, i]) for i in range(weights.shape[1])]
    return {
        "energy": entry.energy.values,
        "energy_error": entry.energy_standard_error.values,
        "entropy": np.asarray([x.entropy for x in found]),
        "entropy_error": np.asarray([x.standard_error for x in found]),
    }
