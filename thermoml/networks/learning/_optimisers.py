"""Training by optimisers, with measurements of stationarity."""

from typing import TYPE_CHECKING, Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from ...ensembles import (
    INITIAL,
    MINIBATCHES,
    AbstractProcess,
    Direct,
    Footprint,
    Layout,
    Saves,
    progress_meter,
    raise_if_diverged,
    run,
    widest_array,
)
from ...numerics.arrays import is_concrete
from ...numerics.checks import check_bound, check_count
from ...numerics.compile import jitted
from ...numerics.optimisers import check_optimiser, optax_promotes, transformation
from ...numerics.random import trajectory_key
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
        diverged_step: `(trajectory,)`, the step at which a model turned non-finite, or -1.
        sizes: by layer, its number of parameters.
    """

    steps: Int[Array, " save"]
    energy: Float[Array, "trajectory save"]
    final_state: PyTree[Float[Array, "trajectory ..."]]
    virial: dict[str, Float[Array, " trajectory"]]
    squared_gradient: dict[str, Float[Array, " trajectory"]]
    diverged_step: Int[Array, " trajectory"]
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
    optimiser: "optax.GradientTransformation | optax.MultiSteps",
    *,
    steps: int,
    key: Key[Array, ""],
    n_trajectories: int = 1,
    save_every: int | None = None,
    measure_from: int | None = None,
    by: LayersBy = None,
    progress: bool | diffrax.AbstractProgressMeter = False,
    throw: bool = True,
    layout: Layout | None = None,
) -> Optimised:
    r"""Train copies of a model by an optimiser, each with its own start and minibatches.

    $$\theta' = \theta + u(g), \qquad g = \partial_\theta\Big[\frac1B\sum_{i\in b}\ell_i +
      \tfrac k2|\theta|^2\Big]$$

    There is no bath: all noise comes from the minibatches. `gradient_noise_temperature` of the
    final states measures its temperature.

    Args:
        system: a learning system; its `batch` is that of each step. Its temperature is not used.
        start: an `AbstractInitialisation` or its name; or a state, the same for all.
        optimiser: any of optax, such as `optax.sgd(0.1)`, those with line searches and
            `optax.MultiSteps` too; u is its update for the gradient. Keep it for further calls: a
            new one consists of new functions, which compile anew.
        steps: number of steps.
        key: of starts and minibatches; trajectory i depends on it and i alone.
        n_trajectories: copies.
        save_every: steps between saves of the energy; it must divide `steps`. None for the ends.
        measure_from: first step of the averages in `virial` and `squared_gradient`; half if left
            out.
        by: definition of the layers, see `layers`.
        progress: True for a bar, or a diffrax progress meter.
        throw: raise when a model turns non-finite. Inside jit, vmap or grad, and with False, its
            energies are NaN from there on, and `diverged_step` tells the step.
        layout: chunks and devices; chosen for this machine where it is None.

    Returns:
        An `Optimised`.

    Raises:
        SimulationDiverged: with `.solution`, the `Optimised`.
        TypeError: an optimiser that is not one of optax.
        ValueError: numbers of steps that do not fit; a start that does not.

    Cost: a gradient of a batch for each step and trajectory, an energy of all data for each save.

    Source: Yaida 2019, arXiv:1810.00004, for the averages.
    """
    check_optimiser(optimiser)
    steps = check_count("steps", steps)
    n_trajectories = check_count("n_trajectories", n_trajectories)
    saves = Saves.of(steps, save_every)
    first = steps // 2 if measure_from is None else check_count("measure_from", measure_from, 0)
    if first >= steps:
        raise ValueError(f"measure_from must be below the {steps} steps, got {first}")
    states = _starts(system, start, key, n_trajectories)
    process = _Training(system, optimiser, key, by, first, steps)
    layout = Layout.of(layout)
    energy, trained = layout.collect(_run(process, states, saves, progress_meter(progress), layout))
    sizes = layers(system, by).sizes
    saved = jnp.asarray(saves.steps)
    optimised = Optimised(
        saved, energy, trained.state, trained.virial, trained.squared, trained.diverged_step, sizes
    )
    if throw and is_concrete(trained.diverged_step):
        raise_if_diverged(trained.diverged_step, optimised, "use a smaller learning rate")
    return optimised


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
    draw = lambda i: initial_state(system, distribution, trajectory_key(key, i, INITIAL))  # noqa: E731
    return jax.vmap(draw)(jnp.arange(n_trajectories))


class _Trainees(eqx.Module):
    """One model between two steps, or an ensemble of them, trajectory axis first.

    Attributes:
        state: their parameters.
        memory: of the optimiser.
        virial, squared: by layer, averages of θ·g and |g|² over the steps that are measured.
        diverged_step: the step at which energy or state turned non-finite, or -1.
    """

    state: PyTree[Float[Array, "..."]]
    memory: PyTree[Array]
    virial: dict[str, Float[Array, "*trajectories"]]
    squared: dict[str, Float[Array, "*trajectories"]]
    diverged_step: Int[Array, "*trajectories"]


class _Training(AbstractProcess[_Trainees, Key[Array, " trajectory"], _Trainees]):
    """Steps of an optimiser."""

    system: AbstractLearning
    optimiser: "optax.GradientTransformation | optax.MultiSteps"
    key: Key[Array, ""]
    by: LayersBy = eqx.field(static=True)
    first: int = eqx.field(static=True)
    n_steps: int = eqx.field(static=True)
    trajectory_axis: ClassVar[int] = 0

    def footprint(self, walkers: _Trainees) -> Footprint:
        def numbers() -> int:
            one = jax.tree.map(lambda leaf: leaf[0], walkers)
            step = jnp.asarray(0)
            return widest_array(self._one, jax.random.key(0), one, step)

        return Footprint(numbers)

    def init(self, indices, walkers, own, step):
        keys = jax.vmap(lambda i: trajectory_key(self.key, i, MINIBATCHES))(indices)
        return keys, walkers

    def _one(self, key: Key[Array, ""], model: _Trainees, step: Int[Array, ""]) -> _Trainees:
        """A step of one model."""
        import optax

        chosen, state = layers(self.system, self.by), model.state
        sample = self.system.draw(jax.random.fold_in(key, step))
        energy = lambda state: self.system.energy(state, None, sample)  # noqa: E731
        value, slope = jax.value_and_grad(energy)(state)
        measured, total = step >= self.first, self.n_steps - self.first
        products = chosen.totals(jax.tree.map(jnp.multiply, state, slope))
        squares = chosen.totals(jax.tree.map(jnp.square, slope))
        add = lambda mean, x: mean + jnp.where(measured, x / total, 0)  # noqa: E731
        with optax_promotes():
            update, memory = transformation(self.optimiser).update(
                slope, model.memory, state, value=value, grad=slope, value_fn=energy
            )
            moved = optax.apply_updates(state, update)
        leaves = jax.tree.leaves((value, moved))
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
        failed = ~finite & (model.diverged_step < 0)
        return _Trainees(
            moved,
            jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), memory, model.memory),
            jax.tree.map(add, model.virial, products),
            jax.tree.map(add, model.squared, squares),
            jnp.where(failed, step, model.diverged_step),
        )

    def step(self, held, moving, step):
        return jax.vmap(self._one, (0, 0, None))(held, moving, step)

    def record(self, held, moving, step, n_steps):
        return moving, jax.vmap(self.system.total_energy)(moving.state)

    def final(self, moving: _Trainees) -> _Trainees:
        return moving


@jitted
def _run(
    process: _Training,
    states: PyTree[Float[Array, "trajectory ..."]],
    saves: Saves,
    meter: diffrax.AbstractProgressMeter,
    layout: Layout,
) -> tuple[Float[Array, "trajectory save"], _Trainees]:
    """Energies at each save, and the models at the end."""
    leaf = jax.tree.leaves(states)[0]
    names = layers(process.system, process.by).members
    zeros = {name: jnp.zeros(leaf.shape[0], leaf.dtype) for name in names}
    with optax_promotes():
        memory = jax.vmap(transformation(process.optimiser).init)(states)
    outcome = run(
        process,
        _Trainees(states, memory, zeros, zeros, jnp.full(leaf.shape[0], -1)),
        step=jnp.asarray(0),
        first_trajectory=jnp.asarray(0),
        saves=saves,
        adjoint=Direct(),
        meter=meter,
        layout=layout,
    )
    return outcome.records, outcome.walkers
