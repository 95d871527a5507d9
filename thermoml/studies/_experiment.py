"""Studies of simulated systems whose trajectories are all kept: runs, kept states, engines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from ..config import Kept, Positive
from ..langevin import AbstractSystem, Heun, Solution, simulate
from ..numerics.checks import count_steps
from ..numerics.labels import Labelled
from ..numerics.statistics import Estimate
from ..plots import COLOURS, error_bars
from ..sweeps import each_name
from ..thermodynamics import Cycle, gaussian_entropy, settled_rounds
from ._study import AbstractStudy
from ._table import column, error_text, measured, numbers, once, per_trajectory

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

BARS = "bars: 2 standard errors"


class Experiment(Kept):
    """Simulated trajectories, each of which is kept."""

    n_trajectories: int = Field(default=10_000, ge=10)
    dt: float = Field(default=0.01, gt=0, allow_inf_nan=False)

    def check_divides(self, *durations: float) -> None:
        """ValueError unless dt divides each of them."""
        for duration in durations:
            count_steps(0.0, duration, self.dt, self.precision)


class StirlingEngine(Experiment):
    """An engine between two baths, with isothermal strokes of several durations."""

    compression: float = Field(default=4.0, gt=1, allow_inf_nan=False)
    cold: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    hot: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    duration: Positive
    isochore: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rounds: int = Field(default=10, ge=1)
    settle: int = Field(default=5, ge=0)

    @model_validator(mode="after")
    def _check_engine(self):
        self.check_divides(self.isochore, *self.duration)
        if self.hot <= self.cold:
            raise ValueError(f"hot must be above cold = {self.cold:g}, got {self.hot:g}")
        return self


class ExperimentStudy(AbstractStudy):
    """Trajectories of a system at each point."""

    def run(
        self,
        system: AbstractSystem,
        state: Any,
        ensemble: Mapping[str, Any],
        number: int | Array,
        **options: Any,
    ) -> Solution:
        """A run at a point; runs of different `number` draw different noise."""
        key = jax.random.fold_in(ensemble["key"], number)
        rest = {name: value for name, value in ensemble.items() if name != "key"}
        return simulate(system, state, dt=self.config.dt, key=key, throw=False, **rest, **options)

    def check(self, results):
        self.refuse_lost(results, "trajectories turned non-finite; use a smaller dt")


def single(entry: "xarray.Dataset", name: str, replicates: str = "trajectory") -> Any:
    """The values of single trajectories, `(trajectory, ...)`, or of other replicates."""
    # Stores of version 1 call all replicates trajectories.
    names = (each_name(name, kind) for kind in (replicates, "trajectory"))
    return np.asarray(entry[next(name for name in names if name in entry)].values, float)


def diverged(*runs: Solution) -> dict[str, Labelled]:
    """Whether a trajectory turned non-finite in any of the runs, single ones or several at once."""
    rows = [jnp.reshape(run.diverged_step, (-1, run.diverged_step.shape[-1])) for run in runs]
    lost = jnp.any(jnp.concatenate(rows) >= 0, axis=0)
    return {"diverged": per_trajectory(lost, "", "fraction that turned non-finite")}


def predicted(values: Mapping[str, Any], units: str, words: str) -> dict[str, Labelled]:
    """Numbers without noise, as `predicted_<name>`."""
    return {
        f"predicted_{name}": once(value, units, f"{name.replace('_', ' ')}, {words}")
        for name, value in values.items()
    }


def curve_and_points(
    ax: "Axes", x: ArrayLike, entries: Sequence[Mapping[str, Any]], label: str, index: int = 0
) -> None:
    """Draw measurements with bars of two standard errors, and the line of their predictions."""
    color = COLOURS[index % len(COLOURS)]
    ax.plot(x, numbers([entry["predicted"] for entry in entries]), color=color, linewidth=1.4)
    error_bars(ax, x, column(entries), index, label=label)


def run_and_keep(
    study: ExperimentStudy,
    system: AbstractSystem,
    start: Any,
    ensemble: Mapping[str, Any],
    n_parameters: int,
) -> dict[str, Labelled]:
    """A run whose energy and weights are kept at each save; spare parameters are 0."""
    config = study.config
    run = study.run(
        system,
        start,
        ensemble,
        0,
        t1=config.t1,
        save_every=round(config.t1 / config.dt) // config.saves,
        integrator=Heun(),
        observables={"weights": lambda state, control, t: state},
    )
    weights = flat_parameters(run.observables["weights"], 2, n_parameters)
    return {
        "energy": Labelled(("trajectory", "time"), run.energy, "energy", "energy"),
        "heat": per_trajectory(run.heat[:, -1], "energy", "heat released"),
        "weights": Labelled(("trajectory", "time", "parameter"), weights, "", "weights"),
        **diverged(run),
    }


def flat_parameters(states: Any, n_axes: int, n_parameters: int) -> Array:
    """All parameters along one axis after the first `n_axes`, padded with 0 to one length."""
    leaves = jax.tree.leaves(states)
    flat = jnp.concatenate([x.reshape((*x.shape[:n_axes], -1)) for x in leaves], axis=-1)
    return jnp.pad(flat, ((0, 0),) * n_axes + ((0, n_parameters - flat.shape[-1]),))


def energy_and_entropy(entry: "xarray.Dataset", n_parameters: int) -> dict[str, Estimate]:
    """Both at each save, `(save,)`; entropy of the normal law of the weights."""
    with jax.enable_x64(True):
        weights = jnp.asarray(single(entry, "weights")[..., :n_parameters])
        entropies = [gaussian_entropy(weights[:, i]) for i in range(weights.shape[1])]
    return {
        "energy": Estimate(entry.energy.values, entry.energy_standard_error.values),
        "entropy": Estimate(
            np.asarray([x.entropy for x in entropies]),
            np.asarray([x.standard_error for x in entropies]),
        ),
    }


def engine_rounds(
    config: StirlingEngine, engine: Cycle, start: Any, ensemble: Mapping[str, Any], **options: Any
) -> dict[str, Labelled]:
    """Work, heat from the hot bath and heat by stroke of each trajectory, in a settled round."""
    rest = {name: value for name, value in ensemble.items() if name != "key"}
    solution, saves = engine.trajectories(
        start,
        dt=config.dt,
        key=ensemble["key"],
        rounds=config.rounds,
        settle=config.settle,
        throw=False,
        **rest,
        **options,
    )
    work, heat = settled_rounds(solution, saves, config.rounds)
    hot = [i for i, stroke in enumerate(engine.strokes) if stroke.bath == "hot"]
    intake = -jnp.sum(heat[:, np.asarray(hot)], axis=1)
    return {
        "work": per_trajectory(work, "energy", "work in a round"),
        "intake": per_trajectory(intake, "energy", "heat from the hot bath in a round"),
        "heat": Labelled(("trajectory", "stroke"), heat, "energy", "heat into the bath"),
        "diverged": per_trajectory(solution.diverged_step >= 0, "", "fraction not finite"),
    }


def work_and_efficiency(entry: "xarray.Dataset") -> dict[str, dict[str, Any]]:
    """Both with their errors, from single trajectories; no efficiency unless work is gained."""
    work, intake = measured(entry, "work"), measured(entry, "intake")
    ratio = -work["mean"] / intake["mean"]
    rest = -single(entry, "work") - ratio * single(entry, "intake")
    error = float(Estimate.of(rest).standard_error / intake["mean"])
    gains = work["mean"] < 0 < intake["mean"]
    efficiency = {"mean": ratio, "standard_error": error}
    return {"work": work, "efficiency": efficiency if gains else dict.fromkeys(efficiency)}


def efficiency_text(efficiency: Mapping[str, Any]) -> str:
    """An efficiency in a table."""
    return "no engine" if efficiency["mean"] is None else error_text(efficiency)
