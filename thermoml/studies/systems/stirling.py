"""The harmonic Stirling engine from fast to quasi-static: efficiency, power, diagrams."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field

from ...langevin import ExactLinear, Ramp
from ...numerics.tables import table_text
from ...plots import COLOURS, caption, cycle, new_figure
from ...sweeps import Grid
from ...thermodynamics import Cycle, CycleResult, Stroke
from .._experiment import (
    BARS,
    ExperimentStudy,
    StirlingEngine,
    curve_and_points,
    efficiency_text,
    engine_rounds,
    work_and_efficiency,
)
from .._table import error_text, sample_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

STROKES = ("expansion", "cooling", "compression", "heating")


class Stirling(StirlingEngine):
    """A particle in a harmonic trap, the piston of which is the stiffness."""

    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)


def _trap(x: Array, stiffness: Float[Array, ""]) -> Float[Array, ""]:
    return 0.5 * stiffness * jnp.sum(x**2)


def _stiffness(control: Float[Array, ""]) -> Float[Array, ""]:
    return control


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
        """Rounds by moment equations, one for each duration; compiled once for all."""
        with jax.enable_x64(True):
            return [self.engine(t).moment_equations() for t in self.config.duration]

    @property
    def quasi_static(self) -> dict[str, float]:
        """Work and efficiency of infinitely slow strokes."""
        config = self.config
        apart, gain = config.hot - config.cold, np.log(config.compression)
        work = apart * gain / 2
        return {"work": -work, "efficiency": 2 * work / (config.hot * gain + apart)}

    def point(self, ensemble, *, duration):
        options = {"integrator": ExactLinear(_stiffness)}
        return engine_rounds(self.config, self.engine(duration), 0.0, ensemble, **options)

    def summary(self, results):
        config = self.config
        entries = (entry for _, _, entry in self.points(results))
        return {
            "study": config.study,
            "n_trajectories": config.n_trajectories,
            "carnot": 1 - config.cold / config.hot,
            "curzon_ahlborn": 1 - (config.cold / config.hot) ** 0.5,
            "quasi_static": self.quasi_static,
            "points": [
                {"duration": duration} | _summary_of(entry, exact)
                for duration, entry, exact in zip(config.duration, entries, self.exact, strict=True)
            ],
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
                    error_text(work | {"mean": -work["mean"]}),
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
        title = self.config.title
        rounds = dict(zip(self.config.duration, self.exact, strict=True))
        return {
            "engine": _against_duration(self.summary(results), title),
            "diagrams": _diagrams(rounds, title),
        }


def _summary_of(entry: "xarray.Dataset", exact: CycleResult) -> dict[str, Any]:
    """Measured and exact numbers of a round at one duration."""
    numbers = work_and_efficiency(entry)
    work, efficiency = numbers["work"], numbers["efficiency"]
    work["predicted"] = float(exact.work)
    work["deviation"] = (work["mean"] - work["predicted"]) / work["standard_error"]
    expected = float(exact.efficiency)
    efficiency["predicted"] = expected if np.isfinite(expected) else None
    return {
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


def _against_duration(summary: Mapping[str, Any], title: str) -> "Figure":
    """Work, efficiency and power against the duration of the isothermal strokes."""
    figure, axes = new_figure(12.6, 4.0, columns=3)
    points, slow = summary["points"], summary["quasi_static"]
    durations = [entry["duration"] for entry in points]
    gained = [
        entry["work"] | {"mean": -entry["work"]["mean"], "predicted": -entry["work"]["predicted"]}
        for entry in points
    ]
    curve_and_points(axes[0], durations, gained, "simulated")
    axes[0].axhline(-slow["work"], color="0.3", linewidth=1, linestyle=":", label="quasi-static")
    axes[0].axhline(0, color="0.3", linewidth=1)
    axes[0].set_ylabel("work gained in a round  [energy]")
    curve_and_points(axes[1], durations, [e["efficiency"] for e in points], "simulated", 1)
    for value, label, dashes in (
        (summary["carnot"], "Carnot", "-"),
        (summary["curzon_ahlborn"], "Curzon-Ahlborn", "--"),
        (slow["efficiency"], "quasi-static", ":"),
    ):
        axes[1].axhline(value, color="0.3", linewidth=1, linestyle=dashes, label=label)
    axes[1].set_ylabel(r"efficiency $\eta$")
    axes[1].set_ylim(bottom=0)
    axes[2].plot(durations, [e["power"] for e in points], "o-", color=COLOURS[2], markersize=4)
    axes[2].axhline(0, color="0.3", linewidth=1)
    axes[2].set_ylabel("power  [energy/time]")
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xlabel(r"duration of an isothermal stroke $\tau$")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].legend(frameon=False, fontsize=8)
    caption(axes[0], title, f"{BARS}; lines: exact")
    return figure


def _diagrams(rounds: Mapping[float, CycleResult], title: str) -> "Figure":
    """Rounds in the planes of stiffness and ⟨x²⟩/2, and of entropy and bath temperature."""
    figure, (left, right) = new_figure(11.4, 4.4, columns=2)
    labelled = {rf"$\tau = {duration:g}$": exact for duration, exact in rounds.items()}
    cycle(labelled, axes=(left, right))
    left.set_xlabel("stiffness $k$  [energy/length²]")
    left.set_ylabel(r"$\langle\partial U/\partial k\rangle = \langle x^2\rangle/2$  [length²]")
    caption(left, title, "the area inside is the work gained")
    caption(right, "", "the area inside is an upper bound of it")
    return figure
