"""The study `stirling`: a harmonic engine between two baths, from fast to quasi-static."""

import jax.numpy as jnp
import numpy as np

from ..config import Stirling
from ..langevin import ExactLinear, Ramp
from ..numerics._labels import Labelled
from ..plots import engine_against_duration, engine_diagrams
from ..sweep import Grid
from ..thermodynamics import Cycle, Stroke
from ..thermodynamics._cycle_result import settled_rounds
from ._base import deviation, pair, per_trajectory
from ._experiments import ExperimentStudy, predicted
from ._table import sample_text, table_text, with_error

STROKES = ("expansion", "cooling", "compression", "heating")
_POINTS = 25


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

    @property
    def quasi_static(self) -> dict[str, float]:
        """Work and efficiency of infinitely slow strokes."""
        config = self.config
        apart, gain = config.hot - config.cold, np.log(config.compression)
        work = apart * gain / 2
        return {"work": -work, "efficiency": 2 * work / (config.hot * gain + apart)}

    def point(self, ensemble, **parameters):
        config, rows = self.config, ensemble["n_trajectories"]
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
        exact = engine.moment_equations(points=_POINTS)
        diagrams = {
            "stiffness": (exact.control, "energy/length²", "stiffness"),
            "conjugate": (exact.conjugate, "length²", "mean of dU/dk"),
            "temperature": (exact.temperature, "energy", "temperature of the bath"),
            "entropy": (exact.entropy, "nat", "entropy of the system"),
        }
        lost = solution.diverged_step >= 0
        return {
            "work": per_trajectory(work, "energy", "work in a round"),
            "intake": per_trajectory(
                -(heat[:, 0] + heat[:, 3]), "energy", "heat from the hot bath in a round"
            ),
            "heat": Labelled(("trajectory", "stroke"), heat, "energy", "heat into the bath"),
            "predicted_heat": Labelled(
                ("trajectory", "stroke"),
                jnp.broadcast_to(exact.heat_by_stroke, heat.shape),
                "energy",
                "heat into the bath, moment equations",
            ),
            **predicted(
                {
                    "work": exact.work,
                    "intake": -exact.heat["hot"],
                    "efficiency": exact.efficiency,
                    "power": exact.power,
                    "entropy_production": exact.entropy_production,
                },
                rows,
                "",
                "moment equations",
            ),
            **{
                f"diagram_{name}": Labelled(
                    ("trajectory", "point"), jnp.broadcast_to(x, (rows, x.size)), units, words
                )
                for name, (x, units, words) in diagrams.items()
            },
            "diverged": per_trajectory(lost, "", "fraction that turned non-finite"),
        }

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            work, intake = pair(entry, "work"), pair(entry, "intake")
            ratio = -work["mean"] / intake["mean"]
            each = -entry.work_trajectories.values - ratio * entry.intake_trajectories.values
            error = float(np.std(each, ddof=1) / np.sqrt(each.size) / intake["mean"])
            gains = work["mean"] < 0 < intake["mean"]
            points.append(
                parameters
                | {
                    "work": work
                    | {
                        "predicted": float(entry.predicted_work),
                        "deviation": deviation(entry, "work"),
                    },
                    "efficiency": {
                        "mean": ratio if gains else None,
                        "standard_error": error if gains else None,
                        "predicted": _finite(entry.predicted_efficiency),
                    },
                    "power": float(entry.predicted_power),
                    "entropy_production": float(entry.predicted_entropy_production),
                    "heat_by_stroke": {
                        name: {
                            "mean": float(entry.heat.values[i]),
                            "standard_error": float(entry.heat_standard_error.values[i]),
                            "predicted": float(entry.predicted_heat.values[i]),
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
        names = ("stiffness", "conjugate", "temperature", "entropy")
        rounds = [
            (parameters["duration"], *(entry[f"diagram_{name}"].values for name in names))
            for _, parameters, entry in self.points(results)
        ]
        title = self.config.title
        return {
            "engine": engine_against_duration(self.summary(results), title),
            "diagrams": engine_diagrams(rounds, title),
        }


def _finite(value):
    value = float(value)
    return value if np.isfinite(value) else None
