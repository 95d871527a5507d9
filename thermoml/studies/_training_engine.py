"""The study `training_engine`: train, refresh the data, train anew, round and round."""

import functools
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..config import TrainingEngine
from ..langevin import Heun, Ramp
from ..networks import (
    AbstractLearning,
    LearningPotential,
    LinearLearning,
    MeanSquaredError,
    NetworkLearning,
    synthetic_data,
)
from ..numerics.statistics import text_with_error
from ..plots import training_engines
from ..sweeps import Grid
from ..thermodynamics import Cycle, CycleResult, Stroke
from ._engine_rounds import efficiency_text, engine_rounds, work_and_efficiency
from ._experiments import ExperimentStudy
from ._table import sample_text, table_text

# Of the two trainings in a round: the data set of each stroke, learn - heat - forget - cool
_DATA: Mapping[str, tuple[int, ...]] = {
    "none": (0, 0, 0, 0, 0, 0, 0, 0),
    "loose": (0, 0, 0, 1, 1, 1, 1, 0),  # new data come when the scale of the loss is lowest
    "tight": (0, 1, 1, 1, 1, 0, 0, 0),  # … when it is highest
}


class TrainingEngineStudy(ExperimentStudy):
    """Axes: the model, when data are refreshed, the duration of the isothermal strokes."""

    config: TrainingEngine
    static = ("duration",)

    @property
    def grid(self):
        config = self.config
        return Grid(model=config.model, refresh=config.refresh, duration=config.duration)

    @functools.cached_property
    def _drawn(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Two data sets; the second teacher has drifted away from the first."""
        config = self.config
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            keys = jax.random.split(jax.random.key(config.seed), 3)
            first, other = jax.random.normal(keys[0], (2, config.n_features))
            moved = (first + config.drift * other) / (1 + config.drift**2) ** 0.5
            sets = [
                synthetic_data(
                    config.n_examples,
                    spectrum=jnp.ones(config.n_features),
                    noise=config.label_noise,
                    key=key,
                    teacher=teacher,
                )
                for key, teacher in zip(keys[1:], (first, moved), strict=True)
            ]
            return [(np.asarray(data.features), np.asarray(data.targets)) for data in sets]

    def systems(self, model: str) -> list[AbstractLearning]:
        """The model on the old and the new data."""
        config, form = self.config, MeanSquaredError()
        stiffness = config.prior_stiffness
        if model == "linear":
            return [LinearLearning(form, data, prior_stiffness=stiffness) for data in self._drawn]
        network = eqx.nn.MLP(
            config.n_features, "scalar", config.hidden, 1, jnp.tanh, key=jax.random.key(0)
        )
        return [
            NetworkLearning(network, form, data, prior_stiffness=stiffness) for data in self._drawn
        ]

    def engine(self, model: str, refresh: str, duration: float) -> Cycle:
        """Two trainings: learn in the cold bath, heat, forget in the hot one, cool."""
        config = self.config
        low, high = 1.0, config.compression
        scales = [(low, high), (high, high), (high, low), (low, low)] * 2
        baths = ["cold", "hot", "hot", "cold"] * 2
        strokes = []
        for (first, last), bath, data in zip(scales, baths, _DATA[refresh], strict=True):
            which = jnp.eye(2)[data]
            length = duration if first != last else config.isochore
            ramp = Ramp(first * which, last * which, t1=length)
            strokes.append(Stroke(ramp, duration=length, bath=bath))
        temperatures = {"hot": config.hot, "cold": config.cold}
        return Cycle(LearningPotential(*self.systems(model)), strokes, temperatures=temperatures)

    def point(self, ensemble, **parameters):
        engine = self.engine(**parameters)
        like = self.systems(parameters["model"])[0].like
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        return engine_rounds(self.config, engine, start, ensemble, integrator=Heun())

    @functools.cached_property
    def exact(self) -> dict[tuple[str, float], CycleResult]:
        """The linear model's rounds by moment equations, by refresh and duration."""
        config = self.config
        if "linear" not in config.model:
            return {}
        with jax.enable_x64(True):
            state = jnp.zeros(config.n_features)
            return {
                (refresh, duration): self.engine("linear", refresh, duration).moment_equations(
                    state=state
                )
                for refresh in config.refresh
                for duration in config.duration
            }

    @property
    def quasi_static(self) -> dict[str, float]:
        """The linear model on data that stay, infinitely slow: work and efficiency of a round."""
        config = self.config
        features = self._drawn[0][0]
        curvature = np.linalg.eigvalsh(features.T @ features / len(features))
        prior = config.prior_stiffness
        gain = np.sum(np.log((config.compression * curvature + prior) / (curvature + prior)))
        apart = config.hot - config.cold
        intake = config.hot * gain + apart * config.n_features
        return {"work": float(-apart * gain), "efficiency": float(apart * gain / intake)}

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            found = work_and_efficiency(entry)
            if parameters["model"] == "linear":
                exact = self.exact[parameters["refresh"], parameters["duration"]]
                found["work"]["predicted"] = float(exact.work)
                expected = float(exact.efficiency)
                found["efficiency"]["predicted"] = expected if np.isfinite(expected) else None
            heat = entry.heat.values
            config = self.config
            intake = float(entry.intake)
            produced = (heat.sum() + intake) / config.cold - intake / config.hot
            points.append(parameters | found | {"entropy_production": float(produced)})
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "carnot": 1 - self.config.cold / self.config.hot,
            "quasi_static": self.quasi_static,
            "points": points,
        }

    def table(self, summary):
        head = ["model", "refresh", "duration", "work gained", "exact", "efficiency", "exact"]
        rows = [[*head, "entropy made"]]
        for entry in summary["points"]:
            work, ratio = entry["work"], entry["efficiency"]
            known, exact = "predicted" in work, ratio.get("predicted")
            none = "no engine" if known else "-"
            rows.append(
                [
                    entry["model"],
                    entry["refresh"],
                    f"{entry['duration']:g}",
                    text_with_error(-work["mean"], work["standard_error"]),
                    f"{-work['predicted']:.4g}" if known else "-",
                    efficiency_text(ratio),
                    none if exact is None else f"{exact:.4g}",
                    f"{entry['entropy_production']:.4g}",
                ]
            )
        slow = summary["quasi_static"]
        note = (
            "A round is two trainings. Carnot "
            f"{summary['carnot']:.4g}; linear, data that stay, quasi-static: work "
            f"{-slow['work']:.4g}, efficiency {slow['efficiency']:.4g}."
        )
        return f"{table_text(rows)}\n{note}\n{sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        return {"engine": training_engines(self.summary(results), self.config.title)}
