"""The study `training_transition`: energy, entropy and temperature on the way of training."""

import functools
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..config import TrainingTransition
from ..networks import (
    AbstractEnergy,
    CrossEntropy,
    Data,
    LinearLearning,
    MeanAbsoluteError,
    MeanSquaredError,
    Normal,
    Trained,
    TypeI,
    ground_state,
    synthetic_data,
    training_path,
    transition,
)
from ..numerics.statistics import text_with_error
from ..plots import heat_capacities, training_diagrams
from ..sweeps import Grid
from ._experiments import ExperimentStudy
from ._kept_states import energy_and_entropy, run_and_keep
from ._table import sample_text, table_text

if TYPE_CHECKING:
    import xarray


class TrainingTransitionStudy(ExperimentStudy):
    """One axis, the standard deviation of the initial parameters; the data are the same for all."""

    config: TrainingTransition

    @property
    def grid(self):
        return Grid(initial_std=self.config.initial_std)

    @functools.cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Normal features with a spectrum of powers of one number, of mean 1, and noisy targets."""
        config = self.config
        powers = np.linspace(0, 1, config.n_parameters) if config.n_parameters > 1 else [0.0]
        spectrum = config.condition ** np.asarray(powers)
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            data = synthetic_data(
                config.n_examples,
                spectrum=jnp.asarray(spectrum / spectrum.mean()),
                noise=config.label_noise,
                key=jax.random.key(config.seed),
            )
            return np.asarray(data.features), np.asarray(data.targets)

    @property
    def data(self) -> Data:
        """What is learnt, the same in any precision."""
        return Data(*self._drawn)

    @property
    def system(self) -> LinearLearning:
        """The linear model that learns."""
        return LinearLearning(
            MeanSquaredError(), self.data, temperature=self.config.bath_temperature
        )

    @functools.cached_property
    def exact(self) -> "list[xarray.Dataset]":
        """The exact path from each start."""
        with jax.enable_x64(True):
            times = jnp.linspace(0, self.config.t1, self.config.saves + 1)
            return [
                training_path(self.system, TypeI(Normal(std)), times).to_xarray()
                for std in self.config.initial_std
            ]

    @functools.cached_property
    def capacities(self) -> dict[str, list[dict[str, float]]]:
        """By energy: heat capacity and (U - E_min)/τ for each parameter, against τ."""
        with jax.enable_x64(True):
            data = self.data
            labels = Data(data.features, (data.targets > 0).astype(jnp.int32))
            forms: dict[str, tuple[AbstractEnergy, Data, float]] = {
                "mean squared error": (MeanSquaredError(), data, 0.0),
                "mean absolute error": (MeanAbsoluteError(), data, 0.0),
                "cross-entropy": (CrossEntropy(), labels, self.config.prior_stiffness),
            }
            return {name: self._capacity(*form) for name, form in forms.items()}

    def _capacity(self, form: AbstractEnergy, data: Data, prior: float) -> list[dict[str, float]]:
        system = LinearLearning(form, data, prior_stiffness=prior)
        lowest = float(ground_state(system).energy)
        found = []
        for bath in self.config.capacity_at:
            warm = eqx.tree_at(lambda s: s.temperature, system, jnp.asarray(bath))
            trained = Trained(warm, key=jax.random.key(0))
            scale = bath * system.n_parameters
            found.append(
                {
                    "bath_temperature": bath,
                    "heat_capacity": float(trained.heat_capacity) / system.n_parameters,
                    "heat_capacity_error": float(trained.heat_capacity_error) / system.n_parameters,
                    "excess_energy": (float(trained.energy) - lowest) / scale,
                    "excess_energy_error": float(trained.energy_error) / scale,
                }
            )
        return found

    def point(self, ensemble, **parameters):
        std, size = parameters["initial_std"], self.config.n_parameters
        start = lambda key: std * jax.random.normal(key, (size,))  # noqa: E731
        return run_and_keep(self, self.system, start, ensemble, size)

    def simulated(self, entry: Any) -> dict[str, np.ndarray]:
        """Energy and entropy at each save with their standard errors."""
        return energy_and_entropy(entry, self.config.n_parameters)

    def summary(self, results):
        points = []
        with jax.enable_x64(True):
            after = Trained(self.system)
            known = [transition(TypeI(Normal(s)), after) for s in self.config.initial_std]
        for (_, parameters, entry), exact, path in zip(
            self.points(results), known, self.exact, strict=True
        ):
            heat = {
                "mean": float(entry.heat),
                "standard_error": float(entry.heat_standard_error),
                "predicted": float(path.heat.values[-1]),
            }
            heat["deviation"] = (heat["mean"] - heat["predicted"]) / heat["standard_error"]
            found = self.simulated(entry)
            drop = {
                "mean": float(found["entropy"][0] - found["entropy"][-1]),
                "standard_error": float(np.hypot(*found["entropy_error"][[0, -1]])),
                "predicted": float(path.entropy_drop.values[-1]),
            }
            points.append(
                parameters
                | {
                    "heat": heat,
                    "entropy_drop": drop,
                    "temperature": float(exact.temperature),
                    "entropy_production": float(exact.entropy_production),
                    "case": exact.case.name.lower(),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "bath_temperature": self.config.bath_temperature,
            "trained": {"energy": float(after.energy), "entropy": float(after.entropy)},
            "points": points,
            "heat_capacity": self.capacities,
        }

    def table(self, summary):
        rows = [
            ["initial std", "heat", "exact", "entropy drop", "exact", "T", "entropy made", "case"]
        ]
        for entry in summary["points"]:
            heat, drop = entry["heat"], entry["entropy_drop"]
            rows.append(
                [
                    f"{entry['initial_std']:g}",
                    text_with_error(heat["mean"], heat["standard_error"]),
                    f"{heat['predicted']:.5g}",
                    text_with_error(drop["mean"], drop["standard_error"]),
                    f"{drop['predicted']:.5g}",
                    f"{entry['temperature']:.4g}",
                    f"{entry['entropy_production']:.4g}",
                    entry["case"],
                ]
            )
        trained = summary["trained"]
        note = (
            f"Trained at τ = {summary['bath_temperature']:g}: U = {trained['energy']:.5g}, "
            f"S = {trained['entropy']:.5g}; T and entropy production are of the whole transition."
        )
        return f"{table_text(rows)}\n{note}\n{sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        paths = [
            (parameters["initial_std"], exact, self.simulated(entry))
            for (_, parameters, entry), exact in zip(self.points(results), self.exact, strict=True)
        ]
        title = self.config.title
        return {
            "diagrams": training_diagrams(paths, self.config.bath_temperature, title),
            "heat_capacity": heat_capacities(self.capacities, title),
        }
