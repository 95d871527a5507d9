"""Protocols of least work, by moment equations and by simulated trajectories."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import Field, model_validator

from ...config import Positive
from ...langevin import ExactLinear, Langevin, PiecewiseLinear, simulate
from ...numerics.labels import Labelled
from ...numerics.tables import table_text
from ...numerics.types import Scalar
from ...plots import MARKERS, caption, legend_beside, line_style, new_figure
from ...sweeps import Grid
from ...thermodynamics import NormalState, moment_equations
from ...tuning import Tuned, tune
from .._experiment import Experiment, ExperimentStudy, curve_and_points, diverged, predicted
from .._table import compared, error_text, per_trajectory, sample_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class OptimalProtocol(Experiment):
    """A trap that is moved or stiffened by an amount, in several durations.

    `dt` is in units of the duration.
    """

    task: Literal["move", "stiffen"] = "stiffen"
    amount: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    duration: Positive
    knots: int = Field(default=17, ge=2)
    ways: list[Literal["moment_equations", "simulated"]] = Field(
        default_factory=lambda: ["moment_equations", "simulated"], min_length=1
    )
    tuned_on: int = Field(default=1000, ge=2)

    @model_validator(mode="after")
    def _check_parts(self):
        self.check_divides(1.0)
        if self.task == "stiffen" and self.amount == 1:
            raise ValueError("amount must differ from 1, the stiffness at the start")
        return self


def _moved(x: Array, centre: Float[Array, ""]) -> Float[Array, ""]:
    return 0.5 * jnp.sum((x - centre) ** 2)


def _stiffened(x: Array, stiffness: Float[Array, ""]) -> Float[Array, ""]:
    return 0.5 * stiffness * jnp.sum(x**2)


def _stiffness(control: Float[Array, ""]) -> Float[Array, ""]:
    return control


def _at_rest(key: Key[Array, ""]) -> Float[Array, ""]:
    """The position at the start, where T = k = 1."""
    return jax.random.normal(key, ())


class OptimalProtocolStudy(ExperimentStudy):
    """Ways to tune along one axis, durations along the other; T = μ = 1, and k = 1 at the start.

    Time runs from 0 to 1 and the duration is the mobility, which is equivalent and compiled once.
    """

    config: OptimalProtocol

    @property
    def grid(self):
        return Grid(way={way: way for way in self.config.ways}, duration=self.config.duration)

    @property
    def _ends(self) -> tuple[float, float]:
        return (0.0 if self.config.task == "move" else 1.0), self.config.amount

    def _system(self, inside: Float[Array, " knot"], duration: Float[Array, ""]) -> Langevin:
        begin, end = self._ends
        control = PiecewiseLinear.between(begin, inside, end, t1=1.0)
        potential = _moved if self.config.task == "move" else _stiffened
        return Langevin(potential, control=control, mobility=duration)

    @property
    def _integrator(self) -> ExactLinear:
        return ExactLinear(1.0 if self.config.task == "move" else _stiffness)

    def _mean_work(
        self, inside: Float[Array, " knot"], duration: Float[Array, ""]
    ) -> Float[Array, ""]:
        """The mean work of a protocol, exact."""
        start = NormalState(0.0, 1.0)
        return moment_equations(self._system(inside, duration), start, t1=1.0).work[-1]

    def _simulated_work(
        self, inside: Float[Array, " knot"], duration: Float[Array, ""], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """The mean work of a protocol on trajectories, with the same noise for every protocol."""
        run = simulate(
            self._system(inside, duration),
            _at_rest,
            t1=1.0,
            dt=self.config.dt,
            key=key,
            n_trajectories=self.config.tuned_on,
            integrator=self._integrator,
            throw=False,
        )
        return jnp.mean(run.work[:, -1])

    def _tuned(
        self, way: str, ramp: Float[Array, " knot"], duration: Float[Array, ""], key: Key[Array, ""]
    ) -> Tuned:
        if way == "moment_equations":
            return tune(
                lambda inside: self._mean_work(inside, duration),
                ramp,
                tolerance=1e-8,
                max_steps=100,
            )
        key = jax.random.fold_in(key, 1)
        work = functools.partial(self._simulated_work, duration=duration, key=key)
        # The noise blurs the simulated optimum by more than this tolerance.
        return tune(work, ramp, tolerance=1e-4, max_steps=100)

    def point(self, ensemble, *, way, duration):
        config = self.config
        ramp = jnp.linspace(*self._ends, config.knots)
        tuned = self._tuned(way, ramp, duration, ensemble["key"])
        both = jnp.stack([tuned.parameters, ramp])

        def measured(inside):
            system, options = self._system(inside, duration), {"integrator": self._integrator}
            return self.run(system, _at_rest, ensemble, 0, t1=1.0, **options)

        runs = jax.vmap(measured)(both)
        means = jax.vmap(lambda inside: self._mean_work(inside, duration))(both)
        exact = {
            "work": means[0],
            "ramp_work": means[1],
            "least_work": least_work(config.task, config.amount, duration),
            "converged": tuned.converged.astype(ramp.dtype),
        }
        return {
            "work": per_trajectory(runs.work[0, :, -1], "energy", "work of the tuned protocol"),
            "ramp_work": per_trajectory(runs.work[1, :, -1], "energy", "work of a ramp"),
            **predicted(exact, "energy", "exact"),
            "protocol": Labelled(
                ("knot",),
                tuned.parameters,
                "",
                "control of the tuned protocol between its jumps",
            ),
            **diverged(runs),
        }

    @property
    def _free_energy(self) -> float:
        """ΔF of the task."""
        return 0.0 if self.config.task == "move" else float(np.log(self.config.amount) / 2)

    def summary(self, results):
        points = [
            parameters
            | {name: compared(entry, name) for name in ("work", "ramp_work")}
            | {
                "least_work": float(entry.predicted_least_work),
                "protocol": entry.protocol.values.tolist(),
                "converged": bool(entry.predicted_converged.values == 1),
            }
            for _, parameters, entry in self.points(results)
        ]
        return {
            "study": self.config.study,
            "task": self.config.task,
            "free_energy_difference": self._free_energy,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [["way", "duration", "tuned work", "exact", "least possible", "ramp", "exact"]]
        for entry in summary["points"]:
            work, ramp = entry["work"], entry["ramp_work"]
            rows.append(
                [
                    entry["way"].replace("_", " "),
                    f"{entry['duration']:g}",
                    error_text(work),
                    f"{work['predicted']:.6g}",
                    f"{entry['least_work']:.6g}",
                    error_text(ramp),
                    f"{ramp['predicted']:.6g}",
                ]
            )
        sample = sample_text(summary["n_trajectories"])
        free = f"ΔF = {summary['free_energy_difference']:.5g}"
        return f"{table_text(rows)}\n{free}; {sample}; k_B = 1."

    def figures(self, results):
        summary = self.summary(results)
        points, ways = summary["points"], self.config.ways
        figure, (left, right) = new_figure(11.8, 4.4, columns=2)
        _draw_protocols(left, points, self._ends)
        left.set_ylabel(
            "centre of the trap" if self.config.task == "move" else "stiffness",
        )
        _draw_works(right, points)
        free = summary["free_energy_difference"]
        right.axhline(free, color="0.3", linewidth=1, label=r"$\Delta F$")
        legend_beside(right)
        words = "points: tuned on simulated trajectories; " if len(ways) > 1 else ""
        caption(left, self.config.title, f"{words}jumps at both ends")
        return {"optimal_protocols": figure}


def least_work(task: str, amount: float, duration: Scalar) -> Float[Array, ""]:
    r"""The least mean work in time τ, for T = μ = 1 and k = 1 at the start.

    Moving the trap by L: $L^2/(\tau + 2)$. Stiffening it to k: the variance goes as (1 + ct)²
    with the c that minimises $\tfrac12(k w_\tau - 1) - \tfrac12\ln w_\tau + c^2\tau$,
    $w_\tau = (1 + c\tau)^2$.

    Args:
        task: "move" or "stiffen".
        amount: L or k.
        duration: τ.

    Source: Schmiedl and Seifert 2007, Phys. Rev. Lett. 98, 108301.
    """
    duration = jnp.asarray(duration)
    if task == "move":
        return amount**2 / (duration + 2)
    # Where the derivative vanishes: k(1 + cτ)² - 1 + 2c(1 + cτ) = 0
    a, b, c = amount * duration**2 + 2 * duration, 2 * amount * duration + 2, amount - 1
    rate = (-b + jnp.sqrt(b * b - 4 * a * c)) / (2 * a)
    width = 1 + rate * duration
    return (amount * width**2 - 1) / 2 - jnp.log(width) + rate**2 * duration


_Points = Sequence[Mapping[str, Any]]


def _ways(points: _Points) -> list[str]:
    return list(dict.fromkeys(entry["way"] for entry in points))


def _draw_protocols(ax: "Axes", points: _Points, ends: tuple[float, float]) -> None:
    """Tuned protocols with their jumps, as lines for the first way and as points for the other."""
    durations = sorted({entry["duration"] for entry in points})
    ways = _ways(points)
    for entry in points:
        inside = entry["protocol"]
        fractions = np.linspace(0, 1, len(inside))
        first = entry["way"] == ways[0]
        ax.plot(
            [0, *fractions, 1] if first else fractions,
            [ends[0], *inside, ends[1]] if first else inside,
            color=line_style(durations.index(entry["duration"]))["color"],
            linestyle="-" if first else "none",
            marker="" if first else MARKERS[ways.index(entry["way"])],
            markersize=3.5,
            linewidth=1.5,
            label=rf"$\tau = {entry['duration']:g}$" if first else None,
        )
    ax.set_xlabel(r"time, in units of the duration, $t/\tau$")
    ax.legend(frameon=False, fontsize=9)


def _draw_works(ax: "Axes", points: _Points) -> None:
    """Work of the tuned protocols, of a ramp, and the least possible, against the duration."""
    for i, way in enumerate(_ways(points)):
        entries = [entry for entry in points if entry["way"] == way]
        words = "on trajectories" if way == "simulated" else "by moment equations"
        times = [entry["duration"] for entry in entries]
        curve_and_points(ax, times, [entry["work"] for entry in entries], f"tuned {words}", i)
        if i == 0:
            curve_and_points(ax, times, [entry["ramp_work"] for entry in entries], "ramp", 3)
            least = [entry["least_work"] for entry in entries]
            ax.plot(times, least, "k:", linewidth=1.4, label="least possible")
    durations = sorted({entry["duration"] for entry in points})
    ax.set_xscale("log")
    ax.set_xticks(durations, [f"{t:g}" for t in durations])
    ax.minorticks_off()
    ax.set_xlabel(r"duration $\tau$")
    ax.set_ylabel("mean work  [energy]")
