"""The course of training: energy, entropy and temperature against time."""

from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ...langevin import AbstractIntegrator, EulerMaruyama, Solution, simulate
from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound
from ...numerics.compile import jitted
from ...numerics.labels import Labelled, to_dataset
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ...thermodynamics import LinearSystem, NormalState, gaussian_entropy, knn_entropy
from ..learning import (
    AbstractLearning,
    LinearLearning,
    bath_temperature,
    ground_state,
    harmonic_stiffness,
    is_harmonic_system,
)
from ._states import AbstractState, starting_state
from ._trained import Trained

if TYPE_CHECKING:
    import xarray


class TrainingPath(AbstractResult):
    r"""A learning system on its way from a state to the trained one.

    Attributes:
        times: `(save,)`, from 0.
        energy: U(t), `(save,)`, with `energy_error`.
        entropy: S(t) in nats, `(save,)`, with `entropy_error`.
        bath_temperature: τ.
        solution: the trajectories, if they were simulated.
    """

    times: Float[Array, " save"]
    energy: Float[Array, " save"]
    energy_error: Float[Array, " save"]
    entropy: Float[Array, " save"]
    entropy_error: Float[Array, " save"]
    bath_temperature: Float[Array, ""]
    solution: Solution | None = None

    @property
    def heat(self) -> Float[Array, " save"]:
        """Heat released so far, U(0) - U(t)."""
        return self.energy[0] - self.energy

    @property
    def entropy_drop(self) -> Float[Array, " save"]:
        """S(0) - S(t)."""
        return self.entropy[0] - self.entropy

    @property
    def temperature(self) -> Float[Array, " save"]:
        """[U(0) - U(t)]/[S(0) - S(t)], of the transition so far; NaN at the start."""
        drop = self.entropy_drop
        return jnp.where(drop == 0, jnp.nan, self.heat / jnp.where(drop == 0, 1, drop))

    @property
    def local_temperature(self) -> Float[Array, " save"]:
        """dU/dS along the path, by differences; it tends to τ for any p that becomes Boltzmann."""
        slope = jnp.asarray(jnp.gradient(self.entropy))
        return jnp.asarray(jnp.gradient(self.energy)) / jnp.where(slope == 0, jnp.nan, slope)

    @property
    def entropy_production(self) -> Float[Array, " save"]:
        """ΔQ/τ - ΔS so far, in nats; never negative."""
        return self.heat / self.bath_temperature - self.entropy_drop

    def _summary(self):
        count, end = self.times.shape[0], float(self.times[-1])
        return f"Training path of {count} saves to t = {end:g}", {
            "time": self.times,
            "energy": Estimate(self.energy, self.energy_error),
            "entropy": Estimate(self.entropy, self.entropy_error),
            "temperature": self.temperature,
        }

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset over time."""
        units = {
            "energy": "energy",
            "energy_error": "energy",
            "entropy": "nat",
            "entropy_error": "nat",
            "heat": "energy",
            "entropy_drop": "nat",
            "temperature": "energy",
            "local_temperature": "energy",
            "entropy_production": "nat",
        }
        named = {
            name: Labelled(("time",), getattr(self, name), unit, name.replace("_", " "))
            for name, unit in units.items()
        }
        return to_dataset(named | {"time": Labelled(("time",), self.times, "time", "time")})


def training_path(
    system: LinearLearning, before: AbstractState | Trained, times: Any
) -> TrainingPath:
    r"""The exact path of a linear model with mean squared error from a normal state.

    $$m(t) = \hat\theta + e^{-\mu Ht}(m_0 - \hat\theta), \qquad
      \Sigma(t) = e^{-\mu Ht}(\Sigma_0 - \tau H^{-1})e^{-\mu Ht} + \tau H^{-1}$$
    $$U(t) = E_\min + \tfrac12\mathrm{tr}\,H[\Sigma + (m - \hat\theta)(m - \hat\theta)^\top], \qquad
      S(t) = \tfrac12\ln\det2\pi e\Sigma(t)$$

    Args:
        system: a linear model with mean squared error.
        before: a `TypeI` whose parameters start normal, or a `TypeII` (or `Trained`) state that is
            normal.
        times: `(save,)`, ascending, the first of them 0.

    Returns:
        A `TrainingPath` without errors; differentiable in all parameters.

    Raises:
        ValueError, TypeError: another state or energy; `simulated_training_path` takes any.

    Cost: O(d³) for each time.

    Source: Ornstein-Uhlenbeck process: Gardiner 2009, section 4.4.
    """
    if not is_harmonic_system(system):
        raise TypeError(
            "training_path needs a linear model with MeanSquaredError, got "
            f"{type(system).__name__}; use simulated_training_path"
        )
    times = as_parameter(times)
    ascending = not is_concrete(times) or (
        times.ndim == 1 and times[0] == 0 and (np.diff(np.asarray(times, float)) > 0).all()
    )
    if times.ndim != 1 or not ascending:
        raise ValueError("times must have shape (save,), begin at 0 and ascend")
    normal = starting_state(before).normal_in(system)
    return _exact_path(system, normal, times.astype(normal.mean.dtype))


@jitted
def _exact_path(
    system: LinearLearning, start: NormalState, times: Float[Array, " save"]
) -> TrainingPath:
    stiffness = harmonic_stiffness(system)
    lowest = ground_state(system)
    dtype = start.mean.dtype
    bath = bath_temperature(system).astype(dtype)
    mobility = jnp.asarray(system.mobility, dtype)
    drift = mobility[..., None] * stiffness if mobility.ndim else mobility * stiffness
    relaxing = LinearSystem(drift, bath, mobility)
    away = NormalState(start.mean - lowest.parameters.reshape(-1), start.matrix)

    def at(t):
        now = relaxing.at(t, away)
        spread = now.matrix + jnp.outer(now.vector, now.vector)
        return lowest.energy + jnp.sum(stiffness * spread) / 2, now.entropy

    energy, entropy = jax.vmap(at)(times)
    exact = jnp.zeros_like(energy)
    return TrainingPath(times, energy, exact, entropy, exact, bath)


def simulated_training_path(
    system: AbstractLearning,
    before: AbstractState | Trained,
    *,
    t1: Any,
    dt: Any,
    n_trajectories: int,
    key: Key[Array, ""],
    save_every: int | None = None,
    density: Literal["normal", "neighbours"] = "normal",
    integrator: AbstractIntegrator | None = None,
) -> TrainingPath:
    """The path of any model, by Langevin dynamics; the ledger is in its `solution`.

    Args:
        system: a `LinearLearning` or `NetworkLearning`.
        before: a `TypeI`, or a trained state that gives samples.
        t1, dt, save_every, integrator: as for `simulate`.
        n_trajectories, key: trajectories and their noise.
        density: the estimator of S from the trajectories at each save: "normal", from their
            covariance (an upper bound; more trajectories than parameters), or "neighbours",
            Kozachenko-Leonenko, for few parameters.

    Returns:
        A `TrainingPath` with standard errors.

    Raises:
        ValueError: too few trajectories for the density, or a state without samples.
        SimulationDiverged: dt is too long.

    Cost: a simulation that stores all parameters at each save.
    """
    if density not in ("normal", "neighbours"):
        raise ValueError(f'density must be "normal" or "neighbours", got {density!r}')
    bath = bath_temperature(system)
    check_bound("dt", dt, ">", 0.0)
    start = starting_state(before)
    solution = simulate(
        system,
        lambda key: start.sample(system, key),
        t1=t1,
        dt=dt,
        key=key,
        n_trajectories=n_trajectories,
        save_every=save_every,
        integrator=EulerMaruyama() if integrator is None else integrator,
        observables={"state": lambda state, control, t: state},
    )
    states = solution.observables["state"]
    estimate = gaussian_entropy if density == "normal" else knn_entropy
    entropies = [
        estimate(jax.tree.map(lambda leaf, i=i: leaf[:, i], states))
        for i in range(solution.times.shape[0])
    ]
    return TrainingPath(
        solution.times,
        *Estimate.of(solution.energy),
        jnp.stack([x.entropy for x in entropies]),
        jnp.stack([x.standard_error for x in entropies]),
        bath.astype(solution.energy.dtype),
        solution,
    )
