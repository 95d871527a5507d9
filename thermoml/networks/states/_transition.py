"""Transitions between states of a learning system: training and the refresh of data."""

import enum
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...langevin import Solution
from ...numerics.arrays import is_concrete
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractInitialisation,
    CrossEntropy,
    LayersBy,
    LinearLearning,
    MeanSquaredError,
    Normal,
    whitened,
)
from ._boltzmann import Boltzmann, Harmonic
from ._importance import Importance
from ._layer_transitions import LayerTransition, layer_transitions
from ._states import AbstractState, TypeI, TypeII
from ._trained import Trained


class Case(enum.Enum):
    """What ΔS and ΔQ say of a transition that ends in a trained state at τ."""

    RELEASING = "heat is released and entropy falls: T >= τ, and τ/T of the heat was unavoidable"
    ABSORBING = "heat is absorbed: the start was colder and narrower than the trained state"
    INVERTED = "heat is released while entropy grows: T is negative"
    ISENTROPIC = "entropy does not change: T is infinite"
    IDENTICAL = "nothing changes: T is undefined"
    NOISE = "the entropy drop is lost in its sampling spread: T is noise and is withheld"
    UNTRAINED = "entropy production is negative beyond its error: the end is not Boltzmann at τ"


class Transition(eqx.Module):
    r"""A transition of a learning system from one state to the trained one.

    $$\Delta Q = U_0 - U_1, \quad \Delta S = S_0 - S_1, \quad T = \frac{\Delta Q}{\Delta S}, \quad
      \Sigma = \frac{\Delta Q}\tau - \Delta S = KL(p_0\|p_1) \ge 0$$

    U₀ is the energy of the first state in the potential of the trained one.

    Attributes:
        heat: ΔQ, released into the bath, in units of energy.
        work: done on the system when new data quenched its potential; 0 for training.
        entropy_drop: ΔS, in nats.
        temperature: T; NaN where the entropy drop does not exceed twice its sampling spread or its
            error, infinite where it is 0.
        reversible_heat: τΔS, what a reversible transition would have released.
        entropy_production: Σ, in nats.
        information_between_layers: ΔS - Σ_l ΔS_l >= 0, in nats; 0 for a linear model, which is
            one layer, and NaN where it has not been measured.
        by_layer: heat, entropy drop and temperature of each layer (`LayerTransition`) where a run
            was given; empty otherwise.
        bath_temperature: τ.
        heat_error, entropy_drop_error, entropy_production_error, temperature_error: standard
            errors of the estimates, 0 where they are exact.
        entropy_drop_spread: how far ΔS would spread over data of the same law (jackknife over
            examples); 0 where the start does not depend on data.
    """

    heat: Float[Array, ""]
    work: Float[Array, ""]
    entropy_drop: Float[Array, ""]
    temperature: Float[Array, ""]
    reversible_heat: Float[Array, ""]
    entropy_production: Float[Array, ""]
    information_between_layers: Float[Array, ""]
    by_layer: dict[str, LayerTransition]
    bath_temperature: Float[Array, ""]
    heat_error: Float[Array, ""]
    entropy_drop_error: Float[Array, ""]
    entropy_production_error: Float[Array, ""]
    temperature_error: Float[Array, ""]
    entropy_drop_spread: Float[Array, ""]

    @property
    def case(self) -> Case:
        """Which case this is; its `value` says it in words.

        Raises:
            TypeError: inside a trace, or of a batch of transitions.
        """
        if not is_concrete(self.heat):
            raise TypeError("the case is known outside jit and vmap only")
        if np.ndim(self.heat):
            raise TypeError(f"a batch of shape {np.shape(self.heat)} has no one case; take one out")
        heat, drop = float(self.heat), float(self.entropy_drop)
        small = 1e-9 if self.heat.dtype == np.float64 else 1e-4
        scale = max(abs(heat) / float(self.bath_temperature), abs(drop), 1.0)
        produced, error = float(self.entropy_production), float(self.entropy_production_error)
        if produced < -4 * error - small * scale:
            return Case.UNTRAINED
        if abs(drop) <= small * scale and abs(heat) <= small * scale:
            return Case.IDENTICAL
        if abs(drop) <= small * scale:
            return Case.ISENTROPIC
        if np.isnan(float(self.temperature)):
            return Case.NOISE
        if drop > 0:
            return Case.RELEASING
        return Case.ABSORBING if heat < 0 else Case.INVERTED

    def __str__(self) -> str:
        if not is_concrete(self.heat):
            return "Transition (traced)"
        if np.ndim(self.heat):
            return f"Transition (a batch of shape {np.shape(self.heat)})"

        def number(name: str) -> str:
            value, error = float(getattr(self, name)), float(getattr(self, f"{name}_error"))
            if np.isnan(value):
                return "withheld"
            return f"{value:.6g}" + (f" ± {error:.2g}" if error else "")

        spread = float(self.entropy_drop_spread)
        lines = [
            f"Transition at τ = {float(self.bath_temperature):g}",
            f"  heat released       {number('heat')}",
            f"  entropy drop        {number('entropy_drop')} nats"
            + (f", spread over data {spread:.2g}" if spread else ""),
            f"  temperature         {number('temperature')}",
            f"  entropy production  {number('entropy_production')} nats",
            f"  {self.case.value}",
        ]
        if float(self.work):
            lines.insert(1, f"  work of the refresh {float(self.work):.6g}")
        return "\n".join(lines)


def transition(
    before: AbstractState, after: Trained, *, run: Solution | None = None, by: LayersBy = None
) -> Transition:
    r"""The transition from one state to a trained one.

    Training: `transition(TypeI(...), Trained(system))`. Refresh of data:
    `transition(TypeII(trained), Trained(new_system))`, where quenching the potential is work and
    no heat, $W = E_{p_0}[E_\text{new} - E_\text{old}]$, and relaxation releases the heat.

    Args:
        before: a `TypeI`, a `TypeII`, or a `Trained` state, which is taken for a `TypeII`.
        after: the trained state.
        run: trajectories of a network that went from a `TypeI` state to rest in the system of
            `after`, such as the `solution` of a `simulated_training_path`; they tell the share of
            each layer, and the information between them. More than there are parameters.
        by: what a layer is, see `layers`.

    Returns:
        A `Transition`; differentiable in all parameters.

    Raises:
        TypeError: other states, or a run from one that is not `TypeI`.
        ValueError: states of different parameters, too few trajectories in the run.

    Source: Zhang 2024, arXiv:2404.13218, for T = ΔQ/ΔS; Σ = KL: Seifert 2012, section 2.
    """
    if not isinstance(after, Trained):
        raise TypeError(f"a transition ends in a Trained state, got {type(after).__name__}")
    if isinstance(before, Trained):
        before = TypeII(before)
    if not isinstance(before, TypeI | TypeII):
        raise TypeError(f"before must be TypeI, TypeII or Trained, got {type(before).__name__}")
    system = after.system
    energy = before.energy_in(system)
    found = _balance(
        energy,
        before.entropy_in(system),
        before.work_towards(system, energy[0]),
        after.found,
        after.temperature,
        _spread_over_data(before, after),
        isinstance(system, LinearLearning),
    )
    if run is None:
        return found
    if not isinstance(before, TypeI):
        raise TypeError(f"a run must begin in a TypeI state, got {type(before).__name__}")
    parts = layer_transitions(before, system, run, by)
    return eqx.tree_at(lambda t: (t.by_layer, t.information_between_layers), found, parts)


@eqx.filter_jit
def _balance(
    energy: Estimate,
    entropy: Estimate,
    work: Array,
    after: Boltzmann,
    bath: Array,
    spread: Array,
    one_layer: bool,
) -> Transition:
    heat, drop = energy[0] - after.energy[0], entropy[0] - after.entropy[0]
    heat_error = jnp.hypot(energy[1], after.energy[1])
    drop_error = jnp.hypot(entropy[1], after.entropy[1])
    # U - τS = F of the trained state: its own errors of U and S go together
    produced_error = jnp.hypot(jnp.hypot(energy[1], after.free_energy[1]) / bath, entropy[1])
    exact = (spread == 0) & (drop_error == 0)
    resolved = exact | (jnp.abs(drop) > 2 * jnp.hypot(spread, drop_error))
    still = drop == 0
    divisor = jnp.where(still, 1, drop)
    endless = jnp.where(heat == 0, jnp.nan, jnp.sign(heat) * jnp.inf)
    temperature = jnp.where(still, endless, heat / divisor)
    ratio = heat / divisor
    # The end's U and S are correlated, as the error of its F = U - τS says
    squares = energy[1] ** 2 + after.energy[1] ** 2
    squares = squares + ratio**2 * (entropy[1] ** 2 + after.entropy[1] ** 2)
    together = after.energy[1] ** 2 + (bath * after.entropy[1]) ** 2 - after.free_energy[1] ** 2
    squares = jnp.maximum(squares - ratio / bath * together, 0)
    some = squares > 0
    relative = jnp.where(some, jnp.sqrt(jnp.where(some, squares, 1)), 0) / jnp.abs(divisor)
    return Transition(
        heat=heat,
        work=work,
        entropy_drop=drop,
        temperature=jnp.where(resolved, temperature, jnp.nan),
        reversible_heat=bath * drop,
        entropy_production=heat / bath - drop,
        information_between_layers=jnp.where(one_layer, 0, jnp.full_like(heat, jnp.nan)),
        by_layer={},
        bath_temperature=bath,
        heat_error=heat_error,
        entropy_drop_error=drop_error,
        entropy_production_error=produced_error,
        temperature_error=jnp.where(resolved, relative, jnp.nan),
        entropy_drop_spread=spread,
    )


def _spread_over_data(before: AbstractState, after: Trained) -> Float[Array, ""]:
    """The spread of ΔS: of both entropies where both states depend on data."""
    if not isinstance(before, TypeII):
        return jnp.zeros_like(after.entropy)
    return jnp.hypot(_entropy_spread(before.trained), _entropy_spread(after))


def _entropy_spread(state: Any) -> Float[Array, ""]:
    """How far S spreads over data of the same law; 0 where that is not known."""
    system = state.system
    if not isinstance(system, LinearLearning):
        return jnp.zeros_like(state.entropy)
    curved = isinstance(system.form, CrossEntropy) and system.n_outputs is None
    weighted, normal, middle = state.found.weighted, state.found.normal, None
    if curved and weighted is not None:
        middle = weighted.weights @ weighted.states
    elif curved and normal is not None:
        middle = normal.mean
    return _jackknife(system, middle)


@eqx.filter_jit
def _jackknife(system: LinearLearning, middle: Array | None) -> Float[Array, ""]:
    r"""The spread of -½ ln det H from leaving out one example at a time.

    Leaving out example i multiplies det H by 1 - h_i, with h_i its leverage.
    """
    features = system.features
    count = features.shape[0]
    weight = jnp.ones((count,), features.dtype)
    if middle is not None:  # the curvature of a logistic example, amid the distribution
        chance = jax.nn.sigmoid(features @ middle)
        weight = chance * (1 - chance)
    shares = features * jnp.sqrt(weight)[:, None]
    basis, white = whitened(shares, system.prior_stiffness)
    shown = shares @ basis
    leverage = jnp.sum(shown * jnp.linalg.solve(white, shown.T).T, axis=1) / count
    outputs = 1 if system.n_outputs is None else system.n_outputs
    change = jnp.log1p(-jnp.minimum(leverage, 1 - 1e-6)) / 2 * outputs
    away = change - jnp.mean(change)
    return jnp.sqrt((count - 1) / count * jnp.sum(away**2))


def linear_temperature(
    features: Any,
    targets: Any,
    *,
    energy: Any = None,
    initialisation: Any = 1.0,
    bath_temperature: Any = 1.0,
    prior_stiffness: Any = 0.0,
    n_samples: int = 100_000,
    key: Any = None,
) -> Transition:
    r"""How hot it is to train a linear model on a data set, $T = \Delta Q/\Delta S$.

    For mean squared error, with $C = X^\top X/n$ and initial covariance Σ₀,

    $$\Delta Q = \tfrac12[\mathrm{tr}\,C\Sigma_0 + \hat\theta^\top C\hat\theta] - \tfrac{d\tau}2,
      \qquad \Delta S = S_0 - \tfrac d2\ln2\pi e\tau + \tfrac12\ln\det C .$$

    Args:
        features, targets: `(n, d)` and `(n,)`.
        energy: an energy form; `MeanSquaredError()` if left out.
        initialisation: an `AbstractInitialisation`, its name, or a standard deviation.
        bath_temperature: τ > 0, scalar.
        prior_stiffness: k >= 0 of a prior energy (k/2)|θ|², which belongs to the energy.
        n_samples, key: of importance sampling, which finds the trained state of other energies;
            without a key `jax.random.key(0)`.

    Returns:
        A `Transition`; its errors are 0 for mean squared error. Differentiable in data, widths, τ.

    Raises:
        ValueError: as for `LinearLearning`, `TypeI`, `Trained`.

    Cost: O(nd² + d³) for mean squared error, O(n_samples · nd) for others.

    Source: Zhang 2024, arXiv:2404.13218 (definition); closed forms derived here.
    """
    form = MeanSquaredError() if energy is None else energy
    system = LinearLearning(
        (features, targets), form, prior_stiffness=prior_stiffness, temperature=bath_temperature
    )
    start = initialisation
    if not isinstance(start, str | AbstractInitialisation):
        start = Normal(start)
    harmonic = isinstance(form, MeanSquaredError)
    route = Harmonic() if harmonic else Importance(n_samples, key)
    return transition(TypeI(start), Trained(system, route))
