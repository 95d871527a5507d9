"""The study `data_refresh`: new data for a trained model, and which number tells a change first."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..config import DataRefresh
from ..networks import Data, Harmonic, Laplace, Trained, Transition, TypeII, transition
from ..numerics.statistics import text_with_error
from ..plots import refresh_distributions, refresh_indicators
from ..sweeps import Grid
from ._base import pair, per_trajectory
from ._experiments import single
from ._real_data_temperature import learning, prepared
from ._table import table_text
from ._temperatures import NUMBERS, TemperatureStudy, case_of, measured, ratio

INDICATORS = ("entropy_production", "work", "loss_increase", "temperature")


class DataRefreshStudy(TemperatureStudy):
    """One axis, how strong the change is."""

    config: DataRefresh

    @property
    def grid(self):
        return Grid(strength=self.config.strength)

    @functools.cached_property
    def data(self) -> Data:
        """All examples that old and new data are drawn from."""
        with jax.ensure_compile_time_eval(), jax.enable_x64(self.config.precision == "float64"):
            return prepared(self.config.data)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config}  # other processes load the data themselves

    def _weights(self, strength: Any) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        """How often each example is drawn for the old and for the new data."""
        data = self.data
        if self.config.refresh == "covariate_shift":
            tilted = data.features[:, data.feature_names.index(str(self.config.feature))]
            weights = jnp.exp(strength * (tilted - jnp.max(tilted)))
            return jnp.ones_like(weights), weights
        known = jnp.asarray(data.targets < data.n_classes - 1, data.features.dtype)
        fresh = 1 - known
        mixed = (1 - strength) * known / jnp.sum(known) + strength * fresh / jnp.sum(fresh)
        return known, mixed

    def _trained(self, data: Data) -> Trained:
        chosen = self.config.data
        system = learning(data, chosen, self.config.bath_temperature)
        return Trained(system, Laplace() if chosen.classifies else Harmonic())

    def drawn(self, key: Key[Array, ""], strength: Any) -> tuple[Data, Data]:
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
                (first, second), self._weights(strength), halves, strict=True
            )
        )
        return old, new

    def refreshed(self, key: Key[Array, ""], strength: Any) -> tuple[Transition, Array]:
        """One refresh, and how much more is lost on the new data at the old minimum."""
        before, after = (self._trained(data) for data in self.drawn(key, strength))
        found = transition(TypeII(before, key=jax.random.key(0)), after)
        normal = before.distribution.normal
        assert normal is not None
        best = normal.mean.reshape(before.system.like.shape)
        loss = after.system.data_energy(best) - before.system.data_energy(best)
        return found, loss

    def point(self, ensemble, **parameters):
        numbers = ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"])
        key, strength = ensemble["key"], parameters["strength"]
        moved, loss = jax.lax.map(
            lambda i: self.refreshed(jax.random.fold_in(key, i), strength), numbers
        )
        return measured({name: getattr(moved, name) for name in NUMBERS}) | {
            "work": per_trajectory(moved.work, "energy", "work of the refresh"),
            "loss_increase": per_trajectory(
                loss, "energy", "loss on the new data above that on the old"
            ),
            "withheld": per_trajectory(
                jnp.isnan(moved.temperature).astype(moved.heat.dtype),
                "",
                "whether the temperature of the single refresh is noise",
            ),
        }

    def _indicators(self, entry: Any) -> dict[str, Any]:
        """Each indicator of single refreshes."""
        found = {name: single(entry, name) for name in INDICATORS if name != "temperature"}
        heat, drop = single(entry, "heat"), single(entry, "entropy_drop")
        return found | {"temperature": heat / drop}

    def summary(self, results):
        entries = [(p["strength"], entry) for _, p, entry in self.points(results)]
        unchanged = next(self._indicators(entry) for strength, entry in entries if strength == 0)
        points = []
        for strength, entry in entries:
            heats, drops = single(entry, "heat"), single(entry, "entropy_drop")
            temperature = ratio(heats.mean(), drops.mean(), heats, drops, 1 / np.sqrt(heats.size))
            changed = self._indicators(entry)
            points.append(
                {"strength": strength}
                | {name: pair(entry, name) for name in (*NUMBERS, "work", "loss_increase")}
                | {
                    "temperature": temperature,
                    "case": case_of(float(heats.mean()), temperature),
                    "withheld": float(entry.withheld),
                    "told_apart": {
                        name: told_apart(unchanged[name], changed[name]) for name in INDICATORS
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
            hot, told = entry["temperature"], entry["told_apart"]
            names = ("heat", "entropy_drop", "entropy_production", "work", "loss_increase")
            heat, drop, made, work, loss = (text_with_error(**entry[name]) for name in names)
            rows.append(
                [
                    f"{entry['strength']:g}",
                    heat,
                    drop,
                    "unresolved" if hot["mean"] is None else text_with_error(**hot),
                    made,
                    work,
                    loss,
                    f"{entry['withheld']:.0%}",
                    *("-" if told is None else f"{told[n]['mean']:.3f}" for n in INDICATORS),
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
        single_ones = [
            (parameters["strength"], self._indicators(entry))
            for _, parameters, entry in self.points(results)
        ]
        return {
            "indicators": refresh_indicators(points, bath, title),
            "distributions": refresh_distributions(single_ones, title),
        }


def told_apart(unchanged: Any, changed: Any) -> dict[str, float]:
    """Area under the ROC curve, either way round, with its standard error.

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
