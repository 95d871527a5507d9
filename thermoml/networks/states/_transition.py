"""Transitions between states of a learning system: training and the refresh of data."""

import enum
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ...langevin import Solution
from ...numerics.arrays import is_concrete
from ...numerics.checks import check_bound, check_number
from ...numerics.compile import jitted
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractEnergy,
    AbstractInitialisation,
    LayersBy,
    LinearLearning,
    Normal,
    is_harmonic_system,
)
from ..learning.energies import MeanSquaredError
from ._boltzmann import Boltzmann
from ._importance import Importance
from ._layer_transitions import LayerTransition, layer_transitions
from ._states import AbstractState, TypeI, starting_state
from ._trained import Trained


class Case(enum.Enum):
    """Cases of a transition to a trained state at τ, by the signs of ΔS and ΔQ."""

    RELEASING = "heat is released and entropy falls: T >= τ, and τ/T of the heat was unavoidable"
    ABSORBING = "heat is absorbed: the start was colder and narrower than the trained state"
    INVERTED = "heat is released while entropy grows: T is negative"
    ISENTROPIC = "entropy does not change: T is infinite"
    IDENTICAL = "nothing changes: T is undefined"
    NOISE = "the entropy drop is lost in its sampling spread: T is noise and is withheld"
    UNTRAINED = "entropy production is negative beyond its error: the end is not Boltzmann at τ"


class Transition(AbstractResult):
    r"""A transition of a learning system from one state to the trained one.

    $$\Delta Q = U_0 - U_1, \quad \Delta S = S_0 - S_1, \quad T = \frac{\Delta Q}{\Delta S}, \quad
      \Sigma = \frac{\Delta Q}\tau - \Delta S = KL(p_0\|p_1) \ge 0$$

    U₀ is the energy of the first state in the potential of the trained one.

    Attributes:
        heat: ΔQ, released into the bath, in units of energy.
        work: done on the system when new data quenched its potential; 0 for training.
        entropy_drop: ΔS, in nats.
        temperature: T; NaN where the entropy drop does not exceed twice its known uncertainty
            (error and spread over data), infinite where it is 0.
        reversible_heat: τΔS, the heat that a reversible transition releases.
        entropy_production: Σ, in nats.
        information_between_layers: ΔS - Σ_l ΔS_l >= 0, in nats; 0 for a linear model, which is
            one layer, and NaN where it has not been measured.
        by_layer: heat, entropy drop and temperature of each layer (`LayerTransition`) where a run
            was given; empty otherwise.
        bath_temperature: τ.
        heat_error, entropy_drop_error, entropy_production_error, temperature_error: standard
            errors of the estimates, 0 where they are exact.
        entropy_drop_spread: standard deviation of ΔS over data of the same law (jackknife over
            examples, to harmonic order); 0 where the start does not depend on data, NaN where it is
            not known: for networks, and for energies made of kinks.
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
        """The case of this transition; its `value` describes it.

        Raises:
            TypeError: inside a trace, or of a batch of transitions.
        """
        if not is_concrete(self.heat):
            raise TypeError("the case is known only outside jit and vmap")
        if np.ndim(self.heat):
            raise TypeError(f"a batch of shape {np.shape(self.heat)} has no one case; take one out")
        heat, drop = float(self.heat), float(self.entropy_drop)
        negligible = float(_rounding(self.heat, self.entropy_drop, self.bath_temperature))
        produced, error = float(self.entropy_production), float(self.entropy_production_error)
        if produced < -4 * error - negligible:
            return Case.UNTRAINED
        if abs(drop) <= negligible and abs(heat) <= negligible:
            return Case.IDENTICAL
        if abs(drop) <= negligible:
            return Case.ISENTROPIC
        if np.isnan(float(self.temperature)):
            return Case.NOISE
        if drop > 0:
            return Case.RELEASING
        return Case.ABSORBING if heat < 0 else Case.INVERTED

    def _summary(self):
        spread = self.entropy_drop_spread
        rows: dict[str, Any] = {
            "heat released": Estimate(self.heat, self.heat_error),
            "entropy drop (nats)": Estimate(self.entropy_drop, self.entropy_drop_error),
            "temperature": Estimate(self.temperature, self.temperature_error),
            "entropy production (nats)": Estimate(
                self.entropy_production, self.entropy_production_error
            ),
        }
        if np.any(self.work):
            rows = {"work of the refresh": self.work} | rows
        if np.ndim(self.heat):
            return f"Transitions, a batch of shape {np.shape(self.heat)}", rows
        if np.isnan(spread):
            rows["its spread over data"] = "not known"
        elif spread:
            rows["its spread over data"] = spread
        if np.isnan(self.temperature):
            rows["temperature"] = "withheld"
        elif np.isinf(self.temperature):
            rows["temperature"] = "infinite"
        rows |= {f"temperature of {name}": x.temperature for name, x in self.by_layer.items()}
        heading = f"Transition at τ = {float(self.bath_temperature):g}"
        return heading, rows | {"case": self.case.value}


def transition(
    before: AbstractState | Trained,
    after: Trained,
    *,
    run: Solution | None = None,
    by: LayersBy = None,
) -> Transition:
    r"""The transition from one state to a trained one.

    Training: `transition(TypeI(...), Trained(system))`. Refresh of data:
    `transition(TypeII(trained), Trained(new_system))`, where quenching the potential is work and
    no heat, $W = E_{p_0}[E_\text{new} - E_\text{old}]$, and relaxation releases the heat.

    Args:
        before: a `TypeI`, a `TypeII`, or a `Trained` state, which stands for a `TypeII`.
        after: the trained state.
        run: trajectories of a network that relaxed from a `TypeI` state in the system of `after`,
            such as the `solution` of a `simulated_training_path`, more than parameters; for the
            share of each layer, and the information between them.
        by: definition of the layers, see `layers`.

    Returns:
        A `Transition`; differentiable in all parameters.

    Raises:
        TypeError: other states, or a run from one that is not `TypeI`.
        ValueError: states of different parameters, too few trajectories in the run.

    Source: Zhang 2024, arXiv:2404.13218, for T = ΔQ/ΔS; Σ = KL: Seifert 2012, section 2.
    """
    if not isinstance(after, Trained):
        raise TypeError(f"a transition ends in a Trained state, got {type(after).__name__}")
    before, system = starting_state(before), after.system
    if not (run is None or isinstance(before, TypeI)):
        raise TypeError(f"a run must begin in a TypeI state, got {type(before).__name__}")
    energy = before.energy_in(system)
    whole = _balance(
        energy,
        before.entropy_in(system),
        after.distribution,
        work=before.work_towards(system, energy.mean),
        bath=after.temperature,
        spread=before.spread_of_drop(after),
        one_layer=isinstance(system, LinearLearning),
    )
    if run is None:
        return whole
    assert isinstance(before, TypeI)
    parts = layer_transitions(system, before, run, by)
    return eqx.tree_at(lambda t: (t.by_layer, t.information_between_layers), whole, parts)


def _rounding(
    heat: Float[Array, "..."], drop: Float[Array, "..."], bath: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The size up to which heat and entropy drop may be rounding."""
    small = 1e-9 if heat.dtype == jnp.float64 else 1e-4
    return small * jnp.maximum(jnp.maximum(jnp.abs(heat) / bath, jnp.abs(drop)), 1.0)


@jitted
def _balance(
    energy: Estimate,
    entropy: Estimate,
    after: Boltzmann,
    *,
    work: Float[Array, ""],
    bath: Float[Array, ""],
    spread: Float[Array, ""],
    one_layer: bool,
) -> Transition:
    """The transition, from U₀ and S₀ in the new potential and the trained state."""
    heat, drop = energy.mean - after.energy.mean, entropy.mean - after.entropy.mean
    heat_error = jnp.hypot(energy.standard_error, after.energy.standard_error)
    drop_error = jnp.hypot(entropy.standard_error, after.entropy.standard_error)
    # U - τS = F of the trained state: its own errors of U and S are correlated
    free_error = jnp.hypot(energy.standard_error, after.free_energy.standard_error)
    noise = jnp.hypot(jnp.where(jnp.isnan(spread), 0, spread), drop_error)
    still, idle = (jnp.abs(x) <= _rounding(heat, drop, bath) for x in (drop, heat))
    resolved = still | (noise == 0) | (jnp.abs(drop) > 2 * noise)
    endless = jnp.where(idle, jnp.nan, jnp.sign(heat) * jnp.inf)
    ratio = heat / jnp.where(still, 1, drop)
    temperature = jnp.where(still, endless, ratio)
    error = _ratio_error(energy, entropy, after, bath=bath, drop=drop)
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
        entropy_production_error=jnp.hypot(free_error / bath, entropy.standard_error),
        temperature_error=jnp.where(resolved, error, jnp.nan),
        entropy_drop_spread=spread,
    )


def _ratio_error(
    energy: Estimate,
    entropy: Estimate,
    after: Boltzmann,
    *,
    bath: Float[Array, ""],
    drop: Float[Array, ""],
) -> Float[Array, ""]:
    """Standard error of ΔQ/ΔS to first order.

    U and S of the trained state are correlated, as the error of its F = U - τS shows.
    """
    divisor = jnp.where(drop == 0, 1, drop)
    ratio = (energy.mean - after.energy.mean) / divisor
    squares = energy.standard_error**2 + after.energy.standard_error**2
    squares = squares + ratio**2 * (entropy.standard_error**2 + after.entropy.standard_error**2)
    together = after.energy.standard_error**2 + (bath * after.entropy.standard_error) ** 2
    together = together - after.free_energy.standard_error**2
    squares = jnp.maximum(squares - ratio / bath * together, 0)
    positive = squares > 0
    error = jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)
    return error / jnp.abs(divisor)


def linear_temperature(
    features: Any,
    targets: Any,
    *,
    energy: AbstractEnergy | None = None,
    initialisation: Any = 1.0,
    bath_temperature: Any = 1.0,
    prior_stiffness: Any = 0.0,
    n_samples: int = 100_000,
    key: Key[Array, ""] | None = None,
) -> Transition:
    r"""The temperature of training a linear model on a data set, $T = \Delta Q/\Delta S$.

    For mean squared error, with $C = X^\top X/n$ and initial covariance Σ₀,

    $$\Delta Q = \tfrac12[\mathrm{tr}\,C\Sigma_0 + \hat\theta^\top C\hat\theta] - \tfrac{d\tau}2,
      \qquad \Delta S = S_0 - \tfrac d2\ln2\pi e\tau + \tfrac12\ln\det C .$$

    Args:
        features, targets: `(n, d)` and `(n,)`.
        energy: of the outputs; `MeanSquaredError()` if left out.
        initialisation: an `AbstractInitialisation`, its name, or a standard deviation.
        bath_temperature: τ > 0, scalar.
        prior_stiffness: k >= 0 of a prior energy (k/2)|θ|², which belongs to the energy.
        n_samples, key: of importance sampling, for the trained state of other energies; the key
            is required for these.

    Returns:
        A `Transition`; its errors are 0 for mean squared error. Differentiable in data, widths, τ.

    Raises:
        ValueError, TypeError: as for `LinearLearning`, `TypeI`, `Trained`.

    Cost: O(nd² + d³) for mean squared error, O(n_samples · nd) for others.

    Source: Zhang 2024, arXiv:2404.13218 (definition); closed forms derived here.
    """
    check_number("bath_temperature", bath_temperature)
    check_bound("bath_temperature", bath_temperature, ">", 0.0)
    system = LinearLearning(
        MeanSquaredError() if energy is None else energy,
        (features, targets),
        prior_stiffness=prior_stiffness,
        temperature=bath_temperature,
    )
    start = initialisation
    if not isinstance(start, str | AbstractInitialisation):
        start = Normal(start)
    route = None if is_harmonic_system(system) else Importance(n_samples, key=key)
    return transition(TypeI(start, key=key), Trained(system, route))
