"""Heat between two baths, entropy production, and its fluctuation theorems."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from pydantic import Field, model_validator

from ...config import Positive
from ...langevin import Heun, Langevin
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import caption, error_bars, histogram, legend_beside, line_style, new_figure
from ...sweeps import Grid
from ...thermodynamics import LinearSystem, integral_fluctuation
from .._experiment import (
    BARS,
    Experiment,
    ExperimentStudy,
    curve_and_points,
    diverged,
    predicted,
    single,
)
from .._table import compared, error_text, per_trajectory, sample_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNITS = {
    "heat_into_cold": "energy/time",
    "heat_into_hot": "energy/time",
    "entropy_rate": "nat/time",
}


class TwoBaths(Experiment):
    """Two coupled beads, each in its own bath."""

    stiffness: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    coupling: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    cold: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    hot: Positive
    t1: float = Field(default=4.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_steps(self):
        self.check_divides(self.t1)
        return self


def _by_bath(vector: Array) -> dict[str, Array]:
    """Coordinates of the beads: the first is in the cold bath."""
    return {"cold": vector[0], "hot": vector[1]}


class TwoBathsStudy(ExperimentStudy):
    """One axis, the temperature of the hot bath."""

    config: TwoBaths

    @property
    def grid(self):
        return Grid(hot=self.config.hot)

    def point(self, ensemble, *, hot):
        config = self.config
        diagonal, coupling = config.stiffness + config.coupling, -config.coupling
        linear = LinearSystem(
            jnp.asarray([[diagonal, coupling], [coupling, diagonal]]),
            jnp.stack([jnp.asarray(config.cold), jnp.asarray(hot)]),
        )
        rest = linear.steady_state()

        def energy(x, control):
            springs = config.stiffness * (x["cold"] ** 2 + x["hot"] ** 2)
            return (springs + config.coupling * (x["cold"] - x["hot"]) ** 2) / 2

        def surprise(x, control, t):
            return -rest.log_density(jnp.stack([x["cold"], x["hot"]]))

        run = self.run(
            Langevin(energy, temperature=_by_bath(linear.temperature)),
            lambda key: _by_bath(rest.sample(key)),
            ensemble,
            0,
            t1=config.t1,
            integrator=Heun(),
            observables={"surprise": surprise},
        )
        surprises = run.observables["surprise"]
        total = run.entropy_flow[:, -1] + surprises[:, -1] - surprises[:, 0]
        values = {
            "heat_into_cold": run.heat_by_leaf["cold"][:, -1] / config.t1,
            "heat_into_hot": run.heat_by_leaf["hot"][:, -1] / config.t1,
            "entropy_rate": total / config.t1,
        }
        rates = linear.heat_rate(rest)
        exact = {
            "heat_into_cold": rates[0],
            "heat_into_hot": rates[1],
            "entropy_rate": linear.entropy_production_rate(rest),
        }
        return {
            **{
                name: per_trajectory(value, _UNITS[name], name.replace("_", " "))
                for name, value in values.items()
            },
            **predicted(exact, "", "exact"),
            **diverged(run),
        }

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            theorem = integral_fluctuation(single(entry, "entropy_rate") * self.config.t1)
            points.append(
                parameters
                | {name: compared(entry, name) for name in _UNITS}
                | {
                    "integral_fluctuation": {
                        "mean": float(theorem.average),
                        "standard_error": float(theorem.standard_error),
                        "trustworthy": bool(theorem.trustworthy),
                    }
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "t1": self.config.t1,
            "points": points,
        }

    def table(self, summary):
        rows = [["hot", "heat into cold", "exact", "entropy rate", "exact", "⟨exp(-Δs)⟩"]]
        for entry in summary["points"]:
            heat, rate = entry["heat_into_cold"], entry["entropy_rate"]
            theorem = entry["integral_fluctuation"]
            doubt = "" if theorem["trustworthy"] else " (not to be trusted)"
            rows.append(
                [
                    f"{entry['hot']:g}",
                    error_text(heat),
                    f"{heat['predicted']:.5g}",
                    error_text(rate),
                    f"{rate['predicted']:.5g}",
                    error_text(theorem) + doubt,
                ]
            )
        note = f"Over t = {summary['t1']:g} at rest, {sample_text(summary['n_trajectories'])}"
        return f"{table_text(rows)}\n{note}; k_B = 1."

    def figures(self, results):
        produced = {
            parameters["hot"]: single(entry, "entropy_rate") * self.config.t1
            for _, parameters, entry in self.points(results)
        }
        points, title = self.summary(results)["points"], self.config.title
        return {
            "heat": _heat(points, self.config.cold, title),
            "entropy_production": _entropy_production(produced, title),
        }


def _heat(points: Sequence[Mapping[str, Any]], cold: float, title: str) -> "Figure":
    """Heat into each bath and the entropy production against the hot bath's temperature."""
    figure, (left, right) = new_figure(11.4, 4.2, columns=2)
    hot = [entry["hot"] for entry in points]
    curve_and_points(left, hot, [e["heat_into_cold"] for e in points], "into the cold bath", 0)
    curve_and_points(left, hot, [e["heat_into_hot"] for e in points], "into the hot bath", 3)
    curve_and_points(right, hot, [e["entropy_rate"] for e in points], "simulated", 2)
    left.axhline(0, color="0.3", linewidth=1)
    left.set_ylabel(r"heat $\dot Q$  [energy/time]")
    right.set_ylabel(r"entropy production  [nat/time]")
    for ax in (left, right):
        ax.set_xlabel(rf"temperature of the hot bath, the cold one is at {cold:g}")
    left.legend(frameon=False, fontsize=9)
    caption(left, title, f"{BARS}; lines: exact")
    return figure


def _entropy_production(produced: Mapping[float, np.ndarray], title: str) -> "Figure":
    """Total entropy production of trajectories, and the detailed fluctuation theorem."""
    figure, (left, right) = new_figure(11.4, 4.2, columns=2)
    reach = 0.0
    for i, (hot, values) in enumerate(produced.items()):
        if np.ptp(values) < 1e-9:  # equilibrium produces none
            continue
        low, high = np.percentile(values, [0.05, 99.95])
        bins = np.linspace(low, high, 60)
        histogram(left, values, bins, label=rf"$T_h = {hot:g}$", **line_style(i))
        reach = max(reach, _fluctuation_ratios(right, hot, values, i))
    right.plot([0, reach], [0, reach], color="0.3", linewidth=1)
    left.axvline(0, color="0.3", linewidth=1, linestyle=":")
    left.set_xlabel(r"total entropy production $\Delta s$  [nat]")
    left.set_ylabel("probability density")
    right.set_xlabel(r"$\Delta s$  [nat]")
    right.set_ylabel(r"$\ln[p(\Delta s)/p(-\Delta s)]$")
    caption(left, title, f"right: {BARS}; line: detailed fluctuation theorem")
    legend_beside(right)
    return figure


def _fluctuation_ratios(ax: "Axes", hot: float, values: np.ndarray, index: int) -> float:
    """Draw ln p(s)/p(-s), from bins that mirror each other; returns the largest s, or 0."""
    top = np.percentile(-values, 99.5)
    if top <= 0:
        return 0.0
    edges = np.linspace(0, top, 9)
    ahead, behind = np.histogram(values, edges)[0], np.histogram(-values, edges)[0]
    both = (ahead > 0) & (behind > 0)
    middle = (edges[1:] + edges[:-1]) / 2
    ratio = np.log(ahead[both] / behind[both])
    error = np.sqrt(1 / ahead[both] + 1 / behind[both])
    error_bars(ax, middle[both], Estimate(ratio, error), index, label=rf"$T_h = {hot:g}$")
    return float(top)
