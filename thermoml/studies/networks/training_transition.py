"""Energy, entropy and temperature on the path of training, and heat capacities when trained."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from ...config import Positive
from ...networks import (
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
from ...numerics.checks import count_steps, divide_steps
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import COLOURS, MARKERS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from .._experiment import Experiment, ExperimentStudy, energy_and_entropy, run_and_keep
from .._table import error_text, measured, sample_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


class TrainingTransition(Experiment):
    """A linear model that learns from several starts, and baths for its heat capacity."""

    n_parameters: int = Field(default=4, ge=1)
    n_examples: int = Field(default=40, ge=2)
    condition: float = Field(default=1.0, ge=1, allow_inf_nan=False)
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    initial_std: Positive
    t1: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=32, ge=2)
    prior_stiffness: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    capacity_at: Positive

    @model_validator(mode="after")
    def _check_parts(self):
        steps = count_steps(0.0, self.t1, self.dt, self.precision)
        divide_steps("saves", steps, self.saves)

        if self.n_examples <= self.n_parameters:
            raise ValueError(
                f"n_examples must exceed the {self.n_parameters} parameters, got {self.n_examples}:"
                " without a prior there would be no trained state"
            )
        if self.n_trajectories <= self.n_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.n_parameters} parameters: entropies come "
                "from covariances"
            )
        return self


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
        """The data to learn, the same in any precision."""
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
            energies: dict[str, tuple[AbstractEnergy, Data, float]] = {
                "mean squared error": (MeanSquaredError(), data, 0.0),
                "mean absolute error": (MeanAbsoluteError(), data, 0.0),
                "cross-entropy": (CrossEntropy(), labels, self.config.prior_stiffness),
            }
            return {name: self._capacity(*parts) for name, parts in energies.items()}

    def _capacity(self, energy: AbstractEnergy, data: Data, prior: float) -> list[dict[str, float]]:
        system = LinearLearning(energy, data, prior_stiffness=prior)
        lowest = float(ground_state(system).energy)
        capacities = []
        for bath in self.config.capacity_at:
            warm = eqx.tree_at(lambda s: s.temperature, system, jnp.asarray(bath))
            trained = Trained(warm, key=jax.random.key(0))
            scale = bath * system.n_parameters
            capacities.append(
                {
                    "bath_temperature": bath,
                    "heat_capacity": float(trained.heat_capacity) / system.n_parameters,
                    "heat_capacity_error": float(trained.heat_capacity_error) / system.n_parameters,
                    "excess_energy": (float(trained.energy) - lowest) / scale,
                    "excess_energy_error": float(trained.energy_error) / scale,
                }
            )
        return capacities

    def point(self, ensemble, *, initial_std):
        size = self.config.n_parameters
        start = lambda key: initial_std * jax.random.normal(key, (size,))  # noqa: E731
        return run_and_keep(self, self.system, start, ensemble, size)

    def simulated(self, entry: "xarray.Dataset") -> dict[str, Estimate]:
        """Energy and entropy at each save."""
        return energy_and_entropy(entry, self.config.n_parameters)

    def summary(self, results):
        points = []
        with jax.enable_x64(True):
            after = Trained(self.system)
            transitions = [transition(TypeI(Normal(s)), after) for s in self.config.initial_std]
        for (_, parameters, entry), exact, path in zip(
            self.points(results), transitions, self.exact, strict=True
        ):
            heat = measured(entry, "heat") | {"predicted": float(path.heat.values[-1])}
            heat["deviation"] = (heat["mean"] - heat["predicted"]) / heat["standard_error"]
            entropy = self.simulated(entry)["entropy"]
            drop = {
                "mean": float(entropy.mean[0] - entropy.mean[-1]),
                "standard_error": float(np.hypot(*entropy.standard_error[[0, -1]])),
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
                    error_text(heat),
                    f"{heat['predicted']:.5g}",
                    error_text(drop),
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
            _Path(parameters["initial_std"], exact, self.simulated(entry))
            for (_, parameters, entry), exact in zip(self.points(results), self.exact, strict=True)
        ]
        title = self.config.title
        return {
            "diagrams": _diagrams(paths, self.config.bath_temperature, title),
            "heat_capacity": _heat_capacities(self.capacities, title),
        }


class _Path(NamedTuple):
    """The exact path of training from a start, and the simulated energy and entropy on it."""

    initial_std: float
    exact: "xarray.Dataset"
    simulated: dict[str, Estimate]


def _diagrams(paths: Sequence[_Path], bath_temperature: float, title: str) -> "Figure":
    """Energy against entropy, and the temperature of the transition so far against entropy."""
    figure, (left, right) = new_figure(11.0, 4.4, columns=2)
    for i, (std, exact, simulated) in enumerate(paths):
        color = COLOURS[i % len(COLOURS)]
        left.plot(exact.entropy, exact.energy, color=color, linewidth=1.4)
        style = {"markersize": 3.5, "linewidth": 0.8, "capsize": 0}
        label = rf"$\sigma_0 = {std:g}$"
        error_bars(left, simulated["entropy"], simulated["energy"], i, label=label, **style)
        so_far = exact.temperature.values[1:]
        jumps = np.flatnonzero(np.diff(np.sign(so_far))) + 1  # through infinity
        right.plot(
            np.insert(exact.entropy.values[1:], jumps, np.nan),
            np.insert(so_far, jumps, np.nan),
            color=color,
            marker=MARKERS[i % len(MARKERS)],
            markersize=3.5,
            linewidth=1.4,
        )
    end = paths[0].exact.isel(time=-1)
    left.plot(end.entropy, end.energy, "k*", markersize=11, label="trained", zorder=3)
    left.set_yscale("log")
    left.set_xlabel("entropy $S$  [nat]")
    left.set_ylabel("energy $U$  [energy]")
    left.legend(frameon=False, fontsize=9)
    caption(left, title, "points: simulated, bars: 2 standard errors; lines: exact")
    right.axhline(bath_temperature, color="0.3", linewidth=1, linestyle="--")
    right.set_yscale("symlog", linthresh=bath_temperature)
    right.set_xlabel("entropy $S$  [nat]")
    right.set_ylabel(r"$[U_0 - U]/[S_0 - S]$  [energy]")
    caption(right, "", "temperature of the transition so far; dashed: the bath")
    return figure


def _heat_capacities(capacities: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> "Figure":
    """Heat capacity and excess energy for each parameter, against the bath's temperature."""
    figure, (left, right) = new_figure(11.0, 4.0, columns=2)
    for i, (name, entries) in enumerate(capacities.items()):
        baths = [entry["bath_temperature"] for entry in entries]
        for ax, quantity in ((left, "heat_capacity"), (right, "excess_energy")):
            values = [entry[quantity] for entry in entries]
            errors = [entry[f"{quantity}_error"] for entry in entries]
            style = {"fmt": f"{MARKERS[i]}-", "linewidth": 1.4, "capsize": 0}
            estimate = Estimate(np.asarray(values), np.asarray(errors))
            error_bars(ax, baths, estimate, i, label=name, **style)
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_ylim(bottom=0)
        ax.set_xlabel(r"temperature of the bath $\tau$  [energy]")
    left.set_ylabel(r"heat capacity for each parameter $C/d$")
    right.set_ylabel(r"$(U - E_{\min})/(d\,\tau)$")
    caption(left, title, "trained states, bars: 2 standard errors; ½ is equipartition")
    legend_beside(right)
    return figure
