"""The study `optimal_protocol`: protocols of least work by gradient, and what they are worth."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..config import OptimalProtocol
from ..langevin import ExactLinear, Langevin, PiecewiseLinear, simulate
from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..plots import optimal_protocols
from ..sweeps import Grid
from ..thermodynamics import NormalState, moment_equations
from ..tuning import tune
from ._base import deviation, pair, per_trajectory
from ._experiments import ExperimentStudy, diverged, predicted
from ._table import sample_text, table_text


def _moved(x, control):
    return 0.5 * jnp.sum((x - control) ** 2)


def _stiffened(x, control):
    return 0.5 * control * jnp.sum(x**2)


class OptimalProtocolStudy(ExperimentStudy):
    """Ways to tune along one axis, durations along the other; T = μ = 1, and k = 1 at the start.

    Time runs from 0 to 1 with the duration as mobility, which is the same, and compiled once.
    """

    config: OptimalProtocol

    @property
    def grid(self):
        return Grid(way={way: way for way in self.config.ways}, duration=self.config.duration)

    @property
    def _ends(self) -> tuple[float, float]:
        return (0.0 if self.config.task == "move" else 1.0), self.config.amount

    def _system(self, inside, duration):
        begin, end = self._ends
        control = PiecewiseLinear.between(begin, inside, end, t1=1.0)
        potential = _moved if self.config.task == "move" else _stiffened
        return Langevin(potential, control=control, mobility=duration)

    def _integrator(self):
        return ExactLinear(1.0 if self.config.task == "move" else _own)

    def point(self, ensemble, **parameters):
        way, duration, config = parameters["way"], parameters["duration"], self.config
        begin, end = self._ends
        ramp = jnp.linspace(begin, end, config.knots)
        if way == "moment_equations":

            def work(inside):
                return self._mean_work(inside, duration)
        else:
            key = jax.random.fold_in(ensemble["key"], 1)

            def work(inside):  # with the same noise whatever the protocol
                run = simulate(
                    self._system(inside, duration),
                    lambda k: jax.random.normal(k, ()),
                    t1=1.0,
                    dt=config.dt,
                    key=key,
                    n_trajectories=config.tuned_on,
                    integrator=self._integrator(),
                    throw=False,
                )
                return jnp.mean(run.work[:, -1])

        # Its own noise blurs the simulated optimum by more than that.
        tuned = tune(
            work, ramp, tolerance=1e-8 if way == "moment_equations" else 1e-4, max_steps=100
        )
        both = jnp.stack([tuned.parameters, ramp])

        def tried(inside):
            return self.run(
                self._system(inside, duration),
                lambda k: jax.random.normal(k, ()),
                ensemble,
                0,
                t1=1.0,
                integrator=self._integrator(),
            )

        runs = jax.vmap(tried)(both)
        means = jax.vmap(lambda inside: self._mean_work(inside, duration))(both)
        rows = ensemble["n_trajectories"]
        shape = (rows, config.knots)
        return {
            "work": per_trajectory(runs.work[0, :, -1], "energy", "work of the tuned protocol"),
            "ramp_work": per_trajectory(runs.work[1, :, -1], "energy", "work of a ramp"),
            **predicted(
                {
                    "work": means[0],
                    "ramp_work": means[1],
                    "least_work": least_work(config.task, config.amount, duration),
                    "converged": tuned.converged.astype(ramp.dtype),
                },
                rows,
                "energy",
                "exact",
            ),
            "protocol": Labelled(
                ("trajectory", "knot"),
                jnp.broadcast_to(tuned.parameters, shape),
                "",
                "control of the tuned protocol between its jumps",
            ),
            **diverged(runs),
        }

    def _mean_work(self, inside, duration):
        start = NormalState(0.0, 1.0)
        return moment_equations(self._system(inside, duration), start, t1=1.0).work[-1]

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            numbers = {
                name: pair(entry, name)
                | {
                    "predicted": float(entry[f"predicted_{name}"]),
                    "deviation": deviation(entry, name),
                }
                for name in ("work", "ramp_work")
            }
            points.append(
                parameters
                | numbers
                | {
                    "least_work": float(entry.predicted_least_work),
                    "protocol": entry.protocol.values.tolist(),
                    "converged": bool(entry.predicted_converged.values == 1),
                }
            )
        return {
            "study": self.config.study,
            "task": self.config.task,
            "free_energy_difference": self._free_energy,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    @property
    def _free_energy(self) -> float:
        return 0.0 if self.config.task == "move" else float(np.log(self.config.amount) / 2)

    def table(self, summary):
        rows = [["way", "duration", "tuned work", "exact", "least possible", "ramp", "exact"]]
        for entry in summary["points"]:
            row = [entry["way"].replace("_", " "), f"{entry['duration']:g}"]
            for name in ("work", "ramp_work"):
                numbers = entry[name]
                row.append(text_with_error(numbers["mean"], numbers["standard_error"]))
                row.append(f"{numbers['predicted']:.6g}")
                if name == "work":
                    row.append(f"{entry['least_work']:.6g}")
            rows.append(row)
        sample = sample_text(summary["n_trajectories"])
        free = f"ΔF = {summary['free_energy_difference']:.5g}"
        return f"{table_text(rows)}\n{free}; {sample}; k_B = 1."

    def figures(self, results):
        begin, end = self._ends
        return {
            "optimal_protocols": optimal_protocols(
                self.summary(results)["points"],
                (begin, end),
                self._free_energy,
                "centre of the trap" if self.config.task == "move" else "stiffness",
                self.config.title,
            )
        }


def _own(control):
    return control


def least_work(task: str, amount: float, duration: Array) -> Array:
    r"""The least mean work in time τ, for T = μ = 1 and k = 1 at the start.

    Moving the trap by L: $L^2/(\tau + 2)$. Stiffening it to k: the variance goes as (1 + ct)²
    with the c that makes $\tfrac12(k w_\tau - 1) - \tfrac12\ln w_\tau + c^2\tau$ least,
    $w_\tau = (1 + c\tau)^2$.

    Source: Schmiedl and Seifert 2007, Phys. Rev. Lett. 98, 108301.
    """
    if task == "move":
        return amount**2 / (duration + 2)
    # Where the derivative vanishes: k(1 + cτ)² - 1 + 2c(1 + cτ) = 0
    a, b, c = amount * duration**2 + 2 * duration, 2 * amount * duration + 2, amount - 1
    rate = (-b + jnp.sqrt(b * b - 4 * a * c)) / (2 * a)
    width = 1 + rate * duration
    return (amount * width**2 - 1) / 2 - jnp.log(width) + rate**2 * duration
