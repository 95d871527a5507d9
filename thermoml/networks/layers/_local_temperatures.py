"""Local temperatures: what the layers of a network say of the bath they are in."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_count, check_key
from ...numerics.statistics import Estimate
from ..learning import (
    AbstractLearning,
    Layers,
    LayersBy,
    layers,
    several_states,
)


class LayerMoments(eqx.Module):
    """What one state says of the temperatures of its layers, each by layer.

    Attributes:
        square: |∂_l E|².
        trace: tr ∂²_l E, estimated.
        virial: θ_l·∂_l E.
        heat_rate: Σ_i μ_i [(∂_i E)² - τ_i ∂²_i E].
        bath: the mean of τ over the layer's parameters.
    """

    square: dict[str, Float[Array, "..."]]
    trace: dict[str, Float[Array, "..."]]
    virial: dict[str, Float[Array, "..."]]
    heat_rate: dict[str, Float[Array, "..."]]
    bath: dict[str, Float[Array, "..."]]


class LocalTemperatures(eqx.Module):
    r"""Temperatures of each layer in an ensemble of states, with standard errors.

    Scalars, or `(save,)` where a `Thermometer` has read a run.

    Attributes:
        configurational: by layer, $T_l = E|\partial_lE|^2/E\,\mathrm{tr}\,\partial_l^2E$ and its
            error: the thermometer for heat.
        virial: by layer, $E[\theta_l\cdot\partial_lE]/d_l$ and its error: in any steady state the
            bath of the layer, so a check that it is one.
        heat_rate: by layer, the heat that flows into its bath in unit time and its error,
            $\dot Q_l = \mu_l E\,\mathrm{tr}\,\partial_l^2E\,(T_l - \tau_l)$, element by element.
        bath: by layer, τ_l, the mean over its parameters.
    """

    configurational: dict[str, Estimate]
    virial: dict[str, Estimate]
    heat_rate: dict[str, Estimate]
    bath: dict[str, Float[Array, "..."]]

    def __str__(self) -> str:
        if not is_concrete(self.bath):
            return "LocalTemperatures (traced)"

        width = max(len(name) for name in self.bath)
        lines = [f"{'layer':{width}}  bath     configurational      virial               heat rate"]
        saves = jnp.shape(next(iter(self.bath.values())))
        last = jax.tree.map(lambda x: x[-1], self) if saves else self
        for name, bath in last.bath.items():
            parts = (last.configurational, last.virial, last.heat_rate)
            shown = "  ".join(f"{part[name]:19}" for part in parts)
            lines.append(f"{name:{width}}  {float(bath):<7.4g}  {shown}".rstrip())
        if saves:
            lines.append(f"(the last of {saves[0]} saves)")
        return "\n".join(lines)


class Thermometer(eqx.Module):
    """Reads the local temperatures of all layers while a run goes on: an observable.

        thermometer = tml.Thermometer(system)
        run = tml.simulate(system, ..., observables={"layers": thermometer})
        local = thermometer.read(run.observables["layers"])   # each `(save,)`

    No state is kept. The numbers are those of `local_temperatures`, at each save.

    Args:
        system: a learning system, the one that is simulated.
        by: what a layer is, see `layers`.
        n_probes: see `local_temperatures`.

    Raises:
        TypeError: another system.

    Cost: 1 + 2 n_probes gradients of all examples for each trajectory and save.
    """

    system: AbstractLearning
    by: LayersBy = eqx.field(static=True)
    n_probes: int = eqx.field(static=True)

    def __init__(self, system: AbstractLearning, *, by: LayersBy = None, n_probes: int = 1):
        if not isinstance(system, AbstractLearning):
            raise TypeError(f"system must be a learning system, got {type(system).__name__}")
        layers(system, by)
        self.system, self.by, self.n_probes = system, by, check_count("n_probes", n_probes)

    def __call__(self, state: Any, control: Any, t: Any) -> LayerMoments:
        # States differ, so their bits give each trajectory and save probes of its own
        total = jnp.stack([jnp.sum(leaf) for leaf in jax.tree.leaves(state)]).sum()
        bits = lax.bitcast_convert_type(total.astype(jnp.float32), jnp.uint32)
        key = jax.random.fold_in(jax.random.key(0), bits)
        return _moments(self.system, state, control, key, t, self.n_probes, self.by)

    def read(self, moments: LayerMoments) -> LocalTemperatures:
        """What the ensemble says at each save.

        Trajectories that are in one and the same state, as at the start of some runs, share their
        probes; how far their trace is off is then not known, and errors that rest on it are NaN.

        Args:
            moments: the observable of a run, `[trajectory, save]`.

        Raises:
            ValueError: fewer than 2 trajectories.
        """
        check_count("trajectories", jax.tree.leaves(moments)[0].shape[0], 2, "errors need several")
        found = _from_moments(moments, layers(self.system, self.by))

        def doubted(name: str, measured: Estimate) -> Estimate:
            square = moments.square[name]
            same = jnp.all(square == square[:1], axis=0)
            return measured[0], jnp.where(same, jnp.nan, measured[1])

        rests = lambda read: (read.configurational, read.heat_rate)  # noqa: E731
        parts = [{name: doubted(name, x) for name, x in part.items()} for part in rests(found)]
        return eqx.tree_at(rests, found, tuple(parts))


def local_temperatures(
    system: AbstractLearning,
    states: PyTree[Float[Array, "trajectory ..."]],
    *,
    by: LayersBy = None,
    n_probes: int = 1,
    t: Any = 0.0,
    key: Key[Array, ""] | None = None,
) -> LocalTemperatures:
    r"""Configurational and virial temperature of each layer, and the heat that will flow.

    $$T_l = \frac{E|\partial_lE|^2}{E\,\mathrm{tr}\,\partial_l^2E}, \qquad
      \dot Q_l = \mu_l\,E\,\mathrm{tr}\,\partial_l^2E\,(T_l - \tau_l)$$

    The second holds in any state, at rest or not, for energies with continuous slopes; where they
    have kinks (ReLU) the trace misses a part. At equilibrium all temperatures are the bath's. A
    long time step shifts them: with `EulerMaruyama` by O(dt), the virial of layer l by
    (dt/2) μ E|∂_lE|²/d_l; with `Heun` by O(dt²).

    Args:
        system: a learning system; its energy is that of all examples.
        states: like its state with a first axis of trajectories, independent ones, such as the
            `final_state` of a run or one save of an observable.
        by: what a layer is, see `layers`.
        n_probes: random vectors of signs for each state, whose products with the Hessian estimate
            the trace (Hutchinson); no matrix is formed.
        t: when a control and baths that change in time are read.
        key: of the probes.

    Returns:
        A `LocalTemperatures`.

    Raises:
        ValueError: states that do not fit, or fewer than 2.

    Cost: 1 + 2 n_probes gradients for each state.

    Source: Rugh 1997, Phys. Rev. Lett. 78, 772 (configurational); Hutchinson 1990; the heat rate
    by Itô's formula, derived here.
    """
    check_count("n_probes", n_probes)
    states = several_states(system, states)
    keys = jax.random.split(check_key(key, "probes"), jax.tree.leaves(states)[0].shape[0])
    moments = _of_states(system, states, keys, as_parameter(t), n_probes, by)
    return _from_moments(moments, layers(system, by))


def _from_moments(moments: LayerMoments, chosen: Layers) -> LocalTemperatures:
    return LocalTemperatures(
        {
            name: Estimate.ratio(above, moments.trace[name])
            for name, above in moments.square.items()
        },
        {name: Estimate.of(x / chosen.sizes[name]) for name, x in moments.virial.items()},
        {name: Estimate.of(x) for name, x in moments.heat_rate.items()},
        {name: jnp.mean(x, axis=0) for name, x in moments.bath.items()},
    )


@eqx.filter_jit
def _of_states(
    system: AbstractLearning,
    states: PyTree[Array],
    keys: Key[Array, " trajectory"],
    t: Array,
    n_probes: int,
    by: LayersBy,
) -> LayerMoments:
    def one(given):
        state, key = given
        return _moments(system, state, system.control_at(t), key, t, n_probes, by)

    return lax.map(one, (states, keys), batch_size=64)


def _moments(
    system: AbstractLearning,
    state: PyTree[Array],
    control: Any,
    key: Key[Array, ""],
    t: Any,
    n_probes: int,
    by: LayersBy,
) -> LayerMoments:
    """Of one state, with all examples."""
    chosen = layers(system, by)
    slope_at = jax.grad(lambda state: system.energy(state, control, None))
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
    baths = system.baths.at(t, state)
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
        chosen.totals(jax.tree.map(jnp.square, slope)),
        chosen.totals(diagonal),
        chosen.totals(jax.tree.map(jnp.multiply, state, slope)),
        chosen.totals(heat),
        {name: total / chosen.sizes[name] for name, total in chosen.totals(full).items()},
    )


def gradient_noise_temperature(
    system: AbstractLearning,
    states: PyTree[Float[Array, "trajectory ..."]],
    *,
    learning_rate: Any,
    batch: int,
    replacement: bool = True,
    by: LayersBy = None,
) -> dict[str, Estimate]:
    r"""The temperature that minibatches alone give each layer under gradient descent.

    $$T_l = \frac\eta2\,\frac{\mathrm{tr}\,C_l}{d_l}, \qquad \mathrm{tr}\,C_l =
      \frac1{nB}\sum_i|\partial_l\ell_i - \overline{\partial_l\ell}|^2$$

    averaged over the states; without replacement times $(n-B)/(n-1)$. C is the covariance of the
    gradient of a batch as it is drawn, from all n examples, without noise.

    Args:
        system: a learning system.
        states: like its state with a first axis of trajectories, from the stationary state.
        learning_rate: η of $\theta' = \theta - \eta g$.
        batch: B, examples in each step.
        replacement: whether one example may be drawn twice.
        by: what a layer is, see `layers`.

    Returns:
        By layer T_l and its standard error over the states.

    Raises:
        ValueError: states that do not fit, or a batch that cannot be drawn.

    Cost: n gradients of one example for each state.

    Source: Yaida 2019, arXiv:1810.00004, for C in the stationary state; our reading of it as a
    temperature.
    """
    check_bound("learning_rate", learning_rate, ">", 0.0)
    check_count("batch", batch)
    count = system.features.shape[0]
    if not replacement and batch > count:
        raise ValueError(f"batch must be at most the {count} examples, got {batch}")
    states = several_states(system, states)
    chosen = layers(system, by)
    share = 1 / batch if replacement else (count - batch) / (batch * max(count - 1, 1))
    spreads = _gradient_spread(system, states, by)
    scale = as_parameter(learning_rate) / 2 * share
    return {
        name: Estimate.of(scale.astype(values.dtype) * values / chosen.sizes[name])
        for name, values in spreads.items()
    }


@eqx.filter_jit
def _gradient_spread(
    system: AbstractLearning, states: PyTree[Array], by: LayersBy
) -> dict[str, Array]:
    """By layer and state: the variance of single examples' gradients, summed over parameters."""
    chosen = layers(system, by)

    def one(state):
        def gradient(example):
            x, y = example
            return jax.grad(lambda s: system.data_energy(s, x[None], y[None]))(state)

        mean = jax.grad(system.data_energy)(state)

        def away(example):
            apart = jax.tree.map(jnp.subtract, gradient(example), mean)
            return chosen.totals(jax.tree.map(jnp.square, apart))

        found = lax.map(away, (system.features, system.targets), batch_size=64)
        return jax.tree.map(jnp.mean, found)

    return lax.map(one, states)
