"""Training, refresh and training anew as a Stirling engine: work and efficiency, fast to slow."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from ...config import check_different
from ...langevin import Heun, Ramp
from ...networks import (
    AbstractLearning,
    LearningPotential,
    LinearLearning,
    MeanSquaredError,
    NetworkLearning,
    synthetic_data,
)
from ...numerics.tables import table_text
from ...plots import MARKERS, caption, error_bars, legend_beside, line_style, new_figure
from ...sweeps import Grid
from ...thermodynamics import Cycle, CycleResult, Stroke
from .._experiment import (
    ExperimentStudy,
    StirlingEngine,
    efficiency_text,
    engine_rounds,
    work_and_efficiency,
)
from .._table import column, error_text, numbers, sample_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Refresh = Literal["none", "loose", "tight"]
Model = Literal["linear", "network"]

# Of the two trainings in a round: the data set of each stroke, learn - heat - forget - cool
_DATA: Mapping[Refresh, tuple[int, ...]] = {
    "none": (0, 0, 0, 0, 0, 0, 0, 0),
    "loose": (0, 0, 0, 1, 1, 1, 1, 0),  # new data come when the scale of the loss is lowest
    "tight": (0, 1, 1, 1, 1, 0, 0, 0),  # … when it is highest
}
_WHEN = {
    "none": "data stay",
    "loose": "new data while the loss is scaled down",
    "tight": "new data while the loss is scaled up",
}


class TrainingEngine(StirlingEngine):
    """Models, times of the refresh, and durations; the scale of the loss is the piston."""

    n_trajectories: int = Field(default=1000, ge=10)
    precision: Literal["float32", "float64"] = "float32"
    model: list[Model] = Field(default_factory=lambda: ["linear", "network"], min_length=1)
    refresh: list[Refresh] = Field(default_factory=lambda: ["none", "loose", "tight"], min_length=1)
    n_features: int = Field(default=2, ge=1)
    n_examples: int = Field(default=50, ge=2)
    hidden: int = Field(default=3, ge=1)
    label_noise: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    drift: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.5, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_lists(self):
        for name in ("model", "refresh", "duration"):
            check_different(name, getattr(self, name))
        return self


class TrainingEngineStudy(ExperimentStudy):
    """Axes: the model, the time of the refresh, the duration of the isothermal strokes."""

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

    def _systems(self, model: Model) -> list[AbstractLearning]:
        """The model on the old and the new data."""
        config, energy = self.config, MeanSquaredError()
        stiffness = config.prior_stiffness
        if model == "linear":
            return [LinearLearning(energy, data, prior_stiffness=stiffness) for data in self._drawn]
        network = eqx.nn.MLP(
            config.n_features, "scalar", config.hidden, 1, jnp.tanh, key=jax.random.key(0)
        )
        return [
            NetworkLearning(network, energy, data, prior_stiffness=stiffness)
            for data in self._drawn
        ]

    def engine(self, model: Model, refresh: Refresh, duration: float) -> Cycle:
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
        return Cycle(LearningPotential(*self._systems(model)), strokes, temperatures=temperatures)

    def point(self, ensemble, *, model, refresh, duration):
        engine = self.engine(model, refresh, duration)
        like = self._systems(model)[0].like
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        return engine_rounds(self.config, engine, start, ensemble, integrator=Heun())

    @functools.cached_property
    def exact(self) -> dict[tuple[Refresh, float], CycleResult]:
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
        """Work and efficiency of an infinitely slow round of the linear model on one data set."""
        config = self.config
        features = self._drawn[0][0]
        curvature = np.linalg.eigvalsh(features.T @ features / len(features))
        prior = config.prior_stiffness
        gain = np.sum(np.log((config.compression * curvature + prior) / (curvature + prior)))
        apart = config.hot - config.cold
        intake = config.hot * gain + apart * config.n_features
        return {"work": float(-apart * gain), "efficiency": float(apart * gain / intake)}

    def summary(self, results):
        config, points = self.config, []
        for _, parameters, entry in self.points(results):
            values = work_and_efficiency(entry)
            if parameters["model"] == "linear":
                exact = self.exact[parameters["refresh"], parameters["duration"]]
                values["work"]["predicted"] = float(exact.work)
                expected = float(exact.efficiency)
                values["efficiency"]["predicted"] = expected if np.isfinite(expected) else None
            heat, intake = entry.heat.values.sum(), float(entry.intake)
            produced = (heat + intake) / config.cold - intake / config.hot
            points.append(parameters | values | {"entropy_production": float(produced)})
        return {
            "study": config.study,
            "n_trajectories": config.n_trajectories,
            "carnot": 1 - config.cold / config.hot,
            "quasi_static": self.quasi_static,
            "points": points,
        }

    def table(self, summary):
        head = ["model", "refresh", "duration", "work gained", "exact", "efficiency", "exact"]
        rows = [[*head, "entropy made"]]
        for entry in summary["points"]:
            work, ratio = entry["work"], entry["efficiency"]
            linear, exact = entry["model"] == "linear", ratio.get("predicted")
            none = "no engine" if linear else "-"
            rows.append(
                [
                    entry["model"],
                    entry["refresh"],
                    f"{entry['duration']:g}",
                    error_text(work | {"mean": -work["mean"]}),
                    f"{-work['predicted']:.4g}" if linear else "-",
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
        return {"engine": _figure(self.summary(results), self.config.title)}


def _figure(summary: Mapping[str, Any], title: str) -> "Figure":
    """Work gained and efficiency against the duration of strokes, a column for each model."""
    models = list(dict.fromkeys(entry["model"] for entry in summary["points"]))
    figure, axes = new_figure(4.6 * len(models) + 3.4, 7.2, columns=len(models), rows=2)
    for j, (model, above, below) in enumerate(
        zip(models, axes[: len(models)], axes[len(models) :], strict=True)
    ):
        entries = [entry for entry in summary["points"] if entry["model"] == model]
        for i, refresh in enumerate(dict.fromkeys(entry["refresh"] for entry in entries)):
            curve = [entry for entry in entries if entry["refresh"] == refresh]
            _draw(above, below, curve, i)
        if model == "linear":
            slow = summary["quasi_static"]
            above.axhline(-slow["work"], color="0.3", linewidth=1, linestyle=":")
            below.axhline(slow["efficiency"], color="0.3", linewidth=1, linestyle=":")
        above.axhline(0, color="0.3", linewidth=1)
        below.axhline(summary["carnot"], color="0.3", linewidth=1, label="Carnot")
        below.set_ylim(0, 1.08 * summary["carnot"])
        for ax in (above, below):
            ax.set_xscale("log")
            ax.set_xlabel(r"duration of an isothermal stroke  [1/mobility/energy]")
        below.set_xlim(above.get_xlim())
        above.set_ylabel("work gained in a round  [energy]")
        below.set_ylabel(r"efficiency $-W/Q_\mathrm{in}$")
        words = f"{model}; bars: 2 standard errors"
        words += "; lines: exact; dotted: data stay, quasi-static" if model == "linear" else ""
        caption(above, title if j == 0 else "", words)
    legend_beside(axes[len(models) - 1])
    legend_beside(axes[-1])
    return figure


def _draw(above: "Axes", below: "Axes", curve: Sequence[Mapping[str, Any]], index: int) -> None:
    """Work gained and efficiency of one model and refresh; exact lines for the linear model."""
    linear = curve[0]["model"] == "linear"
    durations = [entry["duration"] for entry in curve]
    work = [entry["work"] | {"mean": -entry["work"]["mean"]} for entry in curve]
    ratio = [entry["efficiency"] for entry in curve]
    for ax, entries in ((above, work), (below, ratio)):
        if all(entry["mean"] is None for entry in entries):
            continue
        error_bars(
            ax,
            durations,
            column(entries),
            index,
            fmt=MARKERS[index] if linear else f"{MARKERS[index]}-",
            markersize=5,
            capsize=2,
            linewidth=1,
            label=_WHEN[curve[0]["refresh"]],
        )
    if linear:
        gained = [-entry["predicted"] for entry in work]
        above.plot(durations, gained, **line_style(index))
        exact = numbers([entry["predicted"] for entry in ratio])
        if np.isfinite(exact).any():
            below.plot(durations, exact, **line_style(index))
