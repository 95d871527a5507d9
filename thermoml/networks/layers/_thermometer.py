"""Thermometer: an observable that records the local temperatures of layers during a run."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Key, PyTree

from ...langevin import Time, Underdamped, acting
from ...numerics.checks import check_count
from ...numerics.statistics import Estimate
from ..learning import AbstractLearning, LayersBy, layers
from ._local_temperatures import (
    LayerMoments,
    LocalTemperatures,
    layer_moments,
    temperatures_of,
)


class Thermometer(eqx.Module):
    """An observable that records the local temperatures of all layers during a run.

        thermometer = tml.Thermometer(system, key=jax.random.key(1))
        run = tml.simulate(system, ..., observables={"layers": thermometer})
        local = thermometer.read(run.observables["layers"])   # each `(save,)`

    No state is stored. The results are those of `local_temperatures`, at each save.

    Args:
        system: a learning system, or one with momentum, the one that is simulated.
        key: of the probes. It is combined with the bits of the state, which are its only
            distinction: an observable has no key of its trajectory and save.
        by: the definition of layers, see `layers`.
        n_probes: see `local_temperatures`.

    Raises:
        TypeError: another system.

    Cost: 1 + 2 n_probes gradients of all examples for each trajectory and save.
    """

    system: AbstractLearning | Underdamped
    by: LayersBy = eqx.field(static=True)
    n_probes: int = eqx.field(static=True)
    key: Key[Array, ""]

    def __init__(
        self,
        system: AbstractLearning | Underdamped,
        *,
        key: Key[Array, ""],
        by: LayersBy = None,
        n_probes: int = 1,
    ):
        if not isinstance(acting(system), AbstractLearning):
            raise TypeError(f"system must be a learning system, got {type(system).__name__}")
        layers(system, by)
        self.system, self.by, self.n_probes = system, by, check_count("n_probes", n_probes)
        self.key = key

    def __call__(self, state: PyTree[Array], control: PyTree, t: Time) -> LayerMoments:
        # States differ, so their bits give each trajectory and save its own probes
        total = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(state)]).sum()
        bits = lax.bitcast_convert_type(total.astype(jnp.float32), jnp.uint32)
        key = jax.random.fold_in(self.key, bits)
        return layer_moments(
            self.system, state, control, t, key=key, n_probes=self.n_probes, by=self.by
        )

    def read(self, moments: LayerMoments) -> LocalTemperatures:
        """Temperatures and heat rates of the ensemble at each save.

        Trajectories in the same state, as at the start of some runs, share their probes. The error
        of the trace is then unknown, and standard errors that depend on it are NaN.

        Args:
            moments: the observable of a run, `[trajectory, save]`.

        Returns:
            A `LocalTemperatures`, each `(save,)`.

        Raises:
            ValueError: fewer than 2 trajectories.
        """
        check_count("trajectories", jax.tree.leaves(moments)[0].shape[0], 2, "errors need several")
        local = temperatures_of(moments, layers(self.system, self.by))

        def without_errors(estimates: dict[str, Estimate]) -> dict[str, Estimate]:
            return {
                name: Estimate(mean, jnp.where(_alike(moments.square[name]), jnp.nan, error))
                for name, (mean, error) in estimates.items()
            }

        return LocalTemperatures(
            configurational=without_errors(local.configurational),
            virial=local.virial,
            heat_rate=without_errors(local.heat_rate),
            bath=local.bath,
            kinetic=local.kinetic,
        )


def _alike(squares: Float[Array, "trajectory save"]) -> Bool[Array, " save"]:
    """True for saves at which all trajectories have the same |∂E|²."""
    return jnp.all(squares == squares[:1], axis=0)
