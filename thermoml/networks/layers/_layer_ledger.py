"""Heat and entropy by layer over a part of a run, and what flows between layers."""

import itertools
import warnings
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from ...langevin import Solution
from ...numerics.arrays import is_concrete
from ...numerics.checks import check_count
from ...numerics.statistics import Estimate
from ..learning import AbstractLearning, LayersBy, layers


class LedgerWarning(UserWarning):
    """The heats of layers do not add up to the heat of all."""


class LayerLedger(eqx.Module):
    r"""Mean rates over a part of a run, each with its standard error over trajectories.

    Attributes:
        heat_rate: by layer, $\dot Q_l$ into its bath.
        entropy_rate: by layer, the entropy flow into its bath, $\dot Q_l/\tau_l$; in nats.
        current: by pair of layers that follow one another, the energy that crosses between all
            layers up to the first and all from the second on, $J_l = -\sum_{m\le l}\dot Q_m$.
        heat, work, energy_rate: of the system; $\dot U = \dot W - \dot Q$, and 0 at rest.
        entropy_production: $\sum_l\dot Q_l/\tau_l$, all of it at rest, and then not negative.
        residual: $\dot Q - \sum_l\dot Q_l$, of the trapezoidal rule, O(dt).
        start, end: between which times.
    """

    heat_rate: dict[str, Estimate]
    entropy_rate: dict[str, Estimate]
    current: dict[str, Estimate]
    heat: Estimate
    work: Estimate
    energy_rate: Estimate
    entropy_production: Estimate
    residual: Estimate
    start: Float[Array, ""]
    end: Float[Array, ""]

    def __str__(self) -> str:
        if not is_concrete(self.heat):
            return "LayerLedger (traced)"

        width = max(len(name) for name in (*self.heat_rate, *self.current, "all"))
        lines = [f"{'layer':{width}}  {'heat rate':19}  entropy rate"]
        for name, rate in self.heat_rate.items():
            shown = f"{rate:19}  {self.entropy_rate[name]:19}"
            lines.append(f"{name:{width}}  {shown}".rstrip())
        both = f"{self.heat:19}  {self.entropy_production:19}"
        lines.append(f"{'all':{width}}  {both}".rstrip())
        lines += [f"{name:{width}}  {x:19}".rstrip() for name, x in self.current.items()]
        lines.append(
            f"work {f'{self.work:19}'.strip()}, energy {self.energy_rate:19}"
            f"each unit of time, from {float(self.start):g} to {float(self.end):g}"
        )
        return "\n".join(lines)


def layer_ledger(
    system: AbstractLearning, run: Solution, *, since: Any = None, by: LayersBy = None
) -> LayerLedger:
    r"""Heat, entropy flow and currents by layer, from the ledger of a run.

    $$J_l = -\sum_{m\le l}\dot Q_m, \qquad \sum_l\dot Q_l = \dot W - \dot U, \qquad
      \sum_l\dot Q_l/\tau_l \ge 0 \text{ at rest}$$

    A potential that joins many layers has no unique flow from one of them to another; what crosses
    a cut between layers is unique at rest, and that is a current here. The time step shifts all
    by O(dt) where baths differ.

    Args:
        system: the learning system.
        run: a run of it by `simulate`.
        since: from when on, the time of one of its saves; the start if left out.
        by: what a layer is, and in which order layers follow, see `layers`.

    Returns:
        A `LayerLedger`.

    Raises:
        ValueError: no save at that time or none after it, fewer than 2 trajectories, a run of
            another system.

    Warns:
        LedgerWarning: the layers' heats add up to another sum than the heat of all, by more than
            a tenth of the largest and 4 standard errors: dt is too large.

    Source: Sekimoto 2010, ch. 4, for heat in each bath; currents across cuts derived here.
    """
    chosen = layers(system, by)
    check_count("trajectories", run.heat.shape[0], 2, "standard errors need several")
    if jax.tree.structure(run.heat_by_leaf) != jax.tree.structure(system.like):
        raise ValueError("run must be one of this system, its ledger has other leaves")
    first = _save_at(run, since)
    span = run.times[-1] - run.times[first]

    def rate(values: Float[Array, "trajectory save"]) -> Float[Array, " trajectory"]:
        return (values[:, -1] - values[:, first]) / span.astype(values.dtype)

    heats = {name: rate(x) for name, x in chosen.sum(run.heat_by_leaf).items()}
    flows = {name: rate(x) for name, x in chosen.sum(run.entropy_flow_by_leaf).items()}
    names = [f"{one} → {other}" for one, other in itertools.pairwise(heats)]
    crossing = itertools.accumulate(-x for x in heats.values())
    found = LayerLedger(
        {name: Estimate.of(x) for name, x in heats.items()},
        {name: Estimate.of(x) for name, x in flows.items()},
        {name: Estimate.of(x) for name, x in zip(names, crossing, strict=False)},
        Estimate.of(rate(run.heat)),
        Estimate.of(rate(run.work)),
        Estimate.of(rate(run.energy)),
        Estimate.of(rate(run.entropy_flow)),
        Estimate.of(rate(run.residual)),
        run.times[first],
        run.times[-1],
    )
    if is_concrete(found):
        _check_sum(found)
    return found


def _save_at(run: Solution, since: Any) -> int:
    """The number of a save, with others after it."""
    if since is None:
        return 0
    times = np.asarray(run.times, float)
    near = np.flatnonzero(np.isclose(times, float(since), rtol=1e-5, atol=1e-9))
    if near.size != 1 or near[0] == times.size - 1:
        raise ValueError(
            f"since must be the time of a save before the last, got {since}; saves are at "
            f"{np.array2string(times, threshold=12, precision=6)}"
        )
    return int(near[0])


def _check_sum(found: LayerLedger) -> None:
    left, error = (float(x) for x in found.residual)
    largest = max(abs(float(mean)) for mean, _ in found.heat_rate.values())
    if abs(left) > max(0.1 * largest, 4 * error):
        warnings.warn(
            f"the heats of layers add up to {float(found.heat[0]) - left:.4g}, not "
            f"{float(found.heat[0]):.4g} in unit time; use a smaller dt",
            LedgerWarning,
            stacklevel=3,
        )
