"""The bias of a time step: how far the states of a run are from those of its equilibrium."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import Solution, position_of
from ..numerics.statistics import Estimate

_FINE, _COARSE = 1e-3, 3e-2  # nats per degree of freedom
_ACCUMULATED = 0.2  # W_shadow/T on average in a window, for the correction by gL/4
_FEWEST_SAVES, _FEWEST_TRAJECTORIES = 16, 4


class StepSizeBias(Estimate):
    """KL(sampled‖equilibrium) per degree of freedom in nats, with its standard error."""

    __slots__ = ()

    @property
    def verdict(self) -> str:
        """ "fine" below 0.001, "coarse" below 0.03, else "useless"."""
        mean = float(self.mean)
        return "fine" if mean < _FINE else "coarse" if mean < _COARSE else "useless"

    def __str__(self) -> str:
        # A variance that is off by a factor r costs ½(r - 1 - ln r) ≈ ¼(r - 1)².
        off = 2 * np.sqrt(max(float(self.mean), 0.0))
        text = super().__str__()
        return f"{text} nats per degree of freedom, {self.verdict}: variances off by some {off:.0%}"


def step_size_bias(solution: Solution) -> StepSizeBias:
    r"""How far a time step bends the stationary distribution, from the shadow work of a run.

    $$\frac1d\,\mathrm{KL}(\rho\,\|\,\pi) = \frac1d\int\rho\ln\frac\rho\pi, \qquad
      \pi = e^{-E/T}/Z$$

    Where the steps are reversible with respect to their own stationary distribution ρ, as those of
    all shipped integrators are in a trap, a path's shadow work is the change of φ = T ln(ρ/π), and
    with w = W_shadow/T along a stationary trajectory
    $$\mathrm{KL} = \overline w + \ln\overline{e^{-w}},$$
    whatever the unknown φ at its start. Elsewhere shadow work also accumulates, at a rate g which
    adds gL/4 in a window of length L to what follows; that is taken off.

    The second half of the saves is used; the first must suffice to relax. The bias of a finite
    window is removed to first order by its halves.

    Args:
        solution: of `simulate`, without work: no moving control, drive or minibatch, one
            temperature, an integrator with a shadow work, at least 32 saves, and 4 trajectories.

    Returns:
        A `StepSizeBias`, an `Estimate` whose text says whether the step is fine (below 0.001),
        coarse or useless (from 0.03 on). In a trap with Euler-Maruyama it is ½(r - 1 - ln r) with
        r = 1/(1 - μk dt/2). With momentum, of positions and momenta together, per position.

    Raises:
        ValueError: a run with work, with baths of several temperatures, without shadow work, or
            with too few saves or trajectories.

    Example:
        >>> trap = tml.Langevin(tml.langevin.HarmonicPotential(1.0))
        >>> run = tml.simulate(trap, 0.0, t1=100.0, dt=0.1, save_every=5, n_trajectories=200,
        ...                    key=jax.random.key(0))
        >>> tml.step_size_bias(run).verdict
        'fine'

    Cost: O(trajectories · saves).

    Source: Sivak, Chodera and Crooks 2013, Phys. Rev. X 3, 011007; Fass et al. 2018, Entropy 20,
    318.
    """
    shadow = _reduced_shadow_work(solution)
    n_trajectories, saves = shadow.shape
    window = shadow[:, saves // 2 :]
    if window.shape[1] < _FEWEST_SAVES or n_trajectories < _FEWEST_TRAJECTORIES:
        raise ValueError(
            f"solution must have {2 * _FEWEST_SAVES} saves and {_FEWEST_TRAJECTORIES} trajectories "
            f"at least, got {saves} and {n_trajectories}; use a smaller save_every"
        )
    position = position_of(solution.final_state)
    size = sum(leaf[0].size for leaf in jax.tree.leaves(position))
    steps = window.shape[1] - 1
    rate = jnp.mean(window[:, -1] - window[:, 0]) / steps
    relaxation = _relaxation(jnp.asarray(solution.energy)[:, saves // 2 :])
    length = 16 * relaxation
    if rate * length > _ACCUMULATED:
        length = 8 * relaxation
    length = min(max(2 * round(length / 2), _FEWEST_SAVES), window.shape[1])
    count = window.shape[1] // length
    windows = jnp.reshape(window[:, : count * length], (n_trajectories, count, length))
    half = length // 2
    halves = (_divergence(windows[..., :half]) + _divergence(windows[..., -half:])) / 2
    accumulated = jnp.mean(windows[..., -1] - windows[..., 0], axis=1)
    divergence = jnp.mean(2 * _divergence(windows) - halves, axis=1) - accumulated / 4
    mean, error = Estimate.of(divergence / size)
    neglected = jnp.maximum(rate * length, 0.0) ** 2 / 4 / size
    return StepSizeBias(mean, jnp.hypot(error, neglected))


def _relaxation(energy: Float[Array, "trajectory save"]) -> float:
    """The integrated correlation time in saves, up to the first lag without correlation."""
    away = energy - jnp.mean(energy)
    size = 2 * away.shape[1]
    spectrum = jnp.abs(jnp.fft.rfft(away, size, axis=1)) ** 2
    correlation = np.asarray(jnp.mean(jnp.fft.irfft(spectrum, size, axis=1), axis=0))
    correlation = correlation[: away.shape[1]] / max(correlation[0], np.finfo(float).tiny)
    negative = np.flatnonzero(correlation < 0.05)
    end = negative[0] if negative.size else correlation.size
    return float(0.5 + correlation[1:end].sum())


def _divergence(window: Float[Array, "*windows save"]) -> Float[Array, "*windows"]:
    """w̄ + ln mean e^{-w} of each window."""
    away = window - jnp.mean(window, axis=-1, keepdims=True)
    return jnp.log1p(jnp.mean(jnp.expm1(-away), axis=-1))


def _reduced_shadow_work(solution: Solution) -> Any:
    """W_shadow/T in float64, of a run at one temperature in which no work is done."""
    shadow, work = (np.asarray(x, float) for x in (solution.shadow_work, solution.work))
    heat, flow = (np.asarray(x, float) for x in (solution.path_heat, solution.path_entropy_flow))
    if not all(np.isfinite(x).all() for x in (shadow, heat, flow)):
        raise ValueError("solution must be finite, of baths at T > 0")
    scale = np.abs(heat).max()
    if np.abs(work).max() > 1e-4 * scale:
        raise ValueError(
            "step_size_bias compares with the equilibrium of one energy: the control must stand "
            "still, without drive or minibatches, and this run has work"
        )
    temperature = np.sum(heat * flow) / np.sum(flow**2)
    if np.abs(heat - temperature * flow).max() > 1e-3 * scale:
        raise ValueError("step_size_bias needs one temperature; the run had several")
    return jnp.asarray(shadow / temperature)
