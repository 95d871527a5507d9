"""The result of an engine: work, heat and efficiency of one round in the steady state."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..numerics.results import AbstractResult
from ..numerics.statistics import Estimate


class CycleResult(AbstractResult):
    """One round of a `Cycle` in the steady state: means and their standard errors.

    Attributes:
        work, work_error: done on the system; negative for an engine.
        heat, heat_error: into each bath, by name; negative for a bath that gives heat.
        heat_by_stroke, heat_by_stroke_error: `(stroke,)`.
        efficiency, efficiency_error: -W over the heat from all baths that give heat; NaN if no work
            is gained.
        power: -W over the period.
        entropy_production: Σ Q/T over the baths, in nats.
        carnot, curzon_ahlborn: 1 - T_c/T_h and 1 - √(T_c/T_h) of the coldest and hottest bath.
        times: of the points of the diagrams, `(point,)`, from 0 to the period.
        control, conjugate: λ and ⟨∂U/∂λ⟩ at the points; the area they enclose is the work. Minus
            the second is the pressure if λ is a volume.
        temperature, entropy: the bath's temperature and the system's Gibbs entropy at the points.
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
    control: PyTree[Array]
    conjugate: PyTree[Array]
    temperature: Float[Array, " point"]
    entropy: Float[Array, " point"]

    def _summary(self):
        heats = {
            f"heat into {name}": Estimate(value, self.heat_error[name])
            for name, value in self.heat.items()
        }
        return f"CycleResult of a round of {float(self.times[-1]):g}", {
            "work": Estimate(self.work, self.work_error),
            **heats,
            "efficiency": Estimate(self.efficiency, self.efficiency_error),
            "Carnot": self.carnot,
            "Curzon-Ahlborn": self.curzon_ahlborn,
            "power": self.power,
            "entropy_production": self.entropy_production,
        }


class Diagram(NamedTuple):
    """Points of one round, with the fields of a `CycleResult`."""

    times: Float[Array, " point"]
    control: PyTree[Array]
    conjugate: PyTree[Array]
    temperature: Float[Array, " point"]
    entropy: Float[Array, " point"]


def cycle_result(
    work: Float[Array, " trajectory"],
    heat_by_stroke: Float[Array, "trajectory stroke"],
    *,
    baths: Sequence[str],
    temperatures: Mapping[str, Float[Array, ""]],
    period: Float[Array, ""],
    diagram: Diagram,
) -> CycleResult:
    """The result from work and heat of each trajectory; those of a single one are exact.

    Args:
        work, heat_by_stroke: means over the rounds.
        baths: the name of each stroke's bath.
        temperatures: of the baths by name.
        period: of a round.
        diagram: its points.
    """
    exact = work.shape[0] == 1

    def estimate(samples):
        return Estimate.exact(samples[0]) if exact else Estimate.of(samples)

    total, by_stroke = estimate(work), estimate(heat_by_stroke)
    samples = {
        name: sum(heat_by_stroke[:, i] for i, bath in enumerate(baths) if bath == name)
        for name in dict.fromkeys(baths)
    }
    heat = {name: estimate(values) for name, values in samples.items()}
    intake = -sum(jnp.where(heat[name].mean < 0, samples[name], 0) for name in heat)
    gains = (total.mean < 0) & (jnp.mean(intake) > 0)
    ratio = Estimate.ratio(-work, jnp.where(gains, intake, 1))
    ratio_error = jnp.zeros_like(ratio.mean) if exact else ratio.standard_error
    used = jnp.stack([temperatures[name] for name in heat]).astype(work.dtype)
    cold_over_hot = jnp.min(used) / jnp.max(used)
    produced = sum(heat[name].mean / temperatures[name].astype(work.dtype) for name in heat)
    return CycleResult(
        work=total.mean,
        work_error=total.standard_error,
        heat={name: value.mean for name, value in heat.items()},
        heat_error={name: value.standard_error for name, value in heat.items()},
        heat_by_stroke=by_stroke.mean,
        heat_by_stroke_error=by_stroke.standard_error,
        efficiency=jnp.where(gains, ratio.mean, jnp.nan),
        efficiency_error=jnp.where(gains, ratio_error, jnp.nan),
        power=-total.mean / period.astype(work.dtype),
        entropy_production=jnp.asarray(produced),
        carnot=1 - cold_over_hot,
        curzon_ahlborn=1 - jnp.sqrt(cold_over_hot),
        **diagram._asdict(),
    )
