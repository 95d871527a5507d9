"""Temperature of training on real data sets at several bath temperatures, with bootstrap errors."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from pydantic import Field, model_validator

from ...config import Kept, Positive, check_different
from ...networks import (
    Data,
    Harmonic,
    Importance,
    Normal,
    Trained,
    TrainingWarning,
    TypeI,
    transition,
)
from ...networks.states import ENOUGH
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import caption, error_bars, legend_beside, new_figure, plain_text
from ...sweeps import Grid
from .._data import (
    NUMBERS,
    UNTRAINED,
    RealData,
    case_of,
    fit_limits,
    learning,
    prepared,
    ratio,
    transition_numbers,
    unavoidable_fraction,
)
from .._experiment import single
from .._study import AbstractStudy
from .._table import column, error_text, once, per_trajectory

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class RealDataTemperature(Kept):
    """Data sets and bath temperatures.

    The trajectories are resamples of the examples (bootstrap), for the standard errors.
    """

    n_trajectories: int = Field(default=16, ge=4)
    data: list[RealData] = Field(min_length=1)
    bath_temperature: Positive
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    n_samples: int = Field(default=8192, ge=1000)  # of importance sampling

    @model_validator(mode="after")
    def _check_data(self):
        check_different("data", [entry.label for entry in self.data])
        return self


class RealDataTemperatureStudy(AbstractStudy):
    """Data sets along one axis, bath temperatures along the other.

    The numbers reported are those of the data as they are; the resamples give the standard errors.
    """

    config: RealDataTemperature
    replicates = "resample"

    @property
    def grid(self):
        return Grid(
            data={entry.label: entry.label for entry in self.config.data},
            bath_temperature=self.config.bath_temperature,
        )

    @functools.cached_property
    def _settings(self) -> dict[str, RealData]:
        return {entry.label: entry for entry in self.config.data}

    @functools.cached_property
    def _data(self) -> dict[str, Data]:
        wide = self.config.precision == "float64"
        with jax.enable_x64(wide), jax.ensure_compile_time_eval():
            return {label: prepared(entry) for label, entry in self._settings.items()}

    def _trained(
        self, data: Data, settings: RealData, bath: Any, key: Key[Array, ""]
    ) -> tuple[dict[str, Any], Array]:
        """The numbers of a transition, and the effective number of its samples."""
        system = learning(data, settings, bath)
        route = Importance(self.config.n_samples, key=key) if settings.classifies else Harmonic()
        after = Trained(system, route)
        weighted = after.distribution.weighted
        samples = jnp.inf if weighted is None else 1 / jnp.sum(weighted.weights**2)
        moved = transition(TypeI(Normal(self.config.initial_std)), after)
        values = {name: getattr(moved, name) for name in NUMBERS}
        return values, jnp.asarray(samples, moved.heat.dtype)

    def point(self, ensemble, *, data, bath_temperature):
        examples, settings = self._data[data], self._settings[data]
        rows, first = ensemble["n_trajectories"], ensemble["first_trajectory"]
        last = self.config.n_trajectories

        def trained(number):
            key = jax.random.fold_in(ensemble["key"], number)
            draw, sample = jax.random.split(key)
            picked = jax.random.randint(draw, (examples.n_examples,), 0, examples.n_examples)
            # The number after all resamples stands for the data as they are.
            picked = jnp.where(number == last, jnp.arange(examples.n_examples), picked)
            return self._trained(examples.take(picked), settings, bath_temperature, sample)

        every = jax.lax.map(trained, jnp.append(first + jnp.arange(rows), last))
        resampled, others = jax.tree.map(lambda x: x[:-1], every)
        values, samples = jax.tree.map(lambda x: x[-1], every)

        fewest = jnp.minimum(samples, others)
        return {
            **{
                name: entry._replace(long_name=f"{entry.long_name}, examples resampled")
                for name, entry in transition_numbers(resampled, self.replicates).items()
            },
            **{
                f"data_{name}": once(values[name], units, f"{words}, data as they are")
                for name, (units, words) in NUMBERS.items()
            },
            "effective_samples": per_trajectory(
                jnp.where(jnp.isfinite(fewest), fewest, 0),
                "",
                "effective samples of importance sampling; 0 where none are needed",
                self.replicates,
            ),
        }

    def _fewest_samples(self, entry: "xarray.Dataset") -> float | None:
        """The fewest effective samples, None for a data set that needs none."""
        if not self._settings[str(entry.data.values)].classifies:
            return None
        return float(single(entry, "effective_samples", self.replicates).min())

    def check(self, results):
        self.refuse_lost(results, UNTRAINED)
        for label, _, entry in self.points(results):
            fewest = self._fewest_samples(entry)
            if fewest is not None and fewest < ENOUGH:
                warnings.warn(
                    f"at {label}: importance sampling rests on {fewest:.0f} effective samples "
                    f"only; raise n_samples = {self.config.n_samples}, or keep fewer components",
                    TrainingWarning,
                    stacklevel=2,
                )

    def summary(self, results):
        points = [
            parameters | self._summary_of(entry, **parameters)
            for _, parameters, entry in self.points(results)
        ]
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def _summary_of(
        self, entry: "xarray.Dataset", *, data: str, bath_temperature: float
    ) -> dict[str, Any]:
        """Sizes, heat, entropies and temperature of a data set at a bath temperature."""
        settings = self._settings[data]
        resamples = {name: single(entry, name, self.replicates) for name in NUMBERS}
        values = {
            name: {
                "mean": float(entry[f"data_{name}"]),
                "standard_error": float(resamples[name].std(ddof=1)),
            }
            for name in NUMBERS
        }
        drop = values["entropy_drop"]
        temperature = ratio(
            values["heat"]["mean"], drop["mean"], resamples["heat"], resamples["entropy_drop"], 1.0
        )
        outputs = settings.n_classes if settings.n_classes > 2 else 1
        return {
            "n_parameters": settings.n_columns * outputs,
            "n_examples": settings.n_examples,
            **values,
            "reversible_heat": {key: bath_temperature * value for key, value in drop.items()},
            "temperature": temperature,
            "unavoidable_fraction": unavoidable_fraction(temperature, bath_temperature),
            "case": case_of(values["heat"]["mean"], temperature),
            "effective_samples": self._fewest_samples(entry),
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
                    error_text(entry["heat"]),
                    error_text(entry["entropy_drop"]),
                    "unresolved" if hot["mean"] is None else error_text(hot),
                    error_text(entry["entropy_production"]),
                    "-" if share["mean"] is None else error_text(share),
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
            label: [entry for entry in points if entry["data"] == label] for label in self._settings
        }
        return {
            "temperature": _temperature_figure(sets, title),
            "heat": _heat_figure(sets, title),
        }


_Sets = Mapping[str, Sequence[Mapping[str, Any]]]


def _baths(sets: _Sets) -> list[float]:
    return [entry["bath_temperature"] for entries in sets.values() for entry in entries]


def _draw(
    ax: "Axes", entries: Sequence[Mapping[str, Any]], values: Estimate, index: int, label: str
) -> None:
    """Numbers of a data set against the bath temperature, joined by a line."""
    x = [entry["bath_temperature"] for entry in entries]
    error_bars(ax, x, values, index, linestyle="-", linewidth=1, label=plain_text(label))


def _temperature_figure(sets: _Sets, title: str) -> "Figure":
    """T and the entropy produced by each parameter against the bath temperature."""
    figure, (left, right) = new_figure(11.8, 4.4, columns=2)
    baths = _baths(sets)
    ends = [min(baths), max(baths)]
    left.plot(ends, ends, color="0.3", linewidth=1)
    for index, (label, entries) in enumerate(sets.items()):
        hot = column([entry["temperature"] for entry in entries])
        positive = np.where(hot.mean > 0, hot.mean, np.nan)
        _draw(left, entries, Estimate(positive, hot.standard_error), index, label)
        size = np.asarray([entry["n_parameters"] for entry in entries])
        produced = column([entry["entropy_production"] for entry in entries])
        _draw(right, entries, Estimate(*(x / size for x in produced)), index, label)
    left.text(ends[1], ends[1], r"$T=\tau$ ", ha="right", va="bottom", fontsize=9)
    left.set_ylabel(r"temperature $T=\Delta Q/\Delta S$  [energy]")
    right.set_ylabel(r"entropy production $\Sigma/d$  [nat for each parameter]")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_yscale("log")
        fit_limits(ax, baths)
        ax.set_xlabel(r"bath temperature $\tau$  [energy]")
    caption(left, title, "bars: 2 standard errors; left: only where T is positive and resolved")
    legend_beside(right)
    return figure


def _heat_figure(sets: _Sets, title: str) -> "Figure":
    """Heat against that of a reversible transition, and the share of the latter."""
    figure, (left, right) = new_figure(11.8, 4.4, columns=2)
    ends = [0.0, 0.0]
    for index, (label, entries) in enumerate(sets.items()):
        reversible = column([entry["reversible_heat"] for entry in entries])
        error_bars(left, reversible, column([entry["heat"] for entry in entries]), index)
        ends = [min(ends[0], *reversible.mean), max(ends[1], *reversible.mean)]
        shares = column([entry["unavoidable_fraction"] for entry in entries])
        _draw(right, entries, shares, index, label)
    left.plot(ends, ends, color="0.3", linewidth=1)
    left.set_xscale("symlog", linthresh=0.1)
    left.set_yscale("symlog", linthresh=0.1)
    left.set_xlabel(r"reversible heat $\tau\Delta S$  [energy]")
    left.set_ylabel(r"heat released $\Delta Q$  [energy]")
    right.set_xscale("log")
    fit_limits(right, _baths(sets))
    right.set_ylim(bottom=0)
    right.set_xlabel(r"bath temperature $\tau$  [energy]")
    right.set_ylabel(r"unavoidable share of the heat $\tau/T$")
    caption(
        left, title, r"bars: 2 standard errors; line: reversible; above it $\tau\Sigma$ is lost"
    )
    caption(right, "", "only where heat is released and entropy falls")
    legend_beside(right)
    return figure
