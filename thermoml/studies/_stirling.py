"""The study `stirling`: a harmonic engine between two baths, from fast to quasi-static."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..config import Stirling
from ..langevin import ExactLinear, Ramp
from ..numerics._labels import Labelled
from ..plots import engine_against_duration, engine_diagrams
from ..sweep import Grid
from ..thermodynamics import Cycle, CycleResult, Stroke
from ..thermodynamics._cycle_result import settled_rounds
from ._base import pair, per_trajectory
from ._experiments import ExperimentStudy, single
from ._table import sample_text, table_text, with_error

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
        config = self.config
        engine = self.engine(parameters["duration"])
        rest = {name: value for name, value in ensemble.items() if name != "key"}
        solution, saves = engine.trajectories(
            0.0,
            dt=config.dt,
            key=ensemble["key"],
            rounds=config.rounds,
            settle=config.settle,
            integrator=ExactLinear(_stiffness),
            throw=False,
            **rest,
        )
        work, heat = settled_rounds(solution, saves, config.rounds)
        lost = solution.diverged_step >= 0
        return {
            "work": per_trajectory(work, "energy", "work in a round"),
            "intake": per_trajectory(
                -(heat[:, 0] + heat[:, 3]), "energy", "heat from the hot bath in a round"
            ),
            "heat": Labelled(("trajectory", "stroke"), heat, "energy", "heat into the bath"),
            "diverged": per_trajectory(lost, "", "fraction that turned non-finite"),
        }

    def summary(self, results):
        points = []
        for (_, parameters, entry), exact in zip(self.points(results), self.exact, strict=True):
            work, intake = pair(entry, "work"), pair(entry, "intake")
            ratio = -work["mean"] / intake["mean"]
            each = -single(entry, "work") - ratio * single(entry, "intake")
            error = float(np.std(each, ddof=1) / np.sqrt(each.size) / intake["mean"])
            gains = work["mean"] < 0 < intake["mean"]
            work["predicted"] = float(exact.work)
            work["deviation"] = (work["mean"] - work["predicted"]) / work["standard_error"]
            expected = float(exact.efficiency)
            efficiency = {
                "mean": ratio if gains else None,
                "standard_error": error if gains else None,
                "predicted": expected if np.isfinite(expected) else None,
            }
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
                    with_error(-work["mean"], work["standard_error"]),
                    f"{-work['predicted']:.5g}",
                    "no engine"
                    if ratio["mean"] is None
                    else with_error(ratio["mean"], ratio["standard_error"]),
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
