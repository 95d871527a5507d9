"""Moments of a harmonic system after each step of an integrator, exact at any time step."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ..ensembles import AbstractAdjoint, Saves
from ..langevin import (
    AbstractPathIntegrator,
    AbstractSystem,
    Exchange,
    Ledger,
    Stepper,
    Time,
    Underdamped,
    Walker,
    acting,
    as_vector,
    position_of,
)
from ..numerics.compile import jitted
from ._normal import NormalState


class StepTotals(NamedTuple):
    """Means of one step, or their sums since the start."""

    work: Float[Array, "*save"]
    heat: Float[Array, "*save"]
    shadow_work: Float[Array, "*save"]
    heat_by_element: Float[Array, "*save d"]
    entropy_flow: Float[Array, "*save"]


class Weighted(NamedTuple):
    """Normal distributions of all that a step starts from, each times a weight."""

    mean: Float[Array, "*save copies n"]
    covariance: Float[Array, "*save copies n n"]
    logarithm: Float[Array, "*save copies"]


class Running(NamedTuple):
    """Moments between two steps.

    Attributes:
        laws: three: the distribution itself, weighted by e^{-W/T}, and by e^{-(W + W_shadow)/T}.
        totals: since the start.
        energy: the mean, at the last step.
        one_temperature: whether all baths have had that of the start.
    """

    laws: Weighted
    totals: StepTotals
    energy: Float[Array, "*save"]
    one_temperature: Bool[Array, "*save"]


class StepMap(eqx.Module):
    """One step as a function of vectors: of all that it starts from, and of new normals.

    What it starts from is the state, the integrator's memory, and the normals that it shares with
    the steps before it.

    Attributes:
        stepper: the physics of the step.
        like: a state and a memory, for their shapes.
        ahead: by stage, the steps from which it takes normals beside its own.
    """

    stepper: Stepper
    like: tuple[PyTree[Array], PyTree[Array]]
    ahead: tuple[int, ...] = eqx.field(static=True)

    @property
    def position(self) -> PyTree[Array]:
        return position_of(self.like[0])

    @property
    def block(self) -> int:
        """Normals in a stage."""
        return ravel_pytree(self.position)[0].size

    @property
    def shared(self) -> int:
        """Normals that a step shares with the next."""
        return self.block * sum(self.ahead)

    @property
    def drawn(self) -> int:
        """Normals that are new in each step."""
        return self.block * len(self.ahead)

    def energy(self, vector: Float[Array, " n"], step: Array) -> Float[Array, ""]:
        """E at the end of a step, λ included."""
        state = self._unravel(vector)[0]
        control = self.stepper.system.control_at(self.stepper.clock.time(step))
        return self.stepper.system.energy(state, control, None)

    def _unravel(self, vector: Float[Array, " n"]) -> tuple[Any, Any]:
        flat, unravel = ravel_pytree(self.like)
        return unravel(vector[: flat.size])

    def __call__(
        self, joint: Float[Array, " m"], step: Array
    ) -> tuple[Float[Array, " n"], Exchange, Float[Array, ""]]:
        """From what a step starts from, with new normals behind it, to what the next one does.

        Returns:
            What the next step starts from, the step's work and heat, and the energy after it.
        """
        state, carry = self._unravel(joint)
        flat, unravel = ravel_pytree(self.position)
        blocks = joint[ravel_pytree(self.like)[0].size :].reshape(-1, flat.size)
        kept, new = blocks[: sum(self.ahead)], blocks[sum(self.ahead) :]
        stages, first = [], 0
        for stage, ahead in enumerate(self.ahead):
            stages.append([*kept[first : first + ahead], new[stage]])
            first += ahead

        def normals(stage: int = 0, ahead: int = 0) -> PyTree[Array]:
            return unravel(stages[stage][ahead])

        walker = _walker(self.stepper, state, carry, self.energy(joint, step))
        after, exchange = self.stepper.advance(walker, step, None, normals)
        shared = [block for stage in stages for block in stage[1:]]
        vector = ravel_pytree((after.state, after.carry))[0]
        return jnp.concatenate([vector, *shared]), exchange, after.energy


def _walker(stepper: Stepper, state: Any, carry: Any, energy: Array) -> Walker:
    shadow = isinstance(stepper.integrator, AbstractPathIntegrator)
    ledger = Ledger.empty(position_of(state), stepper.clock.dt.dtype, shadow=shadow)
    return Walker(state, energy, None, ledger, {}, jnp.asarray(-1), carry)


def step_map(stepper: Stepper, state: PyTree[Array]) -> StepMap:
    """The step of an integrator, with the normals that it asks for."""
    carry = stepper.integrator.init(state)
    asked: dict[int, int] = {}

    def normals(stage: int = 0, ahead: int = 0) -> PyTree[Array]:
        asked[stage] = max(asked.get(stage, 0), ahead)
        return jax.tree.map(jnp.zeros_like, position_of(state))

    def probe(stepper, state, carry):
        walker = _walker(stepper, state, carry, jnp.zeros((), stepper.clock.dt.dtype))
        return stepper.advance(walker, jnp.asarray(0), None, normals)

    eqx.filter_eval_shape(probe, stepper, state, carry)
    return StepMap(stepper, (state, carry), tuple(asked.get(i, 0) for i in range(max(asked) + 1)))


def _totals(exchange: Exchange, temperature: Float[Array, " d"]) -> StepTotals:
    heat = ravel_pytree(exchange.heat_by_element)[0]
    heated = temperature > 0
    flow = jnp.where(heated, heat / jnp.where(heated, temperature, 1), jnp.nan)
    nothing = jnp.full_like(exchange.work, jnp.nan)
    shadow = nothing if exchange.shadow_work is None else exchange.shadow_work
    return StepTotals(exchange.work, exchange.heat, shadow, heat, jnp.sum(flow))


@jitted
def integrate_steps(
    step_map: StepMap,
    start: NormalState,
    saves: Saves,
    adjoint: AbstractAdjoint,
) -> Running:
    """Moments at the saves, axis `save` first."""
    clock = step_map.stepper.clock

    def temperatures(step):
        baths = acting(step_map.stepper.system).baths.at(clock.time(step), step_map.position)
        return as_vector(baths.temperature, step_map.position)

    reference = temperatures(jnp.asarray(0))[0]
    drawn = step_map.drawn

    def step(now: Running, n: Array) -> Running:
        warm = temperatures(n + 1)

        def outcome(joint):
            end, exchange, energy = step_map(joint, n)
            totals = _totals(exchange, warm)
            works = jnp.stack([0 * totals.work, totals.work, totals.work + totals.shadow_work])
            return end, works / reference, (totals, energy)

        def advance(mean, covariance, logarithm, which):
            mean = jnp.concatenate([mean, jnp.zeros(drawn, mean.dtype)])
            covariance = jax.scipy.linalg.block_diag(covariance, jnp.eye(drawn, dtype=mean.dtype))
            flat, unravel = ravel_pytree(outcome(mean))
            vector = lambda joint: ravel_pytree(outcome(joint))[0]  # noqa: E731
            slopes, curvatures = jax.jacfwd(vector)(mean), jax.hessian(vector)(mean)
            expected = flat + jnp.einsum("qij,ij->q", curvatures, covariance) / 2
            end, size = unravel(flat)[0], mean.size - drawn
            at = size + which
            shift, covariance, gain = _tilt(flat[at], slopes[at], curvatures[at], covariance)
            moved = slopes[:size] @ covariance @ slopes[:size].T
            law = Weighted(end + slopes[:size] @ shift, moved, logarithm + gain)
            return law, unravel(expected)[2]

        laws, (means, energies) = jax.vmap(advance)(*now.laws, jnp.arange(3))
        return Running(
            laws,
            jax.tree.map(lambda total, mean: total + mean[0], now.totals, means),
            energies[0],
            now.one_temperature & jnp.all(warm == reference),
        )

    def segment(now, begin):
        now = adjoint.steps(step, now, begin, saves.every)
        return now, now

    first = _starting(step_map, start, jnp.all(temperatures(jnp.asarray(0)) == reference))
    _, rest = lax.scan(segment, first, saves.every * jnp.arange(saves.n_saves))
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)


def _tilt(
    work: Float[Array, ""],
    slope: Float[Array, " m"],
    curvature: Float[Array, "m m"],
    covariance: Float[Array, "m m"],
) -> tuple[Float[Array, " m"], Float[Array, "m m"], Float[Array, ""]]:
    r"""A normal distribution times $e^{-w}$ of a quadratic w, with its value and slope at the mean.

    Returns:
        The shift of the mean, the new covariance, and the logarithm of the weight; ∞ where the
        product has no integral.
    """
    stretch = jnp.eye(slope.size, dtype=slope.dtype) + covariance @ curvature
    narrowed = jnp.linalg.solve(stretch, covariance)
    gain = -work - jnp.linalg.slogdet(stretch)[1] / 2 + slope @ narrowed @ slope / 2
    squares, axes = jnp.linalg.eigh(lax.stop_gradient(covariance))
    root = axes * jnp.sqrt(jnp.maximum(squares, 0))[None]
    narrowing = root.T @ lax.stop_gradient(curvature) @ root
    normal = jnp.min(jnp.linalg.eigvalsh(narrowing)) > -1
    return -narrowed @ slope, narrowed, jnp.where(normal, gain, jnp.inf)


def _starting(
    step_map: StepMap,
    start: NormalState,
    one_temperature: Bool[Array, ""],
) -> Running:
    """The start, with the normals that the first step shares with none before it."""
    mean, covariance = start.vector, start.matrix
    zero, shared = jnp.zeros((), mean.dtype), step_map.shared
    mean = jnp.concatenate([mean, jnp.zeros(shared, mean.dtype)])
    covariance = jax.scipy.linalg.block_diag(covariance, jnp.eye(shared, dtype=mean.dtype))

    def energy(vector):
        return step_map.energy(vector, jnp.asarray(0))

    expected = energy(mean) + jnp.sum(jax.hessian(energy)(mean) * covariance) / 2
    laws = Weighted(*(jnp.stack([x] * 3) for x in (mean, covariance, zero)))
    nothing = StepTotals(zero, zero, zero, jnp.zeros(step_map.block, mean.dtype), zero)
    return Running(laws, nothing, expected, one_temperature)


def phase_start(
    system: AbstractSystem, start: NormalState, momentum: NormalState | None, t: Time
) -> NormalState:
    """The distribution of the state at the start; of a system with momentum position first."""
    if not isinstance(system, Underdamped):
        return start
    if momentum is None:
        like = start.mean
        temperature = system.system.baths.at(t, like).temperature
        variance = as_vector(system.inertia_at(t, like).mass * temperature, like)
        momentum = NormalState(jnp.zeros_like(start.vector), jnp.diag(variance))
    mean = jnp.concatenate([start.vector, momentum.vector])
    return NormalState(mean, jax.scipy.linalg.block_diag(start.matrix, momentum.matrix))
