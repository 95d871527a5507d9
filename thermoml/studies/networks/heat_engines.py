"""Networks that differ in their activation, as heat engines: temperatures, heats, accuracy."""

import functools
import itertools
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field, model_validator

from ...config import Positive, Strict, check_different, object_named
from ...langevin import Heun
from ...networks import (
    ACTIVATIONS,
    Activation,
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
from ...networks.learning import initial_state
from ...numerics.checks import count_steps, divide_steps
from ...numerics.choices import nearest
from ...numerics.labels import Labelled
from ...numerics.rank_correlation import rank_correlation
from ...numerics.tables import table_text
from ...sweeps import Grid
from .._data import RealData, classes_of_teachers, principal
from .._experiment import Experiment, ExperimentStudy, diverged, flat_parameters
from .._table import error_text, per_trajectory
from ._heat_engines import (
    Outcomes,
    efficiency_curves,
    engine_comparison,
    engine_points,
    local_temperature_maps,
    outcome,
    temperature_profiles,
)

if TYPE_CHECKING:
    import xarray

SYNTHETIC = "linear teachers"
OUTCOMES = ("accuracy", "energy", "heat", "unavoidable_fraction")


class Synthetic(Strict):
    """Classes that noisy linear teachers give to normal features."""

    n_features: int = Field(default=6, ge=1)
    n_classes: int = Field(default=4, ge=2)
    n_examples: int = Field(default=2000, ge=10)
    label_noise: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.02, gt=0, allow_inf_nan=False)


def _activation(name: str) -> Activation:
    """The activation of a config, in `ACTIVATIONS` or `module:name`; ValueError if unknown."""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if ":" not in name:
        raise ValueError(f"there is no activation {name!r}{nearest(name, ACTIVATIONS)}")
    thing = object_named(name)
    return thing if isinstance(thing, Activation) else Activation(thing)


class HeatEngines(Experiment):
    """Data sets, activations, and the networks and the training that are the same for all."""

    n_trajectories: int = Field(default=256, ge=10)
    precision: Literal["float32", "float64"] = "float32"
    dt: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    data: list[RealData] = Field(default_factory=list)
    synthetic: Synthetic | None = None
    activation: list[str] = Field(min_length=2)
    hidden: int = Field(default=5, ge=1)
    depth: int = Field(default=2, ge=1)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bias_share: float = Field(default=0.01, gt=0, lt=1)
    bath_temperature: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    splits: int = Field(default=3, ge=2)
    n_train: int = Field(default=300, ge=2)
    n_test: int = Field(default=500, ge=1)
    t1: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=12, ge=2)
    curve: Positive = Field(default_factory=lambda: [0.01, 0.1, 1.0, 10.0, 100.0])

    @model_validator(mode="after")
    def _check_parts(self):
        divide_steps("saves", count_steps(0.0, self.t1, self.dt, self.precision), self.saves)
        for name in self.activation:
            _activation(name)
        check_different("activations", [name.rpartition(":")[2] for name in self.activation])
        if not self.data and self.synthetic is None:
            raise ValueError("give data, or a synthetic task")
        check_different("data", [entry.label for entry in self.data])
        for entry in self.data:
            if not entry.classifies:
                raise ValueError(f"data: {entry.label} is a regression, but accuracy needs classes")
        counts = {entry.label: entry.n_examples for entry in self.data}
        if self.synthetic is not None:
            counts["synthetic"] = self.synthetic.n_examples
        for label, count in counts.items():
            if self.n_train + self.n_test > count:
                raise ValueError(
                    f"n_train + n_test must be at most the {count} examples of {label}, got "
                    f"{self.n_train} + {self.n_test}"
                )
        if self.n_trajectories <= self.most_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.most_parameters} parameters of the largest "
                f"network, whose entropy is estimated, got {self.n_trajectories}"
            )
        return self

    @property
    def activations(self) -> dict[str, Activation]:
        """The activations by label."""
        return {name.rpartition(":")[2]: _activation(name) for name in self.activation}

    def n_parameters(self, n_features: int, n_classes: int) -> int:
        """Weights and biases of all layers of a network."""
        widths = [n_features, *[self.hidden] * self.depth, n_classes]
        return sum((a + 1) * b for a, b in itertools.pairwise(widths))

    @property
    def most_parameters(self) -> int:
        """Those of the largest network."""
        sizes = [self.n_parameters(entry.n_inputs, entry.n_classes) for entry in self.data]
        if self.synthetic is not None:
            task = self.synthetic
            sizes.append(self.n_parameters(task.n_features, task.n_classes))
        return max(sizes)


class HeatEnginesStudy(ExperimentStudy):
    """Axes: the data, the activation, and the split of the examples; each split starts anew."""

    config: HeatEngines

    @property
    def grid(self):
        config = self.config
        return Grid(
            data={name: name for name in self.tasks},
            activation={name: name for name in config.activations},
            split=[float(i) for i in range(config.splits)],
        )

    @functools.cached_property
    def tasks(self) -> dict[str, float]:
        """The prior stiffness of each data set, by the name of the set."""
        tasks = {entry.label: entry.prior_stiffness for entry in self.config.data}
        if self.config.synthetic is not None:
            tasks[SYNTHETIC] = self.config.synthetic.prior_stiffness
        return tasks

    @functools.cached_property
    def pools(self) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
        """By data set: all features with mean 0 and covariance 1, labels, number of classes."""
        config = self.config
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            pools = {entry.label: (principal(entry), entry.n_classes) for entry in config.data}
            if config.synthetic is not None:
                task = config.synthetic
                key = jax.random.key(config.seed)
                data = classes_of_teachers(task, task.n_classes, key)
                pools[SYNTHETIC] = data, task.n_classes
            return {
                name: (np.asarray(data.whitened().features), np.asarray(data.targets), n_classes)
                for name, (data, n_classes) in pools.items()
            }

    @functools.cached_property
    def efficiencies(self) -> dict[str, tuple[float, float]]:
        """By activation: η and its coherent part at the temperature of the start."""
        efficiencies = {}
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            for name, (function, kinks) in self.config.activations.items():
                balance = engine_balance(function, self.config.temperature, kinks=kinks)
                efficiencies[name] = float(balance.efficiency), float(balance.coherent)
        return efficiencies

    def initialisation(self, data: str, activation: str) -> Mixed:
        """Weights whose variance undoes the efficiency: in wide networks all layers are as hot."""
        config = self.config
        hot, biases = config.temperature, config.bias_share * config.temperature
        parts: dict[str, Any] = {"*bias": Normal(biases**0.5)}
        widths = [self.pools[data][0].shape[1], *[config.hidden] * config.depth]
        for layer, width in enumerate(widths):
            intake = self.efficiencies[activation][0] * hot if layer else 1.0
            parts[f"layers_{layer}_weight"] = Normal(((hot - biases) / (width * intake)) ** 0.5)
        return Mixed(parts)

    def system(
        self, data: str, activation: str, split: float | Float[Array, ""]
    ) -> tuple[NetworkLearning, Float[Array, "example feature"], Int[Array, " example"]]:
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
            config.activations[activation].function,
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

    def point(self, ensemble, *, data, activation, split):
        config = self.config
        system, features, targets = self.system(data, activation, split)
        start = self.initialisation(data, activation)

        def accuracy(state, control, t):
            answers = jnp.argmax(system.outputs(state, features), axis=1)
            return jnp.mean((answers == targets).astype(features.dtype))

        def engines(state, control, t):
            report = measure_engines(system.network(state), system.features).engines.values()
            return {
                "engine_temperature": jnp.stack([engine.temperature[0] for engine in report]),
                "engine_efficiency": jnp.stack([engine.efficiency[0] for engine in report]),
            }

        run = self.run(
            system,
            lambda key: initial_state(system, start, key),
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
        variables = {
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
        local = run.observables["local"]
        for name, words in (("square", "squared slope"), ("trace", "trace of the curvature")):
            values = jnp.stack(list(getattr(local, name).values()), axis=2)
            variables[f"local_{name}"] = Labelled((*along, "layer"), values, "", words)
        for name, values in run.observables["engines"].items():
            words = name.replace("_", " ")
            variables[name] = Labelled((*along, "engine"), values, "", words)
        return variables | diverged(run)

    def by_engine(self, results: "xarray.Dataset") -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """The outcomes for each data set and activation, `(split, ...)`."""
        entries: dict[tuple[str, str], list[xarray.Dataset]] = {}
        for _, parameters, entry in self.points(results):
            entries.setdefault((parameters["data"], parameters["activation"]), []).append(entry)
        outcomes = {}
        with jax.enable_x64(True):
            for key, splits in entries.items():
                system, *_ = self.system(*key, 0.0)
                before = TypeI(self.initialisation(*key)).entropy_in(system)[0]
                bath, size = self.config.bath_temperature, system.n_parameters
                each = [outcome(entry, bath, size, before) for entry in splits]
                outcomes[key] = {name: np.asarray([x[name] for x in each]) for name in each[0]}
        return outcomes

    @functools.cached_property
    def kinds(self) -> dict[str, dict[str, Any]]:
        """The kind of engine that each activation is, over the temperatures of the curve."""
        kinds = {}
        with jax.enable_x64(True):
            at = jnp.asarray(self.config.curve)
            for name, (function, kinks) in self.config.activations.items():
                kind = classify_engine(function, temperatures=at, kinks=kinks)
                kinds[name] = {
                    "type": kind.type.name.lower(),
                    "pump": kind.pump,
                    "steepest": float(abs(kind.slope).max()),
                    "curve": np.asarray(kind.efficiency),
                }
        return kinds

    def _correlations(self, data: str, outcomes: Outcomes) -> list[dict[str, Any]]:
        """Rank correlations over the activations, of η and of κ² with the outcomes of training."""
        correlations = []
        for i, quantity in enumerate(("efficiency", "coherent_efficiency")):
            values = np.asarray([parts[i] for parts in self.efficiencies.values()])
            for name in OUTCOMES:
                samples = np.stack([outcomes[data, a][name] for a in self.efficiencies])
                rho = rank_correlation(values, samples, self.config.seed)
                correlations.append({"of": quantity, "with": name} | rho._asdict())
        return correlations

    def summary(self, results):
        outcomes = self.by_engine(results)
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "splits": self.config.splits,
            "temperature": self.config.temperature,
            "bath_temperature": self.config.bath_temperature,
            "points": engine_points(outcomes, self.kinds, self.efficiencies),
            "correlations": [
                {"data": data} | correlation
                for data in self.tasks
                for correlation in self._correlations(data, outcomes)
            ],
        }

    def table(self, summary):
        head = ["data", "activation", "engine", "η", "κ²", "accuracy", "heat", "τΔS/ΔQ"]
        rows = [[*head, "T before", "T after"]]
        for entry in summary["points"]:
            last = [
                {key: values[-1] for key, values in entry[name].items()}
                for name in ("temperature_before", "temperature_after")
            ]
            rows.append(
                [
                    entry["data"],
                    entry["activation"],
                    entry["type"].replace("_", "-") + (", pump" if entry["pump"] else ""),
                    f"{entry['efficiency']:.3f}",
                    f"{entry['coherent_efficiency']:.3f}",
                    error_text(entry["accuracy"]),
                    error_text(entry["heat"]),
                    error_text(entry["unavoidable_fraction"]),
                    *map(error_text, last),
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
        outcomes = self.by_engine(results)
        points, hot, title = (
            engine_points(outcomes, self.kinds, self.efficiencies),
            self.config.temperature,
            self.config.title,
        )
        times = np.linspace(0, self.config.t1, self.config.saves + 1)
        maps = {
            key: values["local_temperature"].mean(axis=0) / self.config.bath_temperature
            for key, values in outcomes.items()
        }
        return {
            "efficiency": efficiency_curves(self.kinds, self.config.curve, title),
            "comparison": engine_comparison(points, hot, title),
            "profiles": temperature_profiles(points, hot, title),
            "local_temperatures": local_temperature_maps(maps, times, title),
        }
