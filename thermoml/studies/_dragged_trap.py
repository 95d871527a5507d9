"""The study `dragged_trap`: work distributions of a moving trap, Jarzynski and Crooks."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from ..config import DraggedTrap
from ..langevin import ExactLinear, Langevin, Ramp
from ..numerics.statistics import text_with_error
from ..plots import free_energy_estimates, work_distributions
from ..sweeps import Grid
from ..thermodynamics import FreeEnergyWarning, bennett, crooks, jarzynski
from ._base import deviation, pair, per_trajectory
from ._experiments import ExperimentStudy, diverged, predicted, single, trap, trap_stiffness
from ._table import sample_text, table_text


class DraggedTrapStudy(ExperimentStudy):
    """One axis, how long dragging takes. There is no free energy difference: ΔF = 0."""

    config: DraggedTrap
    static = ("duration",)

    @property
    def grid(self):
        return Grid(duration=self.config.duration)

    def point(self, ensemble, **parameters):
        duration, config = parameters["duration"], self.config
        width = (config.temperature / config.stiffness) ** 0.5

        def pulled(number, begin, end):
            places = ({"stiffness": config.stiffness, "centre": x} for x in (begin, end))
            system = Langevin(
                trap, control=Ramp(*places, t1=duration), temperature=config.temperature
            )
            return self.run(
                system,
                lambda key: begin + width * jax.random.normal(key, ()),
                ensemble,
                number,
                t1=duration,
                integrator=ExactLinear(trap_stiffness),
            )

        ends = jnp.asarray([0.0, config.distance])
        runs = jax.vmap(pulled)(jnp.arange(2), ends, ends[::-1])  # both ways at once
        rate = config.stiffness * duration
        force = config.stiffness * config.distance**2
        mean = force * (rate - 1 + np.exp(-rate)) / rate**2
        names = ("work_forward", "work_reverse")
        return {
            **{
                name: per_trajectory(work, "energy", f"{name.replace('_', ' ')} run")
                for name, work in zip(names, runs.work[:, :, -1], strict=True)
            },
            **predicted(
                dict.fromkeys(names, jnp.asarray(mean)),
                ensemble["n_trajectories"],
                "energy",
                "mean for dt → 0",
            ),
            **diverged(runs),
        }

    def estimates(self, results):
        """By duration: the free energy difference by each method, and the slope of Crooks."""
        found = []
        temperature = self.config.temperature
        for _, parameters, entry in self.points(results):
            there, back = single(entry, "work_forward"), single(entry, "work_reverse")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FreeEnergyWarning)  # told in the table
                methods = {
                    "jarzynski": jarzynski(there, temperature),
                    "bennett": bennett(there, back, temperature),
                }
            free = {
                name: {
                    "mean": float(x.free_energy_difference),
                    "standard_error": float(x.standard_error),
                    "effective_sample_size": float(x.effective_sample_size),
                    "trustworthy": bool(x.trustworthy),
                }
                for name, x in methods.items()
            }
            slope: dict[str, float | None] = {"mean": None, "standard_error": None}
            if there.min() <= -back.min() and there.max() >= -back.max():
                fit = crooks(there, back, temperature)
                slope = {"mean": float(fit.slope), "standard_error": float(fit.slope_error)}
            found.append(parameters | free | {"crooks_slope": slope})
        return found

    def summary(self, results):
        points = []
        for (_, _, entry), free in zip(self.points(results), self.estimates(results), strict=True):
            work = pair(entry, "work_forward")
            work |= {
                "predicted": float(entry.predicted_work_forward),
                "deviation": deviation(entry, "work_forward"),
            }
            points.append(free | {"work": work})
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["duration", "work", "predicted", "ΔF, Jarzynski", "samples", "ΔF, Bennett", "Crooks"]
        ]
        for entry in summary["points"]:
            jar, ben = entry["jarzynski"], entry["bennett"]
            doubt = "" if jar["trustworthy"] else " (not to be trusted)"
            rows.append(
                [
                    f"{entry['duration']:g}",
                    text_with_error(entry["work"]["mean"], entry["work"]["standard_error"]),
                    f"{entry['work']['predicted']:.5g}",
                    text_with_error(jar["mean"], jar["standard_error"]) + doubt,
                    f"{jar['effective_sample_size']:.0f}",
                    text_with_error(ben["mean"], ben["standard_error"]),
                    text_with_error(**entry["crooks_slope"])
                    if entry["crooks_slope"]["mean"] is not None
                    else "no overlap",
                ]
            )
        note = "ΔF = 0 and a slope of 1 in Crooks' relation are exact;"
        return f"{table_text(rows)}\n{note} {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        works = [
            (
                parameters["duration"],
                single(entry, "work_forward"),
                -single(entry, "work_reverse"),
                float(entry.predicted_work_forward),
            )
            for _, parameters, entry in self.points(results)
        ]
        title, temperature = self.config.title, self.config.temperature
        return {
            "work_distributions": work_distributions(works, temperature, title),
            "free_energy": free_energy_estimates(self.estimates(results), title),
        }
