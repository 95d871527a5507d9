"""The study `real_data_temperature`: how hot it is to learn from real data sets."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp

from ..config import RealDataTemperature
from ..config._real_data import RealData
from ..networks import (
    CrossEntropy,
    Data,
    Harmonic,
    Importance,
    LinearLearning,
    MeanSquaredError,
    Normal,
    Trained,
    TrainingWarning,
    TypeI,
    transition,
)
from ..networks.states import ENOUGH
from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..plots import real_data_heat, real_data_temperature
from ..sweeps import Grid
from ._base import per_trajectory
from ._experiments import single
from ._learned_data import principal
from ._table import table_text
from ._temperatures import NUMBERS, TemperatureStudy, case_of, measured, ratio, unavoidable_fraction


def prepared(chosen: RealData) -> Data:
    """What is learned; a classification gets an intercept."""
    data = principal(chosen)
    return data.with_intercept() if chosen.classifies else data


def learning(data: Data, chosen: RealData, bath_temperature: Any) -> LinearLearning:
    """The linear model that learns a prepared data set."""
    return LinearLearning(
        CrossEntropy() if chosen.classifies else MeanSquaredError(),
        data,
        prior_stiffness=chosen.prior_stiffness,
        temperature=bath_temperature,
    )


class RealDataTemperatureStudy(TemperatureStudy):
    """Data sets along one axis, bath temperatures along the other.

    What is reported is of the data as they are; resampled examples tell the standard errors.
    """

    config: RealDataTemperature

    @property
    def grid(self):
        return Grid(
            data={entry.label: entry.label for entry in self.config.data},
            bath_temperature=self.config.bath_temperature,
        )

    @functools.cached_property
    def _chosen(self) -> dict[str, RealData]:
        return {entry.label: entry for entry in self.config.data}

    @functools.cached_property
    def _prepared(self) -> dict[str, Data]:
        wide = self.config.precision == "float64"
        with jax.enable_x64(wide), jax.ensure_compile_time_eval():
            return {label: prepared(entry) for label, entry in self._chosen.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config}  # other processes load the data themselves

    def _trained(
        self, data: Data, chosen: RealData, bath: Any, key: Any
    ) -> tuple[dict[str, Any], Any]:
        """The numbers of a transition, and on how many samples it rests."""
        system = learning(data, chosen, bath)
        route = Importance(self.config.n_samples, key=key) if chosen.classifies else Harmonic()
        after = Trained(system, route)
        weighted = after.distribution.weighted
        samples = jnp.inf if weighted is None else 1 / jnp.sum(weighted.weights**2)
        found = transition(TypeI(Normal(self.config.initial_std)), after)
        numbers = {name: getattr(found, name) for name in NUMBERS}
        return numbers, jnp.asarray(samples, found.heat.dtype)

    def point(self, ensemble, **parameters):
        label, bath = parameters["data"], parameters["bath_temperature"]
        data, chosen = self._prepared[label], self._chosen[label]
        rows, first = ensemble["n_trajectories"], ensemble["first_trajectory"]

        last = self.config.n_trajectories

        def trained(number):
            key = jax.random.fold_in(ensemble["key"], number)
            draw, sample = jax.random.split(key)
            picked = jax.random.randint(draw, (data.n_examples,), 0, data.n_examples)
            # Beyond all resamples come the data as they are
            picked = jnp.where(number == last, jnp.arange(data.n_examples), picked)
            return self._trained(data.take(picked), chosen, bath, sample)

        numbers = jnp.append(first + jnp.arange(rows), last)
        both = jax.lax.map(trained, numbers)
        again, others = jax.tree.map(lambda x: x[:-1], both)
        found, samples = jax.tree.map(lambda x: x[-1], both)

        def repeated(value: Any, units: str, words: str) -> Labelled:
            return per_trajectory(jnp.broadcast_to(value, (rows,)), units, words)

        as_is = {
            f"data_{name}": repeated(found[name], units, f"{words}, data as they are")
            for name, (units, words) in NUMBERS.items()
        }
        least = jnp.minimum(samples, others)
        shown = jnp.where(jnp.isfinite(least), least, 0)
        return (
            {
                name: entry._replace(long_name=f"{entry.long_name}, examples resampled")
                for name, entry in measured(again).items()
            }
            | as_is
            | {
                "effective_samples": per_trajectory(
                    shown, "", "effective samples of importance sampling; 0 where none are needed"
                )
            }
        )

    def _poor(self, entry: Any) -> float | None:
        """The fewest effective samples, for a data set that needs some."""
        if not self._chosen[str(entry.data.values)].classifies:
            return None
        return float(single(entry, "effective_samples").min())

    def check(self, results):
        super().check(results)
        for label, _, entry in self.points(results):
            fewest = self._poor(entry)
            if fewest is not None and fewest < ENOUGH:
                warnings.warn(
                    f"at {label}: importance sampling rests on {fewest:.0f} effective samples "
                    f"only; raise n_samples = {self.config.n_samples}, or keep fewer components",
                    TrainingWarning,
                    stacklevel=2,
                )

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            resamples = {name: single(entry, name) for name in NUMBERS}
            numbers = {
                name: {
                    "mean": float(entry[f"data_{name}"]),
                    "standard_error": float(resamples[name].std(ddof=1)),
                }
                for name in NUMBERS
            }
            bath, data = parameters["bath_temperature"], self._prepared[parameters["data"]]
            temperature = ratio(
                numbers["heat"]["mean"],
                numbers["entropy_drop"]["mean"],
                resamples["heat"],
                resamples["entropy_drop"],
                1.0,
            )
            outputs = data.n_classes if data.n_classes > 2 else 1
            points.append(
                parameters
                | {"n_parameters": data.n_features * outputs, "n_examples": data.n_examples}
                | numbers
                | {
                    "reversible_heat": {
                        key: bath * value for key, value in numbers["entropy_drop"].items()
                    },
                    "temperature": temperature,
                    "unavoidable_fraction": unavoidable_fraction(temperature, bath),
                    "case": case_of(numbers["heat"]["mean"], temperature),
                    "effective_samples": self._poor(entry),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [["data", "d", "n", "τ", "heat", "entropy drop", "T", "Σ", "τ/T", "case", "samples"]]
        for entry in summary["points"]:
            hot, share = entry["temperature"], entry["unavoidable_fraction"]
            samples = entry["effective_samples"]
            rows.append(
                [
                    entry["data"],
                    str(entry["n_parameters"]),
                    str(entry["n_examples"]),
                    f"{entry['bath_temperature']:.3g}",
                    *(text_with_error(**entry[name]) for name in ("heat", "entropy_drop")),
                    "unresolved" if hot["mean"] is None else text_with_error(**hot),
                    text_with_error(**entry["entropy_production"]),
                    "-" if share["mean"] is None else text_with_error(**share),
                    entry["case"],
                    "exact" if samples is None else f"{samples:.0f}",
                ]
            )
        note = (
            f"± standard error, from {summary['n_trajectories']} resamples of the examples; "
            "samples: the fewest effective ones; k_B = 1."
        )
        return f"{table_text(rows)}\n{note}"

    def figures(self, results):
        points, title = self.summary(results)["points"], self.config.title
        sets = {
            label: [entry for entry in points if entry["data"] == label] for label in self._chosen
        }
        return {
            "temperature": real_data_temperature(sets, title),
            "heat": real_data_heat(sets, title),
        }
