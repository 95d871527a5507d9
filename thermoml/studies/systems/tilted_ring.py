"""Current, diffusion and entropy production on a tilted ring, and their uncertainty relation."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import Field, model_validator

from ...config import Numbers
from ...langevin import Heun, Langevin, Solution
from ...numerics.labels import Labelled
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import COLOURS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from ...thermodynamics import Axis, FokkerPlanck, uncertainty_product
from .._experiment import (
    BARS,
    Experiment,
    ExperimentStudy,
    curve_and_points,
    diverged,
    predicted,
    single,
)
from .._table import compared, error_text, per_trajectory, sample_text, stored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 24
_UNITS = {
    "velocity": ("length/time", "mean velocity"),
    "diffusion": ("length²/time", "effective diffusion"),
    "entropy_rate": ("nat/time", "entropy production"),
}


class TiltedRing(Experiment):
    """A particle that a force drives over the barriers of a ring; cells of the exact solution."""

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    barrier: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    force: Numbers
    t1: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    settle: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    cells: int = Field(default=400, ge=3)

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(self.settle, self.t1)
        if 0 in self.force:
            raise ValueError("force must not be 0: there is no current to compare with")
        return self


class _Tilt(eqx.Module):
    """A constant force."""

    force: Float[Array, ""]

    def __call__(self, x, control):
        return jnp.broadcast_to(self.force, jnp.shape(x))


class TiltedRingStudy(ExperimentStudy):
    """One axis, the force."""

    config: TiltedRing

    @property
    def grid(self):
        return Grid(force=self.config.force)

    def _system(self, force: Float[Array, ""]) -> Langevin:
        barrier = self.config.barrier
        return Langevin(
            lambda x, control: barrier / 2 * jnp.cos(x),
            drive=_Tilt(jnp.asarray(force)),
            temperature=self.config.temperature,
        )

    def point(self, ensemble, *, force):
        config = self.config
        system = self._system(force)
        ring = Axis(0.0, 2 * np.pi, config.cells, boundary="periodic")
        equation = FokkerPlanck(system, ring)
        density, flow = equation.steady_state(), equation.transport()
        run, settled = self._settled_run(system, equation, density, ensemble)
        places = run.observables["x"]
        velocity = (places[:, -1] - places[:, settled]) / config.t1
        produced = run.entropy_flow[:, -1] - run.entropy_flow[:, settled]
        values = {
            "velocity": velocity,
            "diffusion": (velocity - flow.velocity) ** 2 * config.t1 / 2,
            "entropy_rate": produced / config.t1,
        }
        exact = {
            "velocity": flow.velocity,
            "diffusion": flow.diffusion,
            "entropy_rate": equation.entropy_production_rate(density),
        }
        place = jnp.mod(places[:, -1], 2 * np.pi) / (2 * np.pi)
        bins = jnp.arange(_BINS)[None] == jnp.floor(place * _BINS).astype(int)[:, None]
        return {
            **{name: per_trajectory(x, *_UNITS[name]) for name, x in values.items()},
            **predicted(exact, "", "Fokker-Planck equation"),
            "density": Labelled(
                ("trajectory", "bin"),
                bins.astype(place.dtype) * _BINS / (2 * np.pi),
                "1/length",
                "density",
            ),
            "predicted_density": Labelled(
                ("cell",), density, "1/length", "density, Fokker-Planck equation"
            ),
            **diverged(run),
        }

    def _settled_run(
        self,
        system: Langevin,
        equation: FokkerPlanck,
        density: Float[Array, " cell"],
        ensemble: Mapping[str, Any],
    ) -> tuple[Solution, int]:
        """A run from the stationary density on the grid, and the save at which it has settled."""
        config = self.config
        centres = equation.axes[0].centres

        def start(key: Key[Array, ""]) -> Float[Array, ""]:
            place, inside = jax.random.split(key)
            cell = jax.random.choice(place, centres, p=density * equation.cell)
            return cell + equation.cell * (jax.random.uniform(inside, ()) - 0.5)

        steps = [round(t / config.dt) for t in (config.settle, config.t1)]
        save_every = math.gcd(*steps)
        run = self.run(
            system,
            start,
            ensemble,
            0,
            t1=config.settle + config.t1,
            integrator=Heun(),
            save_every=save_every,
            observables={"x": lambda x, control, t: x},
        )
        return run, steps[0] // save_every

    def summary(self, results):
        time, points = self.config.t1, []
        for _, parameters, entry in self.points(results):
            numbers = {name: compared(entry, name) for name in _UNITS}
            product = uncertainty_product(
                single(entry, "velocity") * time, single(entry, "entropy_rate") * time
            )
            velocity, diffusion, rate = (numbers[name]["predicted"] for name in _UNITS)
            numbers["uncertainty_product"] = {
                "mean": float(product.product),
                "standard_error": float(product.standard_error),
                "predicted": (2 * diffusion * rate) / velocity**2,
            }
            points.append(parameters | numbers)
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "points": points,
        }

    def table(self, summary):
        names = (*_UNITS, "uncertainty_product")
        rows = [["force", *(x for name in names for x in (name.replace("_", " "), "predicted"))]]
        for entry in summary["points"]:
            row = [f"{entry['force']:g}"]
            for name in names:
                row += [error_text(entry[name]), f"{entry[name]['predicted']:.5g}"]
            rows.append(row)
        note = f"Over t = {summary['t1']:g} at rest; the product must be at least 2;"
        return f"{table_text(rows)}\n{note} {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        densities = [
            _Density(parameters["force"], stored(entry, "density"), entry.predicted_density.values)
            for _, parameters, entry in self.points(results)
        ]
        title = self.config.title
        return {
            "transport": _transport(self.summary(results)["points"], title),
            "densities": _densities(densities, title),
        }


class _Density(NamedTuple):
    """The stationary density at a force, measured in bins and exact in cells."""

    force: float
    measured: Estimate
    exact: np.ndarray


def _transport(points: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Velocity, effective diffusion and the uncertainty product against the force."""
    figure, axes = new_figure(12.6, 4.0, columns=3)
    force = [entry["force"] for entry in points]
    panels = {
        "velocity": r"velocity $v$  [length/time]",
        "diffusion": r"effective diffusion $D$  [length²/time]",
        "uncertainty_product": r"$2D\,\sigma/v^2$",
    }
    for i, (ax, (name, label)) in enumerate(zip(axes, panels.items(), strict=True)):
        curve_and_points(ax, force, [entry[name] for entry in points], "simulated", i)
        ax.set_xlabel("force $f$  [energy/length]")
        ax.set_ylabel(label)
    axes[2].axhline(2, color="0.3", linewidth=1)
    axes[2].text(0.98, 2, "bound", transform=axes[2].get_yaxis_transform(), ha="right", va="bottom")
    caption(axes[0], title, f"{BARS}; lines: Fokker-Planck equation")
    return figure


def _centres(n_cells: int) -> np.ndarray:
    return (np.arange(n_cells) + 0.5) * 2 * np.pi / n_cells


def _densities(densities: Sequence[_Density], title: str) -> "Figure":
    """The stationary density on the ring at each force."""
    figure, (ax,) = new_figure(7.6, 4.2)
    for i, (force, measured, exact) in enumerate(densities):
        ax.plot(_centres(exact.size), exact, color=COLOURS[i % len(COLOURS)], linewidth=1.3)
        places = _centres(measured.mean.size)
        style = {"markersize": 3, "linewidth": 0.8, "capsize": 0}
        error_bars(ax, places, measured, i, label=f"$f = {force:g}$", **style)
    ax.set_xticks(np.pi * np.arange(5) / 2, ["0", "π/2", "π", "3π/2", "2π"])
    ax.set_xlabel("place on the ring $x$")
    ax.set_ylabel("probability density")
    ax.set_ylim(bottom=0)
    caption(ax, title, f"{BARS}; lines: Fokker-Planck equation")
    legend_beside(ax)
    return figure
