"""The study `tilted_ring`: current, entropy production and their uncertainty relation."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..config import TiltedRing
from ..langevin import Heun, Langevin
from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..plots import ring_densities, ring_transport
from ..sweeps import Grid
from ..thermodynamics import Axis, FokkerPlanck, uncertainty_product
from ._base import deviation, pair, per_trajectory
from ._experiments import ExperimentStudy, diverged, predicted, single
from ._table import sample_text, table_text

_BINS = 24
_UNITS = {
    "velocity": ("length/time", "mean velocity"),
    "diffusion": ("length²/time", "effective diffusion"),
    "entropy_rate": ("nat/time", "entropy production"),
}


class _Tilt(eqx.Module):
    force: jax.Array

    def __call__(self, x, control):
        return jnp.broadcast_to(self.force, jnp.shape(x))


class TiltedRingStudy(ExperimentStudy):
    """One axis, the force."""

    config: TiltedRing

    @property
    def grid(self):
        return Grid(force=self.config.force)

    def system(self, force):
        """The particle on its ring."""
        barrier = self.config.barrier
        return Langevin(
            lambda x, control: barrier / 2 * jnp.cos(x),
            drive=_Tilt(jnp.asarray(force)),
            temperature=self.config.temperature,
        )

    def equation(self, force):
        """The same on a grid."""
        ring = Axis(0.0, 2 * np.pi, self.config.cells, boundary="periodic")
        return FokkerPlanck(self.system(force), ring)

    def point(self, ensemble, **parameters):
        config, rows = self.config, ensemble["n_trajectories"]
        system, equation = self.system(parameters["force"]), self.equation(parameters["force"])
        # Drawn from the stationary density on the grid, then settled by a run.
        density = equation.stationary()
        centres = equation.axes[0].centres

        def begin(key):
            place, inside = jax.random.split(key)
            cell = jax.random.choice(place, centres, p=density * equation.cell)
            return cell + equation.cell * (jax.random.uniform(inside, ()) - 0.5)

        steps = [round(t / config.dt) for t in (config.settle, config.t1)]
        save_every = math.gcd(*steps)
        run = self.run(
            system,
            begin,
            ensemble,
            0,
            t1=config.settle + config.t1,
            integrator=Heun(),
            save_every=save_every,
            observables={"x": lambda x, control, t: x},
        )
        settled = steps[0] // save_every
        places = run.observables["x"]
        moved = places[:, -1] - places[:, settled]
        produced = run.entropy_flow[:, -1] - run.entropy_flow[:, settled]
        velocity = moved / config.t1
        flow = equation.transport()
        rate = equation.entropy_production_rate(density)
        away = velocity - flow.velocity
        values = {
            "velocity": velocity,
            "diffusion": away**2 * config.t1 / 2,
            "entropy_rate": produced / config.t1,
        }
        place = jnp.mod(places[:, -1], 2 * np.pi) / (2 * np.pi)
        bins = jnp.arange(_BINS)[None] == jnp.floor(place * _BINS).astype(int)[:, None]
        shown = density.reshape(-1, density.shape[0])
        return {
            **{name: per_trajectory(values[name], *_UNITS[name]) for name in values},
            **predicted(
                {
                    "velocity": flow.velocity,
                    "diffusion": flow.diffusion,
                    "entropy_rate": rate,
                },
                rows,
                "",
                "Fokker-Planck equation",
            ),
            "density": Labelled(
                ("trajectory", "bin"),
                bins.astype(place.dtype) * _BINS / (2 * np.pi),
                "1/length",
                "density",
            ),
            "predicted_density": Labelled(
                ("trajectory", "cell"),
                jnp.broadcast_to(shown, (rows, density.shape[0])),
                "1/length",
                "density, Fokker-Planck equation",
            ),
            **diverged(run),
        }

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            numbers = {
                name: pair(entry, name)
                | {
                    "predicted": float(entry[f"predicted_{name}"]),
                    "deviation": deviation(entry, name),
                }
                for name in _UNITS
            }
            time = self.config.t1
            found = uncertainty_product(
                single(entry, "velocity") * time, single(entry, "entropy_rate") * time
            )
            exact = (
                2 * numbers["diffusion"]["predicted"] * numbers["entropy_rate"]["predicted"]
            ) / numbers["velocity"]["predicted"] ** 2
            product = {
                "mean": float(found.product),
                "standard_error": float(found.standard_error),
                "predicted": exact,
            }
            points.append(parameters | numbers | {"uncertainty_product": product})
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
                numbers = entry[name]
                row.append(text_with_error(numbers["mean"], numbers["standard_error"]))
                row.append(f"{numbers['predicted']:.5g}")
            rows.append(row)
        note = f"Over t = {summary['t1']:g} at rest; the product is to be 2 at least;"
        return f"{table_text(rows)}\n{note} {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        points = self.summary(results)["points"]
        densities = [
            (
                parameters["force"],
                entry.density.values,
                entry.density_standard_error.values,
                entry.predicted_density.values,
            )
            for _, parameters, entry in self.points(results)
        ]
        return {
            "transport": ring_transport(points, self.config.title),
            "densities": ring_densities(densities, self.config.title),
        }
