"""The study `stirling`: a harmonic engine between two baths, from fast to quasi-static."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..config import Stirling
from ..langevin import ExactLinear, Ramp
from ..numerics.statistics import text_with_error
from ..plots import engine_against_duration, engine_diagrams
from ..sweeps import Grid
from ..thermodynamics import Cycle, CycleResult, Stroke
from ._engine_rounds import efficiency_text, engine_rounds, work_and_efficiency
from ._experiments import ExperimentStudy
from ._table import sample_text, table_text

STROKES = ("expansion", "cooling", "compression", "heating")


def _trap(x, stiffness):
    return 0.5 * stiffness * jnp.sum(x**2)


def _stiffness(stiffness):
    return stiffness


class StirlingStudy(ExperimentStudy):
    """One axis, the duration of the isothermal strokes."""

    config: Stirling
    static = ("duration",)

    @property
    def grid(self):
        return Grid(duration=self.config.duration)

    def engine(self, duration: float) -> Cycle:
        """Expansion in the hot bath, cooling, compression in the cold one, heating."""
        config = self.config
        wide, narrow = config.stiffness, config.stiffness * config.compression
        return Cycle(
            _trap,
            [
                Stroke(Ramp(narrow, wide, t1=duration), duration=duration, bath="hot"),
                Stroke(wide, duration=config.isochore, bath="cold"),
                Stroke(Ramp(wide, narrow, t1=duration), duration=duration, bath="cold"),
                Stroke(narrow, duration=config.isochore, bath="hot"),
            ],
            temperatures={"hot": config.hot, "cold": config.cold},
        )

    @functools.cached_property
    def exact(self) -> list[CycleResult]:
        """By moment equations, for each duration; compiled once for all."""
        with jax.enable_x64(True):
            return [self.engine(t).moment_equations() for t in self.config.duration]

    @property
    def quasi_static(self) -> dict[str, float]:
        """Work and efficiency of infinitely slow strokes."""
        config = self.config
        apart, gain = config.hot - config.cold, np.log(config.compression)
        work = apart * gain / 2
        return {"work": -work, "efficiency": 2 * work / (config.hot * gain + apart)}

    def point(self, ensemble, **parameters):
        engine = self.engine(parameters["duration"])
        how = {"integrator": ExactLinear(_stiffness)}
        return engine_rounds(self.config, engine, 0.0, ensemble, **how)

    def summary(self, results):
        points = []
        for (_, parameters, entry), exact in zip(self.points(results), self.exact, strict=True):
            found = work_and_efficiency(entry)
            work, efficiency = found["work"], found["efficiency"]
            work["predicted"] = float(exact.work)
            work["deviation"] = (work["mean"] - work["predicted"]) / work["standard_error"]
            expected = float(exact.efficiency)
            efficiency["predicted"] = expected if np.isfinite(expected) else None
            points.append(
                parameters
                | {
                    "work": work,
                    "efficiency": efficiency,
                    "power": float(exact.power),
                    "entropy_production": float(exact.entropy_production),
                    "heat_by_stroke": {
                        name: {
                            "mean": float(entry.heat.values[i]),
                            "standard_error": float(entry.heat_standard_error.values[i]),
                            "predicted": float(exact.heat_by_stroke[i]),
                        }
                        for i, name in enumerate(STROKES)
                    },
                }
            )
        config = self.config
        return {
            "study": config.study,
            "n_trajectories": config.n_trajectories,
            "carnot": 1 - config.cold / config.hot,
            "curzon_ahlborn": 1 - (config.cold / config.hot) ** 0.5,
            "quasi_static": self.quasi_static,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["duration", "work gained", "exact", "efficiency", "exact", "power", "entropy a round"]
        ]
        for entry in summary["points"]:
            work, ratio = entry["work"], entry["efficiency"]
            exact = ratio["predicted"]
            rows.append(
                [
                    f"{entry['duration']:g}",
                    text_with_error(-work["mean"], work["standard_error"]),
                    f"{-work['predicted']:.5g}",
                    efficiency_text(ratio),
                    "no engine" if exact is None else f"{exact:.5g}",
                    f"{entry['power']:.4g}",
                    f"{entry['entropy_production']:.4g}",
                ]
            )
        slow = summary["quasi_static"]
        note = (
            f"Quasi-static: work {-slow['work']:.5g}, efficiency {slow['efficiency']:.5g}; Carnot "
            f"{summary['carnot']:.5g}, Curzon-Ahlborn {summary['curzon_ahlborn']:.5g}."
        )
        sample = sample_text(summary["n_trajectories"])
        return f"{table_text(rows)}\n{note}\nA round, {sample}; k_B = 1."

    def figures(self, results):
        rounds = [
            (duration, exact.control, exact.conjugate, exact.temperature, exact.entropy)
            for duration, exact in zip(self.config.duration, self.exact, strict=True)
        ]
        title = self.config.title
        return {
            "engine": engine_against_duration(self.summary(results), title),
            "diagrams": engine_diagrams(rounds, title),
        }
