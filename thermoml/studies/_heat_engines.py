"""The study `heat_engines`: activations side by side, as engines and as parts of networks."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..config import ACTIVATIONS, HeatEngines
from ..langevin import Heun
from ..networks import (
    CrossEntropy,
    Mixed,
    NetworkLearning,
    Normal,
    Thermometer,
    TypeI,
    classify_engine,
    engine_balance,
    layers,
    measure_engines,
)
from ..networks.learning import initial_state
from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..plots import (
    efficiency_curves,
    engine_comparison,
    local_temperature_maps,
    temperature_profiles,
)
from ..sweeps import Grid
from ..thermodynamics import gaussian_entropy
from ._base import per_trajectory
from ._experiments import ExperimentStudy, diverged, single
from ._kept_states import flat_parameters
from ._learned_data import classes_of_teachers, principal
from ._rank_correlation import rank_correlation
from ._table import table_text

_SYNTHETIC = "linear teachers"
OUTCOMES = ("accuracy", "energy", "heat", "unavoidable_fraction")


class HeatEnginesStudy(ExperimentStudy):
    """Axes: the data, the activation, and the split of the examples; each split starts anew."""

    config: HeatEngines

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config}  # other processes load the data themselves

    @property
    def grid(self):
        config = self.config
        return Grid(
            data={name: name for name in self.tasks},
            activation={name: name for name in config.activation},
            split=[float(i) for i in range(config.splits)],
        )

    @functools.cached_property
    def tasks(self) -> dict[str, float]:
        """The data sets by name, and the prior stiffness of each."""
        found = {entry.label: entry.prior_stiffness for entry in self.config.data}
        if self.config.synthetic is not None:
            found[_SYNTHETIC] = self.config.synthetic.prior_stiffness
        return found

    @functools.cached_property
    def pools(self) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
        """By data set: all features with mean 0 and covariance 1, labels, how many classes."""
        config = self.config
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            pools = {entry.label: (principal(entry), entry.n_classes) for entry in config.data}
            if config.synthetic is not None:
                some = config.synthetic
                key = jax.random.key(config.seed)
                data = classes_of_teachers(some, some.n_classes, key)
                pools[_SYNTHETIC] = data, some.n_classes
            return {
                name: (np.asarray(data.whitened().features), np.asarray(data.targets), n_classes)
                for name, (data, n_classes) in pools.items()
            }

    @functools.cached_property
    def efficiencies(self) -> dict[str, tuple[float, float]]:
        """By activation: η and its coherent part at the temperature of the start."""
        found = {}
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            for name, (function, kinks) in self._chosen.items():
                balance = engine_balance(function, self.config.temperature, kinks=kinks)
                found[name] = float(balance.efficiency), float(balance.coherent)
        return found

    @property
    def _chosen(self) -> dict[str, Any]:
        return {name: ACTIVATIONS[name] for name in self.config.activation}

    def initialisation(self, data: str, activation: str) -> Mixed:
        """Weights whose variance undoes the efficiency: in wide networks all layers are as hot."""
        config = self.config
        hot, biases = config.temperature, config.bias_share * config.temperature
        parts: dict[str, Any] = {"*bias": Normal(biases**0.5)}
        widths = [self.pools[data][0].shape[1], *[config.hidden] * config.depth]
        for layer, width in enumerate(widths):
            taken = self.efficiencies[activation][0] * hot if layer else 1.0
            parts[f"layers_{layer}_weight"] = Normal(((hot - biases) / (width * taken)) ** 0.5)
        return Mixed(parts)

    def system(self, data: str, activation: str, split: Any) -> tuple[NetworkLearning, Any, Any]:
        """A network on its share of the examples; features and labels of the others."""
        config = self.config
        features, targets, n_classes = self.pools[data]
        key = jax.random.fold_in(jax.random.key(config.seed), jnp.asarray(split, jnp.uint32))
        rows = jax.random.permutation(key, len(features))
        features = jnp.asarray(features, jnp.result_type(float))[rows]
        targets = jnp.asarray(targets, jnp.int32)[rows]
        train, test = config.n_train, slice(config.n_train, config.n_train + config.n_test)
        network = eqx.nn.MLP(
            features.shape[1],
            n_classes,
            config.hidden,
            config.depth,
            ACTIVATIONS[activation][0],
            key=jax.random.key(0),
        )
        system = NetworkLearning(
            network,
            CrossEntropy(),
            (features[:train], targets[:train]),
            prior_stiffness=self.tasks[data],
            temperature=config.bath_temperature,
        )
        return system, features[test], targets[test]

    def point(self, ensemble, **parameters):
        config = self.config
        data, activation = parameters["data"], parameters["activation"]
        system, features, targets = self.system(**parameters)
        start = self.initialisation(data, activation)

        def accuracy(state, control, t):
            answers = jnp.argmax(system.outputs(state, features), axis=1)
            return jnp.mean((answers == targets).astype(features.dtype))

        def engines(state, control, t):
            found = measure_engines(system.network(state), system.features).engines.values()
            return {
                "engine_temperature": jnp.stack([engine.temperature[0] for engine in found]),
                "engine_efficiency": jnp.stack([engine.efficiency[0] for engine in found]),
            }

        run = self.run(
            system,
            lambda key: initial_state(start, system, key),
            ensemble,
            0,
            t1=config.t1,
            save_every=round(config.t1 / config.dt) // config.saves,
            integrator=Heun(),
            observables={
                "accuracy": accuracy,
                "engines": engines,
                "local": Thermometer(system, key=jax.random.key(0)),
            },
        )
        along = ("trajectory", "time")
        weights = flat_parameters(run.final_state, 1, config.most_parameters)
        heats = layers(system).sum(run.heat_by_leaf).values()
        local = run.observables["local"]
        found = {
            "energy": Labelled(along, run.energy, "energy", "energy"),
            "accuracy": Labelled(along, run.observables["accuracy"], "", "accuracy on new data"),
            "heat": per_trajectory(run.heat[:, -1], "energy", "heat released"),
            "layer_heat": Labelled(
                ("trajectory", "layer"),
                jnp.stack([heat[:, -1] for heat in heats], axis=1),
                "energy",
                "heat released by each layer",
            ),
            "weights": Labelled(("trajectory", "parameter"), weights, "", "weights"),
        }
        for name, words in (("square", "squared slope"), ("trace", "trace of the curvature")):
            values = jnp.stack(list(getattr(local, name).values()), axis=2)
            found[f"local_{name}"] = Labelled((*along, "layer"), values, "", words)
        for name, values in run.observables["engines"].items():
            words = name.replace("_", " ")
            found[name] = Labelled((*along, "engine"), values, "", words)
        return found | diverged(run)

    def _of_split(self, before: Any, n_parameters: int, entry: Any) -> dict[str, Any]:
        """The means over the trajectories of one split, which began with the entropy `before`."""
        weights = jnp.asarray(single(entry, "weights")[:, :n_parameters])
        after = gaussian_entropy(weights).entropy
        reversible = self.config.bath_temperature * float(before - after)
        hot = entry.engine_temperature.values
        return {
            "accuracy": entry.accuracy.values[-1],
            "accuracy_before": entry.accuracy.values[0],
            "energy": entry.energy.values[-1],
            "heat": float(entry.heat),
            "reversible_heat": reversible,
            "unavoidable_fraction": reversible / float(entry.heat),
            "heat_by_layer": entry.layer_heat.values,
            "temperature_before": hot[0],
            "temperature_after": hot[-1],
            "efficiency_before": entry.engine_efficiency.values[0],
            "efficiency_after": entry.engine_efficiency.values[-1],
            "local_temperature": entry.local_square.values / entry.local_trace.values,
        }

    def by_engine(self, results: Any) -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """For data and activation what was found, with a first axis of splits."""
        entries: dict[tuple[str, str], list[Any]] = {}
        for _, parameters, entry in self.points(results):
            entries.setdefault((parameters["data"], parameters["activation"]), []).append(entry)
        found = {}
        with jax.enable_x64(True):
            for key, own in entries.items():
                system, *_ = self.system(*key, 0.0)
                before = TypeI(self.initialisation(*key)).entropy_in(system)[0]
                several = [self._of_split(before, system.n_parameters, entry) for entry in own]
                found[key] = {name: np.asarray([x[name] for x in several]) for name in several[0]}
        return found

    @functools.cached_property
    def kinds(self) -> dict[str, dict[str, Any]]:
        """What kind of engine each activation is, over the temperatures of the curve."""
        found = {}
        with jax.enable_x64(True):
            at = jnp.asarray(self.config.curve)
            for name, (function, kinks) in self._chosen.items():
                kind = classify_engine(function, temperatures=at, kinks=kinks)
                found[name] = {
                    "type": kind.type.name.lower(),
                    "pump": kind.pump,
                    "steepest": float(abs(kind.slope).max()),
                    "curve": np.asarray(kind.efficiency),
                }
        return found

    def correlations(self, measured: Any) -> list[dict[str, Any]]:
        """Rank correlations over the activations, of η and of κ² with what training gave."""
        found = []
        for data in self.tasks:
            for i, known in enumerate(("efficiency", "coherent_efficiency")):
                values = np.asarray([self.efficiencies[a][i] for a in self.config.activation])
                for outcome in OUTCOMES:
                    rows = [measured[data, a][outcome] for a in self.config.activation]
                    found.append(
                        {"data": data, "of": known, "with": outcome}
                        | rank_correlation(values, np.stack(rows), self.config.seed)
                    )
        return found

    def _points(self, measured: Any) -> list[dict[str, Any]]:
        """For data and activation: what is known of the engine, and means over splits."""
        points = []
        for (data, activation), values in measured.items():
            kind = self.kinds[activation]
            eta, coherent = self.efficiencies[activation]
            points.append(
                {
                    "data": data,
                    "activation": activation,
                    "type": kind["type"],
                    "pump": kind["pump"],
                    "steepest": kind["steepest"],
                    "efficiency": eta,
                    "coherent_efficiency": coherent,
                }
                | {name: _over_splits(x) for name, x in values.items() if x.ndim < 3}
            )
        return points

    def summary(self, results):
        measured = self.by_engine(results)
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "splits": self.config.splits,
            "temperature": self.config.temperature,
            "bath_temperature": self.config.bath_temperature,
            "points": self._points(measured),
            "correlations": self.correlations(measured),
        }

    def table(self, summary):
        head = ["data", "activation", "engine", "η", "κ²", "accuracy", "heat", "τΔS/ΔQ"]
        rows = [[*head, "T before", "T after"]]
        for entry in summary["points"]:
            last = {
                name: {key: values[-1] for key, values in entry[name].items()}
                for name in ("temperature_before", "temperature_after")
            }
            rows.append(
                [
                    entry["data"],
                    entry["activation"],
                    entry["type"].replace("_", "-") + (", pump" if entry["pump"] else ""),
                    f"{entry['efficiency']:.3f}",
                    f"{entry['coherent_efficiency']:.3f}",
                    text_with_error(**entry["accuracy"]),
                    text_with_error(**entry["heat"]),
                    text_with_error(**entry["unavoidable_fraction"]),
                    *(text_with_error(**value) for value in last.values()),
                ]
            )
        note = (
            f"Mean of {summary['splits']} splits ± standard error, {summary['n_trajectories']} "
            f"networks each; η and κ² at T = {summary['temperature']:g}; T of the last "
            "pre-activations; ΔS by the normal law of the final covariance, at least. "
            "Rank correlations over activations, with 95 % intervals, and p of each by itself:"
        )
        lines = [
            f"  {c['data']}: {c['of'].replace('_', ' ')} and {c['with'].replace('_', ' ')} "
            f"{c['rank_correlation']:+.2f} [{c['interval'][0]:+.2f}, {c['interval'][1]:+.2f}], "
            f"p = {c['p_value']:.2g}"
            for c in summary["correlations"]
        ]
        return "\n".join([table_text(rows), note, *lines])

    def figures(self, results):
        measured = self.by_engine(results)
        points, hot, title = self._points(measured), self.config.temperature, self.config.title
        times = np.linspace(0, self.config.t1, self.config.saves + 1)
        maps = {
            key: values["local_temperature"].mean(axis=0) / self.config.bath_temperature
            for key, values in measured.items()
        }
        return {
            "efficiency": efficiency_curves(self.kinds, self.config.curve, title),
            "comparison": engine_comparison(points, hot, title),
            "profiles": temperature_profiles(points, hot, title),
            "local_temperatures": local_temperature_maps(maps, times, title),
        }


def _over_splits(values: np.ndarray) -> dict[str, Any]:
    """Mean and standard error over splits, numbers or lists by layer."""
    return {
        "mean": values.mean(axis=0).tolist(),
        "standard_error": (values.std(axis=0, ddof=1) / len(values) ** 0.5).tolist(),
    }
