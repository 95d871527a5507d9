"""Training by optimisers, with measurements of stationarity."""

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key, PyTree

from ...numerics.checks import check_bound, check_count, count_saves
from ...numerics.descent import optax_promotes
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ._expected_energy import initial_state
from ._initialisations import initialisation
from ._layers import LayersBy, layers
from ._learning import AbstractLearning

if TYPE_CHECKING:
    import optax


class Optimised(AbstractResult):
    r"""An ensemble of networks trained by an optimiser.

    Attributes:
        steps: at which the energy was kept, `(save,)`, from 0.
        energy: E of all examples, `[trajectory, save]`.
        final_state: like the system's state, with a first axis of trajectories.
        virial: by layer $\langle\theta_l\cdot g_l\rangle$ over the steps that were measured, g the
            gradient that the optimiser saw, `(trajectory,)`.
        squared_gradient: by layer $\langle|g_l|^2\rangle$, `(trajectory,)`.
        sizes: by layer, its number of parameters.
    """

    steps: Int[Array, " save"]
    energy: Float[Array, "trajectory save"]
    final_state: PyTree[Float[Array, "trajectory ..."]]
    virial: dict[str, Float[Array, " trajectory"]]
    squared_gradient: dict[str, Float[Array, " trajectory"]]
    sizes: dict[str, int] = eqx.field(static=True)

    def virial_temperature(self) -> dict[str, Estimate]:
        r"""By layer $\langle\theta_l\cdot g_l\rangle/d_l$ and its standard error."""
        return {name: Estimate.of(x / self.sizes[name]) for name, x in self.virial.items()}

    def stationarity(self, learning_rate: Any) -> dict[str, Estimate]:
        r"""Yaida's check of plain gradient descent: by layer

        $$\frac1{d_l}\Big[\langle\theta_l\cdot g_l\rangle -
          \frac\eta2\langle|g_l|^2\rangle\Big]$$

        and its standard error. It is 0 where $\theta' = \theta - \eta g$ has come to rest.

        Source: Yaida 2019, arXiv:1810.00004, eq. FDR1.
        """
        check_bound("learning_rate", learning_rate, ">", 0.0)
        return {
            name: Estimate.of(
                (self.virial[name] - learning_rate / 2 * self.squared_gradient[name])
                / self.sizes[name]
            )
            for name in self.virial
        }

    def _summary(self):
        count, saves = self.energy.shape
        heading = f"Optimised: {count} trajectories, {int(self.steps[-1])} steps"
        energies = Estimate.of(self.energy)
        names = [("energy at the start", 0), ("energy at the end", saves - 1)]
        rows = {name: Estimate(*(x[i] for x in energies)) for name, i in names}
        virial = self.virial_temperature()
        return heading, rows | {f"virial temperature of {name}": x for name, x in virial.items()}


def optimise(
    system: AbstractLearning,
    start: Any,
    optimiser: "optax.GradientTransformation",
    *,
    steps: int,
    key: Key[Array, ""],
    n_trajectories: int = 1,
    save_every: int | None = None,
    measure_from: int | None = None,
    by: LayersBy = None,
) -> Optimised:
    r"""Train copies of a model by an optimiser, each with its own start and minibatches.

    $$\theta' = \theta + u(g), \qquad g = \partial_\theta\Big[\frac1B\sum_{i\in b}\ell_i +
      \tfrac k2|\theta|^2\Big]$$

    There is no bath: all noise comes from the minibatches. `gradient_noise_temperature` of the
    final states measures its temperature.

    Args:
        system: a learning system; its `batch` is that of each step. Its temperature is not used.
        start: an `AbstractInitialisation` or its name; or a state, the same for all.
        optimiser: any of optax, such as `optax.sgd(0.1)`; u is its update for the gradient. Keep
            it for further calls: a new one consists of new functions, which compile anew.
        steps: number of steps.
        key: of starts and minibatches; trajectory i depends on it and i alone.
        n_trajectories: copies.
        save_every: steps between saves of the energy; it must divide `steps`. None for the ends.
        measure_from: first step of the averages in `virial` and `squared_gradient`; half if left
            out.
        by: definition of the layers, see `layers`.

    Returns:
        An `Optimised`.

    Raises:
        TypeError: an optimiser that is not one of optax.
        ValueError: numbers of steps that do not fit; a start that does not.

    Cost: a gradient of a batch for each step and trajectory, an energy of all data for each save.

    Source: Yaida 2019, arXiv:1810.00004, for the averages.
    """
    import optax  # imported here: slow to load, and rarely used

    if not isinstance(optimiser, optax.GradientTransformation):
        raise TypeError(
            f"optimiser must be one of optax, such as optax.sgd(0.1), got {optimiser!r}"
        )
    steps = check_count("steps", steps)
    n_trajectories = check_count("n_trajectories", n_trajectories)
    n_saves = count_saves(steps, save_every)
    first = steps // 2 if measure_from is None else check_count("measure_from", measure_from, 0)
    if first >= steps:
        raise ValueError(f"measure_from must be below the {steps} steps, got {first}")
    states = _starts(system, start, key, n_trajectories)
    schedule = _Schedule(steps // n_saves, n_saves, first)
    energy, final, virial, squared = _run(system, states, optimiser, schedule, key=key, by=by)
    saved = jnp.arange(n_saves + 1) * schedule.stride
    return Optimised(saved, energy, final, virial, squared, layers(system, by).sizes)


def _starts(
    system: AbstractLearning, start: Any, key: Key[Array, ""], n_trajectories: int
) -> PyTree[Float[Array, "trajectory ..."]]:
    """The first state of each trajectory: one state for all, or drawn from an initialisation."""
    if not isinstance(start, str) and jax.tree.structure(start) == jax.tree.structure(system.like):
        return jax.tree.map(
            lambda x, like: jnp.broadcast_to(
                jnp.asarray(x, like.dtype), (n_trajectories, *like.shape)
            ),
            start,
            system.like,
        )
    distribution = initialisation(start)
    draw = lambda i: initial_state(system, distribution, _keys_of(key, i)[0])  # noqa: E731
    return jax.vmap(draw)(jnp.arange(n_trajectories))


def _keys_of(key: Key[Array, ""], index: Array) -> Key[Array, " 2"]:
    """Keys of one trajectory: of its start, and of its minibatches."""
    return jax.random.split(jax.random.fold_in(key, index))


class _Schedule(NamedTuple):
    """Steps between saves, saves, and the first step that is measured."""

    stride: int
    n_saves: int
    first: int


@eqx.filter_jit
def _run(
    system: AbstractLearning,
    states: PyTree[Array],
    optimiser: "optax.GradientTransformation",
    schedule: _Schedule,
    *,
    key: Key[Array, ""],
    by: LayersBy,
) -> tuple[Array, PyTree[Array], dict[str, Array], dict[str, Array]]:
    """Energies at each save, final states, and by layer the averages of θ·g and |g|²."""
    import optax

    stride, n_saves, first = schedule
    chosen = layers(system, by)
    measured = stride * n_saves - first

    def of_one(state, index):
        own = _keys_of(key, index)[1]

        def step(carry, number):
            state, memory, virial, squared = carry
            sample = system.draw(jax.random.fold_in(own, number))
            slope = jax.grad(system.energy)(state, None, sample)
            counts = number >= first
            products = chosen.totals(jax.tree.map(jnp.multiply, state, slope))
            squares = chosen.totals(jax.tree.map(jnp.square, slope))
            add = lambda total, x: total + jnp.where(counts, x / measured, 0)  # noqa: E731
            virial, squared = (
                jax.tree.map(add, *pair) for pair in ((virial, products), (squared, squares))
            )
            with optax_promotes():
                update, memory = optimiser.update(slope, memory, state)
                state = optax.apply_updates(state, update)
            return (state, memory, virial, squared), None

        def save(carry, block):
            carry, _ = lax.scan(step, carry, block * stride + jnp.arange(stride))
            return carry, system.total_energy(carry[0])

        nothing = {name: jnp.zeros((), jax.tree.leaves(state)[0].dtype) for name in chosen.members}
        with optax_promotes():
            carry = (state, optimiser.init(state), nothing, nothing)
        (last, _, virial, squared), energies = lax.scan(save, carry, jnp.arange(n_saves))
        return jnp.append(system.total_energy(state), energies), last, virial, squared

    return jax.vmap(of_one)(states, jnp.arange(jax.tree.leaves(states)[0].shape[0]))
