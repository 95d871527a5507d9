"""What one settled round of an engine takes in and gives."""

from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..langevin import Solution
from ..numerics.arrays import is_concrete
from ._entropy import normal_entropy, system_entropy
from ._moments import Moments

if TYPE_CHECKING:
    from ._cycle import Cycle


class CycleResult(eqx.Module):
    """One settled round of a `Cycle`: means and their standard errors.

    Attributes:
        work, work_error: done on the system; negative for an engine.
        heat, heat_error: into each bath, by name; negative where the bath gives.
        heat_by_stroke, heat_by_stroke_error: `(stroke,)`.
        efficiency, efficiency_error: -W over the heat from all baths that give; NaN where no work
            is gained.
        power: -W over the period.
        entropy_production: Σ Q/T over the baths, in nats.
        carnot, curzon_ahlborn: 1 - T_c/T_h and 1 - √(T_c/T_h) of the coldest and hottest bath.
        times: `(point,)`, of the diagrams, from 0 to the period.
        control, conjugate: λ and ⟨∂U/∂λ⟩ at the points; the area they enclose is the work. Minus
            the second is the pressure where λ is a volume.
        temperature, entropy: the bath's temperature and the system's Gibbs entropy there.
    """

    work: Float[Array, ""]
    work_error: Float[Array, ""]
    heat: dict[str, Float[Array, ""]]
    heat_error: dict[str, Float[Array, ""]]
    heat_by_stroke: Float[Array, " stroke"]
    heat_by_stroke_error: Float[Array, " stroke"]
    efficiency: Float[Array, ""]
    efficiency_error: Float[Array, ""]
    power: Float[Array, ""]
    entropy_production: Float[Array, ""]
    carnot: Float[Array, ""]
    curzon_ahlborn: Float[Array, ""]
    times: Float[Array, " point"]
    control: Any
    conjugate: Any
    temperature: Float[Array, " point"]
    entropy: Float[Array, " point"]

    def __str__(self) -> str:
        if not is_concrete(self.work):
            return "CycleResult (traced)"

        def shown(value, error):
            return f"{float(value):.6g}" + (f" ± {float(error):.2g}" if float(error) > 0 else "")

        heats = ", ".join(
            f"{name} {shown(value, self.heat_error[name])}" for name, value in self.heat.items()
        )
        return (
            f"CycleResult: work {shown(self.work, self.work_error)}, heat into {heats}\n"
            f"  efficiency {shown(self.efficiency, self.efficiency_error)} "
            f"(Carnot {float(self.carnot):.4g}, Curzon-Ahlborn {float(self.curzon_ahlborn):.4g}), "
            f"power {float(self.power):.6g}, "
            f"entropy production {float(self.entropy_production):.6g} a round"
        )


def from_moments(cycle: "Cycle", found: Moments, points: int) -> CycleResult:
    """The result of one settled round by moment equations, `points` to a stroke."""
    heat = jnp.diff(found.heat[::points])
    sizes = found.mean[0].size

    def conjugate(mean, covariance, control):
        def energy(control):
            def potential(vector):
                return cycle.potential(jnp.reshape(vector, mean.shape), control)

            vector, matrix = jnp.ravel(mean), jnp.reshape(covariance, (sizes, sizes))
            return potential(vector) + jnp.sum(jax.hessian(potential)(vector) * matrix) / 2

        return jax.grad(energy)(control)

    return _result(
        cycle,
        found.work[None, -1],
        heat[None],
        found.times,
        found.control,
        jax.vmap(conjugate)(found.mean, found.covariance, found.control),
        jax.vmap(lambda c: normal_entropy(jnp.reshape(c, (sizes, sizes))))(found.covariance),
    )


def from_trajectories(
    cycle: "Cycle",
    solution: Solution,
    saves: list[int],
    rounds: int,
    density: Literal["normal", "neighbours"],
) -> CycleResult:
    """The result of the last `rounds` rounds of trajectories, with so many saves to each stroke."""
    work, heat = settled_rounds(solution, saves, rounds)
    whole = sum(saves)
    first = solution.work.shape[1] - 1 - rounds * whole
    # All rounds are alike: points of the diagrams come from all of them.
    places = first + np.arange(rounds)[:, None] * whole + np.arange(whole + 1)

    def over_rounds(leaf):
        return leaf[:, places]

    def entropy_at(j):
        states = jax.tree.map(
            lambda leaf: jnp.reshape(leaf[:, places[:, j]], (-1, *leaf.shape[2:])),
            solution.observables["x"],
        )
        return jnp.mean(system_entropy(states, density))

    times = solution.times[places[0]] - solution.times[first]
    control = jax.vmap(cycle.system.control_at)(times)
    conjugate = jax.tree.map(
        lambda leaf: jnp.mean(over_rounds(leaf), axis=(0, 1)), solution.observables["conjugate"]
    )
    entropy = jnp.stack([entropy_at(j) for j in range(whole + 1)])
    return _result(cycle, work, heat, times, control, conjugate, entropy)


def settled_rounds(
    solution: Solution, saves: list[int], rounds: int
) -> tuple[Float[Array, " trajectory"], Float[Array, "trajectory stroke"]]:
    """Work and heat by stroke of each trajectory, means of its last `rounds` rounds."""
    whole = sum(saves)
    first = solution.work.shape[1] - 1 - rounds * whole
    stops = first + np.arange(rounds)[:, None] * whole + np.concatenate([[0], np.cumsum(saves)])
    heat = jnp.mean(jnp.diff(solution.heat[:, stops], axis=2), axis=1)
    return (solution.work[:, -1] - solution.work[:, first]) / rounds, heat


def _result(
    cycle: "Cycle",
    work: Float[Array, " trajectory"],
    heat_by_stroke: Float[Array, "trajectory stroke"],
    times: Float[Array, " point"],
    control: Any,
    conjugate: Any,
    entropy: Float[Array, " point"],
) -> CycleResult:
    def error(values):
        count = values.shape[0]
        if count == 1:
            return jnp.zeros_like(values[0])
        return jnp.std(values, axis=0, ddof=1) / float(np.sqrt(count))

    temperatures = cycle.temperatures
    used = {stroke.bath: None for stroke in cycle.strokes}
    heat = {
        name: sum(
            heat_by_stroke[:, i] for i, stroke in enumerate(cycle.strokes) if stroke.bath == name
        )
        for name in used
    }
    means: dict[str, Any] = {name: jnp.mean(values) for name, values in heat.items()}
    total = jnp.mean(work)
    intake = -sum(jnp.where(means[name] < 0, heat[name], 0) for name in used)
    taken = jnp.mean(intake)
    gains = (total < 0) & (taken > 0)
    safe = jnp.where(gains, taken, 1)
    efficiency = jnp.where(gains, -total / safe, jnp.nan)
    rest = -work - efficiency * intake
    stack = jnp.stack([temperatures[name] for name in used]).astype(total.dtype)
    ratio = jnp.min(stack) / jnp.max(stack)
    produced = sum(means[name] / temperatures[name].astype(total.dtype) for name in used)
    return CycleResult(
        work=total,
        work_error=error(work),
        heat=means,
        heat_error={name: error(values) for name, values in heat.items()},
        heat_by_stroke=jnp.mean(heat_by_stroke, axis=0),
        heat_by_stroke_error=error(heat_by_stroke),
        efficiency=efficiency,
        efficiency_error=jnp.where(gains, error(rest) / safe, jnp.nan),
        power=-total / cycle.period.astype(total.dtype),
        entropy_production=jnp.asarray(produced),
        carnot=1 - ratio,
        curzon_ahlborn=1 - jnp.sqrt(ratio),
        times=times,
        control=control,
        conjugate=conjugate,
        temperature=jax.vmap(cycle.system.temperature)(times),
        entropy=entropy,
    )
