"""The transition of training along its way: energy, entropy and temperature against time."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ...langevin import AbstractIntegrator, EulerMaruyama, Solution, simulate
from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound
from ...numerics.labels import Labelled, to_dataset
from ...thermodynamics import LinearSystem, NormalState, gaussian_entropy, knn_entropy
from ..learning import (
    AbstractLearning,
    LinearLearning,
    MeanSquaredError,
    bath_temperature,
    ground_state,
    initial_state,
    matrix_like,
    widths_of,
)
from ._boltzmann import curvature
from ._states import AbstractState, TypeI, TypeII
from ._trained import Trained


class TrainingPath(eqx.Module):
    r"""A learning system on its way from a state to the trained one.

    Attributes:
        times: `(save,)`, from 0.
        energy: U(t), `(save,)`, with `energy_error`.
        entropy: S(t) in nats, `(save,)`, with `entropy_error`.
        bath_temperature: τ.
        solution: the trajectories, where they were simulated.
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

    def __str__(self) -> str:
        if not is_concrete(self.energy):
            return "TrainingPath (traced)"
        return (
            f"TrainingPath of {self.times.shape[0]} saves to t = {float(self.times[-1]):g}: "
            f"U from {float(self.energy[0]):.5g} to {float(self.energy[-1]):.5g}, "
            f"S from {float(self.entropy[0]):.5g} to {float(self.entropy[-1]):.5g}"
        )

    def to_xarray(self) -> Any:
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
    before: AbstractState, system: LinearLearning, times: Float[Array, " save"]
) -> TrainingPath:
    r"""The exact path of a linear model with mean squared error from a normal state.

    $$m(t) = \hat\theta + e^{-\mu Ht}(m_0 - \hat\theta), \qquad
      \Sigma(t) = e^{-\mu Ht}(\Sigma_0 - \tau H^{-1})e^{-\mu Ht} + \tau H^{-1}$$
    $$U(t) = E_\min + \tfrac12\mathrm{tr}\,H[\Sigma + (m - \hat\theta)(m - \hat\theta)^\top], \qquad
      S(t) = \tfrac12\ln\det2\pi e\Sigma(t)$$

    Args:
        before: a `TypeI` whose parameters start normal, or a `TypeII` (or `Trained`) state of a
            linear model with mean squared error.
        system: the data that it learns from now.
        times: `(save,)`, ascending, the first of them 0.

    Returns:
        A `TrainingPath` without errors; differentiable in all parameters.

    Raises:
        ValueError, TypeError: another state or energy; `simulated_training_path` takes any.

    Cost: O(d³) for each time.

    Source: Ornstein-Uhlenbeck process: Gardiner 2009, section 4.4.
    """
    if not isinstance(system, LinearLearning) or not isinstance(system.form, MeanSquaredError):
        raise TypeError(
            "training_path needs a linear model with MeanSquaredError, got "
            f"{type(system).__name__}; use simulated_training_path"
        )
    times = as_parameter(times)
    ascending = not is_concrete(times) or (
        times.ndim == 1 and times[0] == 0 and (np.diff(np.asarray(times)) > 0).all()
    )
    if times.ndim != 1 or not ascending:
        raise ValueError("times must have shape (save,), begin at 0 and ascend")
    mean, covariance = _normal_start(before, system)
    return _exact(system, mean, covariance, times.astype(mean.dtype))


def _normal_start(before: AbstractState, system: LinearLearning) -> tuple[Array, Array]:
    """Mean and covariance of all parameters as one vector."""
    if isinstance(before, TypeI):
        like = matrix_like(system)
        widths = widths_of(before.initialisation, like)
        boxed = None if widths is None else widths.uniform
        if boxed is None or (is_concrete(boxed) and np.any(np.asarray(boxed) > 0)):
            raise ValueError(
                "training_path needs parameters that start normal: only then they stay so; use "
                "simulated_training_path"
            )
        assert widths is not None
        variance = jnp.broadcast_to(widths.variance, like.shape).astype(like.dtype).reshape(-1)
        return jnp.zeros_like(variance), jnp.diag(variance)
    trained = before.trained if isinstance(before, TypeII) else before
    if not isinstance(trained, Trained) or trained.found.normal is None:
        raise TypeError("before must be TypeI, or a Trained state of a linear model by Harmonic()")
    return trained.found.normal.mean, trained.found.normal.matrix


@eqx.filter_jit
def _exact(
    system: LinearLearning, mean: Array, covariance: Array, times: Float[Array, " save"]
) -> TrainingPath:
    stiffness = curvature(system)
    lowest = ground_state(system)
    bath = bath_temperature(system).astype(mean.dtype)
    mobility = jnp.asarray(system.mobility, mean.dtype)
    drift = mobility[..., None] * stiffness if mobility.ndim else mobility * stiffness
    relaxing = LinearSystem(drift, bath, mobility)
    away = NormalState(mean - lowest.parameters.reshape(-1), covariance)

    def at(t):
        now = relaxing.at(t, away)
        spread = now.matrix + jnp.outer(now.vector, now.vector)
        return lowest.energy + jnp.sum(stiffness * spread) / 2, now.entropy

    energy, entropy = jax.vmap(at)(times)
    exact = jnp.zeros_like(energy)
    return TrainingPath(times, energy, exact, entropy, exact, bath)


def simulated_training_path(
    before: AbstractState,
    system: AbstractLearning,
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
        before: a `TypeI`, or a state whose samples are known.
        system: what it learns from.
        t1, dt, save_every, integrator: as for `simulate`.
        n_trajectories, key: trajectories and their noise.
        density: how S is estimated from the trajectories at each save: "normal", from their
            covariance (an upper bound; more trajectories than parameters), or "neighbours",
            Kozachenko-Leonenko, for few parameters.

    Returns:
        A `TrainingPath` with standard errors.

    Raises:
        ValueError: too few trajectories for the density, or a state without samples.
        SimulationDiverged: dt is too long.

    Cost: a simulation that keeps all parameters at each save.
    """
    if density not in ("normal", "neighbours"):
        raise ValueError(f'density must be "normal" or "neighbours", got {density!r}')
    bath = bath_temperature(system)
    check_bound("dt", dt, ">", 0.0)
    solution = simulate(
        system,
        _sampler(before, system),
        t1=t1,
        dt=dt,
        key=key,
        n_trajectories=n_trajectories,
        save_every=save_every,
        integrator=EulerMaruyama() if integrator is None else integrator,
        observables={"state": _itself},
    )
    states = solution.observables["state"]
    estimate = gaussian_entropy if density == "normal" else knn_entropy
    found = [
        estimate(jax.tree.map(lambda leaf, i=i: leaf[:, i], states))
        for i in range(solution.times.shape[0])
    ]
    count = jnp.asarray(n_trajectories, solution.energy.dtype)
    return TrainingPath(
        solution.times,
        jnp.mean(solution.energy, axis=0),
        jnp.std(solution.energy, axis=0, ddof=1) / jnp.sqrt(count),
        jnp.stack([x.entropy for x in found]),
        jnp.stack([x.standard_error for x in found]),
        bath.astype(solution.energy.dtype),
        solution,
    )


def _itself(state, control, t):
    return state


def _sampler(before: AbstractState, system: AbstractLearning) -> Any:
    """key -> state of one trajectory."""
    if isinstance(before, TypeI):
        return lambda key: initial_state(before.initialisation, system, key)
    trained = before.trained if isinstance(before, TypeII) else before
    if not isinstance(trained, Trained):
        raise TypeError(f"before must be TypeI, TypeII or Trained, got {type(before).__name__}")
    return trained.sample
