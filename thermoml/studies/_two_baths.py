"""The study `two_baths`: heat through two coupled beads, and the entropy that it produces."""

import jax.numpy as jnp

from ..config import TwoBaths
from ..langevin import Heun, Langevin
from ..numerics.statistics import text_with_error
from ..plots import entropy_production_distributions, heat_between_baths
from ..sweeps import Grid
from ..thermodynamics import LinearSystem, integral_fluctuation
from ._base import deviation, pair, per_trajectory
from ._experiments import ExperimentStudy, diverged, predicted, single
from ._table import sample_text, table_text

_UNITS = {
    "heat_into_cold": "energy/time",
    "heat_into_hot": "energy/time",
    "entropy_rate": "nat/time",
}


class TwoBathsStudy(ExperimentStudy):
    """One axis, the temperature of the hot bath; bead 0 is in the cold one."""

    config: TwoBaths

    @property
    def grid(self):
        return Grid(hot=self.config.hot)

    def point(self, ensemble, **parameters):
        config = self.config
        own, pull = config.stiffness + config.coupling, -config.coupling
        linear = LinearSystem(
            jnp.asarray([[own, pull], [pull, own]]),
            jnp.stack([jnp.asarray(config.cold), jnp.asarray(parameters["hot"])]),
        )
        rest = linear.at_rest()

        def beads(vector):
            return {"cold": vector[0], "hot": vector[1]}

        def energy(x, control):
            springs = config.stiffness * (x["cold"] ** 2 + x["hot"] ** 2)
            return (springs + config.coupling * (x["cold"] - x["hot"]) ** 2) / 2

        def surprise(x, control, t):
            return -rest.log_density(jnp.stack([x["cold"], x["hot"]]))

        run = self.run(
            Langevin(energy, temperature=beads(linear.temperature)),
            lambda key: beads(rest.sample(key)),
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
            **predicted(exact, ensemble["n_trajectories"], "", "exact"),
            **diverged(run),
        }

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            numbers = {
                name: pair(entry, name)
                | {
                    "predicted": float(entry[f"predicted_{name}"]),
                    "deviation": deviation(entry, name),
                }
                for name in _UNITS
            }
            theorem = integral_fluctuation(single(entry, "entropy_rate") * self.config.t1)
            numbers["integral_fluctuation"] = {
                "mean": float(theorem.average),
                "standard_error": float(theorem.standard_error),
                "trustworthy": bool(theorem.trustworthy),
            }
            points.append(parameters | numbers)
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
                    text_with_error(heat["mean"], heat["standard_error"]),
                    f"{heat['predicted']:.5g}",
                    text_with_error(rate["mean"], rate["standard_error"]),
                    f"{rate['predicted']:.5g}",
                    text_with_error(theorem["mean"], theorem["standard_error"]) + doubt,
                ]
            )
        note = f"Over t = {summary['t1']:g} at rest, {sample_text(summary['n_trajectories'])}"
        return f"{table_text(rows)}\n{note}; k_B = 1."

    def figures(self, results):
        points = self.summary(results)["points"]
        produced = [
            (parameters["hot"], single(entry, "entropy_rate") * self.config.t1)
            for _, parameters, entry in self.points(results)
        ]
        title = self.config.title
        return {
            "heat": heat_between_baths(points, self.config.cold, title),
            "entropy_production": entropy_production_distributions(produced, title),
        }
