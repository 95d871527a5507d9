"""Local temperatures of a network's layers, estimated from gradients and curvatures."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from ...langevin import Time, Underdamped, acting, position_of
from ...numerics.arrays import as_parameter
from ...numerics.checks import check_count
from ...numerics.compile import jitted
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ...numerics.tables import estimates_text
from ..learning import AbstractLearning, Layers, LayersBy, layers, several_states


class LayerMoments(AbstractResult):
    """Terms of the local temperatures of one state, each by layer.

    Attributes:
        square: |∂_l E|².
        trace: tr ∂²_l E, estimated.
        virial: θ_l·∂_l E.
        heat_rate: Σ_i μ_i [(∂_i E)² - τ_i ∂²_i E].
        bath: the mean of τ over the layer's parameters.
        kinetic: Σ_i p_i²/m_i with momentum, else None.

    With momentum the heat rate is Σ_i γ_i (p_i²/m_i - τ_i).
    """

    square: dict[str, Float[Array, "..."]]
    trace: dict[str, Float[Array, "..."]]
    virial: dict[str, Float[Array, "..."]]
    heat_rate: dict[str, Float[Array, "..."]]
    bath: dict[str, Float[Array, "..."]]
    kinetic: dict[str, Float[Array, "..."]] | None = None

    def _summary(self):
        shape = jnp.shape(next(iter(self.square.values())))
        columns = {
            field.name.replace("_", " "): jax.tree.map(jnp.mean, getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not None
        }
        table = estimates_text("layer", columns)
        return f"LayerMoments of shape {shape}, their means:\n{table}", {}


class LocalTemperatures(AbstractResult):
    r"""Temperatures of each layer in an ensemble of states, with standard errors.

    All by layer, in units of energy; scalars, or `(save,)` if a `Thermometer` has read a run.

    Attributes:
        configurational: $T_l = E|\partial_lE|^2/E\,\mathrm{tr}\,\partial_l^2E$, the thermometer
            for heat.
        virial: $E[\theta_l\cdot\partial_lE]/d_l$; in any steady state it equals the bath of the
            layer, so it tests whether the state is steady.
        heat_rate: the heat that flows into the layer's bath per unit of time,
            $\dot Q_l = \mu_l E\,\mathrm{tr}\,\partial_l^2E\,(T_l - \tau_l)$, summed over elements.
        bath: τ_l, the mean over the layer's parameters.
        kinetic: $E\sum_i p_i^2/m_i/d_l$ with momentum, where the heat rate is
            $\sum_i\gamma_i(E\,p_i^2/m_i - \tau_i)$; None without.
    """

    configurational: dict[str, Estimate]
    virial: dict[str, Estimate]
    heat_rate: dict[str, Estimate]
    bath: dict[str, Float[Array, "..."]]
    kinetic: dict[str, Estimate] | None = None

    def _summary(self):
        columns = {
            "bath": self.bath,
            "configurational": self.configurational,
            "virial": self.virial,
            "heat rate": self.heat_rate,
        }
        if self.kinetic is not None:
            columns["kinetic"] = self.kinetic
        return estimates_text("layer", columns), {}


def local_temperatures(
    system: AbstractLearning | Underdamped,
    states: PyTree[Float[Array, "trajectory ..."]],
    *,
    key: Key[Array, ""],
    by: LayersBy = None,
    n_probes: int = 1,
    t: Time = 0.0,
) -> LocalTemperatures:
    r"""Configurational and virial temperature of each layer, and its rate of heat.

    $$T_l = \frac{E|\partial_lE|^2}{E\,\mathrm{tr}\,\partial_l^2E}, \qquad
      \dot Q_l = \mu_l\,E\,\mathrm{tr}\,\partial_l^2E\,(T_l - \tau_l)$$

    The second holds in any state, steady or not, for energies with continuous slopes; at kinks
    (ReLU) the trace misses a part. At equilibrium all temperatures are the bath's. A long time
    step shifts them: with `EulerMaruyama` by O(dt), the virial of layer l by (dt/2) μ E|∂_lE|²/d_l;
    with `Heun` by O(dt²).

    Args:
        system: a learning system, or one with momentum; its energy is that of all examples.
        states: like its state with a first axis of independent trajectories, such as the
            `final_state` of a run or one save of an observable.
        key: of the probes.
        by: the definition of layers, see `layers`.
        n_probes: random vectors of signs for each state; their products with the Hessian estimate
            the trace (Hutchinson), and no matrix is formed.
        t: the time at which the control and time-dependent baths are evaluated.

    Returns:
        A `LocalTemperatures`.

    Raises:
        ValueError: states that do not fit, or fewer than 2.

    Cost: 1 + 2 n_probes gradients for each state.

    Source: Rugh 1997, Phys. Rev. Lett. 78, 772 (configurational); Hutchinson 1990; the heat rate
    by Itô's formula, derived here.

    Example:
        run = tml.simulate(system, start, t1=5.0, dt=0.02, key=key, n_trajectories=200)
        local = tml.local_temperatures(system, run.final_state, key=jax.random.key(1))
        print(local.configurational["layers_0"])
    """
    check_count("n_probes", n_probes)
    states = several_states(system, states)
    keys = jax.random.split(key, jax.tree.leaves(states)[0].shape[0])
    moments = _moments_of_states(system, states, keys, as_parameter(t), n_probes=n_probes, by=by)
    return temperatures_of(moments, layers(system, by))


def temperatures_of(moments: LayerMoments, chosen: Layers) -> LocalTemperatures:
    """Temperatures and heat rates from the moments of an ensemble, `(trajectory, ...)`."""
    kinetic = moments.kinetic
    if kinetic is not None:
        kinetic = {name: Estimate.of(x / chosen.sizes[name]) for name, x in kinetic.items()}
    return LocalTemperatures(
        configurational={
            name: Estimate.ratio(square, moments.trace[name])
            for name, square in moments.square.items()
        },
        virial={name: Estimate.of(x / chosen.sizes[name]) for name, x in moments.virial.items()},
        heat_rate={name: Estimate.of(x) for name, x in moments.heat_rate.items()},
        bath={name: jnp.mean(x, axis=0) for name, x in moments.bath.items()},
        kinetic=kinetic,
    )


@jitted
def _moments_of_states(
    system: AbstractLearning | Underdamped,
    states: PyTree[Array],
    keys: Key[Array, " trajectory"],
    t: Time,
    *,
    n_probes: int,
    by: LayersBy,
) -> LayerMoments:
    control = system.control_at(t)

    def one(state_and_key):
        state, key = state_and_key
        return layer_moments(system, state, control, t, key=key, n_probes=n_probes, by=by)

    return lax.map(one, (states, keys), batch_size=64)


def layer_moments(
    system: AbstractLearning | Underdamped,
    state: PyTree[Array],
    control: PyTree,
    t: Time,
    *,
    key: Key[Array, ""],
    n_probes: int,
    by: LayersBy,
) -> LayerMoments:
    """The moments of one state, with all examples.

    Args:
        system, n_probes, by: as for `local_temperatures`.
        state: one state of the system.
        control, t: the system's control and the time, at which baths are evaluated.
        key: of the probes.
    """
    chosen = layers(system, by)
    whole_state, state = state, position_of(state)
    acting_system = acting(system)
    slope_at = jax.grad(lambda state: acting_system.energy(state, control, None))
    slope = slope_at(state)

    def curvature(key):
        leaves, structure = jax.tree.flatten(state)
        signs = jax.tree.unflatten(
            structure,
            [
                jax.random.rademacher(k, leaf.shape, leaf.dtype)
                for k, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
            ],
        )
        product = jax.jvp(slope_at, (state,), (signs,))[1]
        return jax.tree.map(jnp.multiply, signs, product)

    probes = lax.map(curvature, jax.random.split(key, n_probes))
    diagonal = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), probes)
    baths = acting_system.baths.at(t, state)
    kinetic = None
    if isinstance(system, Underdamped):
        inertia = system.inertia_at(t, state)
        twice = jax.tree.map(lambda p, m: p**2 / m, whole_state.momentum, inertia.mass)
        kinetic = chosen.totals(twice)
        heat = jax.tree.map(
            lambda rate, k, tau: rate * (k - tau), inertia.friction, twice, baths.temperature
        )
    else:
        heat = jax.tree.map(
            lambda m, g, tau, h: m * (g**2 - tau * h),
            baths.mobility,
            slope,
            baths.temperature,
            diagonal,
        )
    full = jax.tree.map(
        lambda tau, leaf: jnp.broadcast_to(tau, leaf.shape), baths.temperature, state
    )
    return LayerMoments(
        square=chosen.totals(jax.tree.map(jnp.square, slope)),
        trace=chosen.totals(diagonal),
        virial=chosen.totals(jax.tree.map(jnp.multiply, state, slope)),
        heat_rate=chosen.totals(heat),
        bath={name: total / chosen.sizes[name] for name, total in chosen.totals(full).items()},
        kinetic=kinetic,
    )
