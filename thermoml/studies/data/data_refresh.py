"""New data for a trained model, many times: which number detects a change of the data first."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import Field, model_validator

from ...config import Kept, Numbers
from ...networks import Data, Harmonic, Laplace, Trained, Transition, TypeII, transition
from ...numerics.tables import table_text
from ...numerics.types import Scalar
from ...plots import MARKERS, caption, error_bars, histogram, line_style, new_figure
from ...sweeps import Grid
from .._data import (
    NUMBERS,
    UNTRAINED,
    RealData,
    case_of,
    learning,
    prepared,
    ratio_of_means,
    transition_numbers,
)
from .._experiment import single
from .._study import AbstractStudy
from .._table import column, error_text, measured, per_trajectory

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INDICATORS = ("entropy_production", "work", "loss_increase", "temperature")
_WORDS = {
    "entropy_production": r"entropy production $\Sigma$",
    "work": "work",
    "loss_increase": "loss",
    "temperature": r"temperature $T$",
}


class DataRefresh(Kept):
    """Data, a kind of change, and its strengths.

    The trajectories are refreshes, each with its own old and new examples from separate halves of
    the data.
    """

    n_trajectories: int = Field(default=200, ge=10)
    refresh: Literal["covariate_shift", "new_class"]
    data: RealData
    feature: str | None = None
    strength: Numbers
    n_examples: int = Field(default=150, ge=2)
    bath_temperature: float = Field(default=0.01, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_strength(self):
        if 0 not in self.strength:
            raise ValueError(
                "strength must hold 0, the refresh without a change, with which the others are "
                "compared"
            )
        most = 1.0 if self.refresh == "new_class" else float("inf")
        for value in self.strength:
            if not 0 <= value <= most:
                raise ValueError(f"strength must lie in [0, {most:g}], got {value:g}")
        return self

    @model_validator(mode="after")
    def _check_data(self):
        if self.refresh == "new_class" and self.data.n_classes < 3:
            raise ValueError(
                "new_class needs data of at least 3 classes, the last of which is new, got "
                f"{self.data.n_classes}"
            )
        if self.refresh == "covariate_shift" and self.feature is None:
            raise ValueError("feature must name the feature along which covariate_shift is")
        if self.refresh != "covariate_shift" and self.feature is not None:
            raise ValueError("feature belongs to covariate_shift; leave it out")
        if self.data.components is not None and self.feature is not None:
            raise ValueError("feature has no name among components; leave components out")
        if self.feature is not None:
            facts = self.data.facts
            names = self.data.load().feature_names if facts is None else facts.features
            if self.feature not in names:
                raise ValueError(f"feature must be one of {', '.join(names)}, got {self.feature}")
        return self


class DataRefreshStudy(AbstractStudy):
    """One axis, the strength of the change."""

    config: DataRefresh
    replicates = "refresh"
    standard_errors = True

    @property
    def grid(self):
        return Grid(strength=self.config.strength)

    @functools.cached_property
    def data(self) -> Data:
        """All examples that old and new data are drawn from."""
        with jax.ensure_compile_time_eval(), jax.enable_x64(self.config.precision == "float64"):
            return prepared(self.config.data)

    def weights(
        self, strength: Scalar
    ) -> tuple[Float[Array, " example"], Float[Array, " example"]]:
        """The relative probabilities of each example in the old and in the new data."""
        data = self.data
        if self.config.refresh == "covariate_shift":
            tilted = data.features[:, data.feature_names.index(str(self.config.feature))]
            weights = jnp.exp(strength * (tilted - jnp.max(tilted)))
            return jnp.ones_like(weights), weights
        old = jnp.asarray(data.targets < data.n_classes - 1, data.features.dtype)
        fresh = 1 - old
        mixed = (1 - strength) * old / jnp.sum(old) + strength * fresh / jnp.sum(fresh)
        return old, jnp.asarray(mixed)

    def _trained(self, data: Data) -> Trained:
        settings = self.config.data
        system = learning(data, settings, self.config.bath_temperature)
        return Trained(system, Laplace() if settings.classifies else Harmonic())

    def drawn(self, key: Key[Array, ""], strength: Scalar) -> tuple[Data, Data]:
        """Old and new examples, from separate halves of the data."""
        data, count = self.data, self.config.n_examples
        split, first, second = jax.random.split(key, 3)
        place = jax.random.permutation(split, data.n_examples)
        halves = place < data.n_examples // 2, place >= data.n_examples // 2
        old, new = (
            data.take(
                jax.random.choice(k, data.n_examples, (count,), p=jnp.where(half, weights, 0))
            )
            for k, weights, half in zip(
                (first, second), self.weights(strength), halves, strict=True
            )
        )
        return old, new

    def refreshed(
        self, key: Key[Array, ""], strength: Scalar
    ) -> tuple[Transition, Float[Array, ""]]:
        """One refresh, and the loss on the new data less that on the old, at the old minimum."""
        before, after = (self._trained(data) for data in self.drawn(key, strength))
        normal = before.distribution.normal
        assert normal is not None
        best = normal.mean.reshape(before.system.like.shape)
        loss = after.system.data_energy(best) - before.system.data_energy(best)
        return transition(TypeII(before, key=jax.random.key(0)), after), loss

    def point(self, ensemble, *, strength):
        numbers = ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])
        moved, loss = jax.lax.map(
            lambda i: self.refreshed(jax.random.fold_in(ensemble["key"], i), strength), numbers
        )
        withheld = jnp.isnan(moved.temperature).astype(moved.heat.dtype)
        variables = {
            "work": (moved.work, "energy", "work of the refresh"),
            "loss_increase": (loss, "energy", "loss on the new data above that on the old"),
            "withheld": (withheld, "", "whether the temperature of the single refresh is noise"),
        }
        values = {name: getattr(moved, name) for name in NUMBERS}
        return transition_numbers(values, self.replicates) | {
            name: per_trajectory(x, units, words, self.replicates)
            for name, (x, units, words) in variables.items()
        }

    def check(self, results):
        self.refuse_lost(results, UNTRAINED)

    def summary(self, results):
        entries = {at["strength"]: entry for _, at, entry in self.points(results)}
        unchanged = _indicators(entries[0.0])
        points = []
        for strength, entry in entries.items():
            heats, drops = _single(entry, "heat"), _single(entry, "entropy_drop")
            temperature, changed = ratio_of_means(heats, drops), _indicators(entry)
            points.append(
                {"strength": strength}
                | {name: measured(entry, name) for name in (*NUMBERS, "work", "loss_increase")}
                | {
                    "temperature": temperature,
                    "case": case_of(float(heats.mean()), temperature),
                    "withheld": float(entry.withheld),
                    "told_apart": {
                        name: area_under_curve(unchanged[name], changed[name])
                        for name in INDICATORS
                    }
                    if strength
                    else None,
                }
            )
        return {
            "study": self.config.study,
            "refresh": self.config.refresh,
            "bath_temperature": self.config.bath_temperature,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["strength", "ΔQ", "ΔS", "T", "Σ = KL", "work", "loss", "T noise"]
            + [f"by {words}" for words in ("Σ", "work", "loss", "T")]
        ]
        for entry in summary["points"]:
            hot, areas = entry["temperature"], entry["told_apart"]
            rows.append(
                [
                    f"{entry['strength']:g}",
                    error_text(entry["heat"]),
                    error_text(entry["entropy_drop"]),
                    "unresolved" if hot["mean"] is None else error_text(hot),
                    error_text(entry["entropy_production"]),
                    error_text(entry["work"]),
                    error_text(entry["loss_increase"]),
                    f"{entry['withheld']:.0%}",
                    *("-" if areas is None else f"{areas[n]['mean']:.3f}" for n in INDICATORS),
                ]
            )
        note = (
            f"Mean of {summary['n_trajectories']} refreshes ± standard error; by …: probability to "
            "tell a refresh from one of strength 0 (area under the ROC curve); k_B = 1."
        )
        return f"{table_text(rows)}\n{note}"

    def figures(self, results):
        points, title = self.summary(results)["points"], self.config.title
        bath = self.config.bath_temperature
        singles = {
            parameters["strength"]: _indicators(entry)
            for _, parameters, entry in self.points(results)
        }
        return {
            "indicators": _indicators_figure(points, bath, title),
            "distributions": _distributions_figure(singles, title),
        }


def _single(entry: "xarray.Dataset", name: str) -> np.ndarray:
    return single(entry, name, DataRefreshStudy.replicates)


def _indicators(entry: "xarray.Dataset") -> dict[str, np.ndarray]:
    """Each indicator of single refreshes."""
    indicators = {name: _single(entry, name) for name in INDICATORS if name != "temperature"}
    heat, drop = _single(entry, "heat"), _single(entry, "entropy_drop")
    return indicators | {"temperature": heat / drop}


def area_under_curve(unchanged: np.ndarray, changed: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve of a number, either way round, with its standard error.

    Source: Hanley and McNeil 1982, Radiology 143, 29.
    """
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], [len(unchanged), len(changed)])
    area = float(roc_auc_score(labels, np.concatenate([unchanged, changed])))
    area = max(area, 1 - area)
    pairs = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    spread = area * (1 - area) + (len(changed) - 1) * pairs[0] + (len(unchanged) - 1) * pairs[1]
    error = np.sqrt(spread / (len(changed) * len(unchanged)))
    return {"mean": area, "standard_error": float(error)}


def _draw(
    ax: "Axes", x: Sequence[float], entries: Sequence[Mapping[str, Any]], index: int, label: str
) -> None:
    style = {"fmt": f"{MARKERS[index]}-", "linewidth": 1.4}
    error_bars(ax, x, column(entries), index, label=label, **style)


def _indicators_figure(points: Sequence[Mapping[str, Any]], bath: float, title: str) -> "Figure":
    """The cost of a refresh against its strength, and which number detects it first."""
    figure, (left, middle, right) = new_figure(12.6, 4.0, columns=3)
    strengths = [entry["strength"] for entry in points]
    heat = [{key: value / bath for key, value in entry["heat"].items()} for entry in points]
    drop = [entry["entropy_drop"] for entry in points]
    produced = [entry["entropy_production"] for entry in points]
    _draw(left, strengths, heat, 0, r"heat $\Delta Q/\tau$")
    _draw(left, strengths, drop, 1, r"entropy drop $\Delta S$")
    _draw(left, strengths, produced, 2, r"$\Sigma = \Delta Q/\tau - \Delta S$")
    left.set_ylabel("[nat]")
    middle.axhline(bath, color="0.3", linewidth=1, linestyle="--", label=r"bath $\tau$")
    hot = [entry["temperature"] for entry in points]
    _draw(middle, strengths, hot, 3, r"$\Delta Q/\Delta S$")
    middle.set_ylabel("temperature of the refresh $T$  [energy]")
    changed = [entry for entry in points if entry["told_apart"] is not None]
    for i, (name, words) in enumerate(_WORDS.items()):
        areas = [entry["told_apart"][name] for entry in changed]
        _draw(right, [entry["strength"] for entry in changed], areas, i, words)
    right.axhline(0.5, color="0.3", linewidth=1, linestyle=":")
    right.set_ylim(0.45, 1.02)
    right.set_ylabel("area under the ROC curve")
    for ax in (left, middle, right):
        ax.set_xlim(left.get_xlim())
        ax.set_xlabel("strength of the change")
        ax.legend(frameon=False, fontsize=9)
    caption(left, title, "bars: 2 standard errors")
    caption(middle, "", "no point where the entropy drop is lost in its error")
    caption(right, "", "against a refresh of strength 0; ½ is a guess")
    return figure


def _distributions_figure(
    refreshes: Mapping[float, Mapping[str, np.ndarray]], title: str
) -> "Figure":
    """Indicators of single refreshes for each strength."""
    names = ("entropy_production", "loss_increase", "temperature")
    units = ("nat", "energy", "energy")
    figure, axes = new_figure(12.6, 3.8, columns=3)
    for ax, name, unit in zip(axes, names, units, strict=True):
        values = np.concatenate([indicators[name] for indicators in refreshes.values()])
        low, high = np.percentile(values, [2, 98] if name == "temperature" else [0, 100])
        bins = np.linspace(low, high, 31)
        for i, (strength, indicators) in enumerate(refreshes.items()):
            histogram(ax, indicators[name], bins, label=f"{strength:g}", **line_style(i))
        ax.set_xlabel(f"{_WORDS[name]}  [{unit}]")
    axes[0].set_ylabel("probability density")
    axes[0].legend(title="strength", frameon=False, fontsize=9)
    caption(axes[0], title, "single refreshes")
    caption(axes[2], "", "the middle 96 %: the tails reach far")
    return figure
