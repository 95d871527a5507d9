"""Trained states of any model, by the work of switching its data on."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ...langevin import AbstractIntegrator, Batch, Heun, Ramp, simulate
from ...numerics.arrays import is_concrete
from ...numerics.checks import check_bound, check_count, count_steps
from ...numerics.statistics import Estimate
from ...thermodynamics import bennett
from ..learning import AbstractLearning, bath_temperature
from ._boltzmann import AbstractRoute, from_free_energy


class TrainingWarning(UserWarning):
    """A trained state has not been reached, or its step is too long."""


_LOOKS = 10  # at the energy, in each quarter of the time to relax


class Switching(AbstractRoute):
    r"""Any model with a prior, by Langevin dynamics and the work of switching its data on.

    $$E_\lambda = \lambda E_\text{data} + \tfrac k2|\theta|^2, \quad \lambda: 0 \to 1, \qquad
      F_1 = -\tfrac{d\tau}2\ln\frac{2\pi\tau}k + \Delta F, \quad S_1 = \frac{U_1 - F_1}\tau$$

    Trajectories begin in the Boltzmann distribution of the prior, which can be drawn exactly; the
    data are switched on in time t1, the trajectories relax, and the data are switched off again;
    ΔF comes from the work in both directions by Bennett's acceptance ratio. U₁ is the mean energy
    of the relaxed trajectories, which are kept. All equivalent copies of a network's minimum are
    counted.

    Args:
        t1: time of each switching.
        relax: time between them, long enough for trajectories to reach equilibrium.
        dt: time step. The bias of `Heun` falls like dt².
        n_trajectories: trajectories.
        key: random key.
        integrator: another than `Heun()`.

    Raises:
        ValueError: no prior, or a minibatch: then the state is not Boltzmann.
        SimulationDiverged: dt is too long.

    Warns:
        FreeEnergyWarning: the works of the two directions do not overlap.
        TrainingWarning: the virial temperature of the relaxed states differs from τ by more than
            4 standard errors, or their mean energy changes by more than that
            from the second to the last quarter of `relax`, trajectory by trajectory.

    Cost: (2 t1 + relax)/dt steps of two gradients for each trajectory.

    Source: Jarzynski 1997; Bennett 1976; our reading of Zhang 2024 for the state.
    """

    t1: Any
    relax: Any
    dt: Any
    n_trajectories: int = eqx.field(static=True)
    key: Key[Array, ""]
    integrator: AbstractIntegrator

    def __init__(
        self,
        *,
        t1: Any,
        relax: Any,
        dt: Any,
        n_trajectories: int,
        key: Key[Array, ""],
        integrator: AbstractIntegrator | None = None,
    ):
        for name, value in (("t1", t1), ("relax", relax), ("dt", dt)):
            check_bound(name, value, ">", 0.0)
        self.t1, self.relax, self.dt, self.key = t1, relax, dt, key
        self.n_trajectories = check_count("n_trajectories", n_trajectories, 2)
        self.integrator = Heun() if integrator is None else integrator

    def find(self, system):
        needs_prior(system, "Switching")
        if system.batch is not None:
            raise ValueError(
                "Switching needs all examples in each step, got a batch: minibatch noise makes the "
                "state another than Boltzmann's"
            )
        bath = bath_temperature(system)
        keys = jax.random.split(self.key, 4)
        variance = bath / system.prior_stiffness
        width = jnp.sqrt(variance)
        free_prior = -bath * system.n_parameters / 2 * jnp.log(2 * jnp.pi * variance)

        def prior(key):
            leaves, structure = jax.tree.flatten(system.like)
            drawn = [
                width.astype(leaf.dtype) * jax.random.normal(k, leaf.shape, leaf.dtype)
                for k, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
            ]
            return jax.tree.unflatten(structure, drawn)

        def run(scale, state, end, key, save_every=None):
            return simulate(
                with_scale(system, scale),
                state,
                t1=end,
                dt=self.dt,
                key=key,
                n_trajectories=self.n_trajectories,
                integrator=self.integrator,
                save_every=save_every,
            )

        on = run(Ramp(0.0, 1.0, t1=self.t1), prior, self.t1, keys[0])
        steps = count_steps(0.0, self.relax, self.dt, on.times.dtype)
        every = max(steps // (4 * _LOOKS), 1)
        quarter = every * min(steps // 4, _LOOKS)
        first = (steps - 3 * quarter) * self.dt if quarter else self.relax
        settled = run(None, Batch(on.final_state), first, keys[1])
        if quarter:
            settled = run(None, settled, self.relax, keys[1], every)
        states = settled.final_state
        off = run(Ramp(1.0, 0.0, t1=self.t1), Batch(states), self.t1, keys[2])
        difference = bennett(on.work[:, -1], off.work[:, -1], bath)
        free = free_prior + difference.free_energy_difference
        relaxed = from_free_energy(system, states, Estimate(free, difference.standard_error))
        _warn_unless_relaxed(relaxed.virial, settled.energy[:, 1:], bath)
        return relaxed


def with_scale(system: AbstractLearning, scale: Any) -> AbstractLearning:
    """The system with another control of its data's energy."""
    return eqx.tree_at(lambda s: s.control, system, scale, is_leaf=lambda x: x is None)


def needs_prior(system: AbstractLearning, name: str) -> None:
    """ValueError unless there is a prior that can be normalised."""
    if is_concrete(system.prior_stiffness) and not float(system.prior_stiffness) > 0:
        raise ValueError(
            f"{name} needs a prior, without which e^(-E/τ) of most networks cannot be normalised; "
            "add prior_stiffness > 0"
        )


def _warn_unless_relaxed(
    virial: Estimate, energy: Float[Array, "trajectory save"], temperature: Array
) -> None:
    """TrainingWarning for a virial temperature that is not τ, or an energy that still moves.

    Args:
        virial: temperature of the relaxed states.
        energy: in the last three quarters of the time.
        temperature: τ.
    """
    if not is_concrete((virial, energy)):
        return
    if abs(float(virial.mean - temperature)) > 4 * float(virial.standard_error):
        warnings.warn(
            f"the virial temperature of the relaxed states is {float(virial.mean):.4g} ± "
            f"{float(virial.standard_error):.2g}, not τ = {float(temperature):g}: relax longer, "
            "or use a smaller dt",
            TrainingWarning,
            stacklevel=5,
        )
    looks = energy.shape[1] // 3
    if looks == 0:
        return
    second, last = energy[:, :looks], energy[:, 2 * looks :]
    drift = Estimate.of(jnp.mean(last, axis=1) - jnp.mean(second, axis=1))
    if abs(float(drift.mean)) > 4 * float(drift.standard_error):
        warnings.warn(
            f"from the second to the last quarter of relax the mean energy changes by "
            f"{float(drift.mean):.2g} ± {float(drift.standard_error):.1g}: relax longer",
            TrainingWarning,
            stacklevel=5,
        )
