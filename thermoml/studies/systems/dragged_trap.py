"""Work distributions of a dragged trap, forward and reverse: Jarzynski, Bennett, Crooks."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from pydantic import Field, model_validator

from ...config import Positive
from ...langevin import ExactLinear, Langevin, Ramp
from ...numerics.tables import table_text
from ...plots import COLOURS, MARKERS, caption, error_bars, histogram, legend_beside, new_figure
from ...sweeps import Grid
from ...thermodynamics import FreeEnergyWarning, bennett, crooks, jarzynski
from .._experiment import BARS, Experiment, ExperimentStudy, diverged, predicted, single
from .._table import column, compared, error_text, per_trajectory, sample_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

WORKS = ("work_forward", "work_reverse")


class DraggedTrap(Experiment):
    """A harmonic trap that moves by a distance, in several durations."""

    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    distance: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    duration: Positive

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(*self.duration)
        return self


def trap(x: Array, control: Mapping[str, Array]) -> Array:
    """½k(x - c)² of a control with `stiffness` and `centre`."""
    return 0.5 * control["stiffness"] * jnp.sum((x - control["centre"]) ** 2)


def stiffness(control: Mapping[str, Array]) -> Array:
    """k of the control, for `ExactLinear`."""
    return control["stiffness"]


class DraggedTrapStudy(ExperimentStudy):
    """One axis, the duration of dragging. The exact free energy difference is ΔF = 0."""

    config: DraggedTrap
    static = ("duration",)

    @property
    def grid(self):
        return Grid(duration=self.config.duration)

    def point(self, ensemble, *, duration):
        config = self.config
        width = (config.temperature / config.stiffness) ** 0.5

        def dragged(number, begin, end):
            ends = ({"stiffness": config.stiffness, "centre": x} for x in (begin, end))
            system = Langevin(
                trap, control=Ramp(*ends, t1=duration), temperature=config.temperature
            )
            return self.run(
                system,
                lambda key: begin + width * jax.random.normal(key, ()),
                ensemble,
                number,
                t1=duration,
                integrator=ExactLinear(stiffness),
            )

        ends = jnp.asarray([0.0, config.distance])
        runs = jax.vmap(dragged)(jnp.arange(2), ends, ends[::-1])  # forward and reverse at once
        rate = config.stiffness * duration
        force = config.stiffness * config.distance**2
        mean = force * (rate - 1 + np.exp(-rate)) / rate**2
        return {
            **{
                name: per_trajectory(work, "energy", f"{name.replace('_', ' ')} run")
                for name, work in zip(WORKS, runs.work[:, :, -1], strict=True)
            },
            **predicted(
                dict.fromkeys(WORKS, jnp.asarray(mean)),
                "energy",
                "mean for dt → 0",
            ),
            **diverged(runs),
        }

    def _estimates(self, results: "xarray.Dataset") -> list[dict[str, Any]]:
        """By duration: the free energy difference by each method, and the slope of Crooks."""
        estimates = []
        temperature = self.config.temperature
        for _, parameters, entry in self.points(results):
            forward, reverse = (single(entry, name) for name in WORKS)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FreeEnergyWarning)  # reported in the table
                methods = {
                    "jarzynski": jarzynski(forward, temperature),
                    "bennett": bennett(forward, reverse, temperature),
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
            if forward.min() <= -reverse.min() and forward.max() >= -reverse.max():
                fit = crooks(forward, reverse, temperature)
                slope = {"mean": float(fit.slope), "standard_error": float(fit.slope_error)}
            estimates.append(parameters | free | {"crooks_slope": slope})
        return estimates

    def summary(self, results):
        entries = (entry for _, _, entry in self.points(results))
        points = [
            estimates | {"work": compared(entry, "work_forward")}
            for entry, estimates in zip(entries, self._estimates(results), strict=True)
        ]
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
            jarzynski, slope = entry["jarzynski"], entry["crooks_slope"]
            doubt = "" if jarzynski["trustworthy"] else " (not to be trusted)"
            rows.append(
                [
                    f"{entry['duration']:g}",
                    error_text(entry["work"]),
                    f"{entry['work']['predicted']:.5g}",
                    error_text(jarzynski) + doubt,
                    f"{jarzynski['effective_sample_size']:.0f}",
                    error_text(entry["bennett"]),
                    "no overlap" if slope["mean"] is None else error_text(slope),
                ]
            )
        note = "ΔF = 0 and a slope of 1 in Crooks' relation are exact;"
        return f"{table_text(rows)}\n{note} {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        works = [
            _Works(
                parameters["duration"],
                single(entry, "work_forward"),
                -single(entry, "work_reverse"),
                float(entry.predicted_work_forward),
            )
            for _, parameters, entry in self.points(results)
        ]
        title, temperature = self.config.title, self.config.temperature
        return {
            "work_distributions": _work_distributions(works, temperature, title),
            "free_energy": _free_energy_estimates(self._estimates(results), title),
        }


class _Works(NamedTuple):
    """Forward works W, reverse ones as -W, and the exact mean of W at a duration."""

    duration: float
    forward: np.ndarray
    reverse: np.ndarray
    mean: float


def _work_distributions(works: Sequence[_Works], temperature: float, title: str) -> "Figure":
    """Forward work and minus the reverse work at each duration, with the exact normal laws."""
    figure, axes = new_figure(3.6 * len(works) + 0.8, 3.8, columns=len(works))
    for ax, (duration, forward, reverse, mean) in zip(axes, works, strict=True):
        low, high = min(forward.min(), reverse.min()), max(forward.max(), reverse.max())
        bins, fine = np.linspace(low, high, 60), np.linspace(low, high, 400)
        width = np.sqrt(2 * temperature * mean)  # of a normal law that obeys Crooks, ΔF = 0
        for i, (values, centre, label) in enumerate(
            ((forward, mean, "$P_F(W)$"), (reverse, -mean, "$P_R(-W)$"))
        ):
            histogram(ax, values, bins, fill=True, color=COLOURS[i], alpha=0.35, label=label)
            exact = np.exp(-(((fine - centre) / width) ** 2) / 2) / np.sqrt(2 * np.pi) / width
            ax.plot(fine, exact, color=COLOURS[i], linewidth=1.4)
        ax.axvline(0, color="0.3", linewidth=1, linestyle=":")
        ax.set_xlabel("work $W$  [energy]")
        ax.text(0.98, 0.96, rf"$\tau = {duration:g}$", transform=ax.transAxes, ha="right", va="top")
    axes[0].set_ylabel(r"probability density  [1/energy]")
    caption(axes[0], title, r"steps: simulated; lines: exact; they cross at $\Delta F = 0$")
    legend_beside(axes[-1])
    return figure


def _free_energy_estimates(estimates: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Free energy differences of each method against the duration, and the slope of Crooks."""
    figure, (left, right) = new_figure(11.0, 4.2, columns=2)
    durations = np.asarray([entry["duration"] for entry in estimates])
    for i, method in enumerate(("jarzynski", "bennett")):
        trusted = np.asarray([entry[method]["trustworthy"] for entry in estimates])
        values = [entry[method] for entry in estimates]
        for chosen, face, words in (
            (trusted, COLOURS[i], ""),
            (~trusted, "none", ", too few samples"),
        ):
            if chosen.any():
                error_bars(
                    left,
                    durations[chosen] * (1 + 0.06 * (i - 0.5)),
                    column([values[j] for j in np.flatnonzero(chosen)]),
                    i,
                    markerfacecolor=face,
                    label=f"{method.capitalize()}{words}",
                )
    left.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"free energy difference $\Delta F$  [energy]")
    slopes = column([entry["crooks_slope"] for entry in estimates])
    error_bars(right, durations, slopes, 2, fmt=MARKERS[0])
    right.axhline(1, color="0.3", linewidth=1)
    right.set_ylabel(r"slope of $\ln[P_F(W)/P_R(-W)]$ against $W/T$")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel(r"duration $\tau$  [$1/\mu k$]")
    caption(left, title, f"{BARS}; lines: exact")
    left.legend(frameon=False, fontsize=9)
    return figure
