"""Temperature of training against the number of classes and the length of training."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from ...config import check_different
from ...networks import (
    CrossEntropy,
    Importance,
    LinearLearning,
    Normal,
    Trained,
    TypeI,
    transition,
)
from ...numerics.checks import count_steps, divide_steps
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import COLOURS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from .._data import case_of, classes_of_teachers, ratio_of_means, unavoidable_fraction
from .._experiment import Experiment, ExperimentStudy, energy_and_entropy, run_and_keep
from .._table import column, error_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_PARTS = ("heat", "entropy_drop")


class TrainingComplexity(Experiment):
    """Softmax regressions with more and more classes."""

    n_trajectories: int = Field(default=1000, ge=10)
    n_classes: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)
    data_sets: int = Field(default=8, ge=2)
    n_features: int = Field(default=4, ge=1)
    n_examples: int = Field(default=200, ge=2)
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.3, gt=0, allow_inf_nan=False)
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    t1: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=15, ge=2)
    n_samples: int = Field(default=8192, ge=1000)  # of importance sampling

    @model_validator(mode="after")
    def _check_parts(self):
        divide_steps("saves", count_steps(0.0, self.t1, self.dt, self.precision), self.saves)
        check_different("n_classes", self.n_classes)
        if self.n_trajectories <= self.most_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.most_parameters} parameters of "
                f"{max(self.n_classes)} classes: entropies come from covariances"
            )
        return self

    @property
    def most_parameters(self) -> int:
        """Parameters of the model with most classes."""
        return max(map(self.n_parameters, self.n_classes))

    def n_parameters(self, n_classes: int) -> int:
        """Parameters of a model; two classes need one output."""
        return self.n_features * (n_classes if n_classes > 2 else 1)


class TrainingComplexityStudy(ExperimentStudy):
    """Numbers of classes along one axis, data sets along the other."""

    config: TrainingComplexity

    @property
    def grid(self):
        # Data sets are numbered by floats: those of one shape share a compiled program.
        return Grid(
            n_classes=self.config.n_classes,
            data_set=[float(i) for i in range(self.config.data_sets)],
        )

    @property
    def _times(self) -> list[float]:
        """Times after the start at which the parameters are kept."""
        return np.linspace(0, self.config.t1, self.config.saves + 1)[1:].tolist()

    def system(self, n_classes: int, data_set: Any) -> LinearLearning:
        """A softmax regression on normal features and the noisy answers of linear teachers."""
        config = self.config
        key = jax.random.fold_in(jax.random.key(config.seed), jnp.asarray(data_set, jnp.uint32))
        return LinearLearning(
            CrossEntropy(),
            classes_of_teachers(config, n_classes, key),
            prior_stiffness=config.prior_stiffness,
            temperature=config.bath_temperature,
        )

    def point(self, ensemble, *, n_classes, data_set):
        config = self.config
        system = self.system(n_classes, data_set)
        shape = system.like.shape
        start = lambda key: config.initial_std * jax.random.normal(key, shape)  # noqa: E731
        return run_and_keep(self, system, start, ensemble, config.most_parameters)

    @functools.cached_property
    def trained(self) -> dict[int, list[dict[str, Estimate]]]:
        """By number of classes: heat and entropy drop of complete training, for each data set."""
        route = Importance(self.config.n_samples, key=jax.random.key(self.config.seed))
        start = TypeI(Normal(self.config.initial_std))
        trained: dict[int, list[dict[str, Estimate]]] = {}
        with jax.enable_x64(self.config.precision == "float64"):
            for n_classes in self.config.n_classes:
                trained[n_classes] = []
                for data_set in range(self.config.data_sets):
                    moved = transition(start, Trained(self.system(n_classes, data_set), route))
                    trained[n_classes].append(
                        {
                            "heat": Estimate(float(moved.heat), float(moved.heat_error)),
                            "entropy_drop": Estimate(
                                float(moved.entropy_drop), float(moved.entropy_drop_error)
                            ),
                        }
                    )
        return trained

    def paths(self, results: "xarray.Dataset") -> list[dict[str, Any]]:
        """For each number of classes: heat and entropy drop `(data set, save)`, T over time."""
        config, paths = self.config, []
        for n_classes in config.n_classes:
            size = config.n_parameters(n_classes)
            runs = [
                energy_and_entropy(entry, size)
                for _, parameters, entry in self.points(results)
                if parameters["n_classes"] == n_classes
            ]
            energy = np.asarray([run["energy"].mean for run in runs])
            entropy = np.asarray([run["entropy"].mean for run in runs])
            heats, drops = energy[:, :1] - energy, entropy[:, :1] - entropy
            paths.append(
                {
                    "n_classes": n_classes,
                    "n_parameters": size,
                    "runs": runs,
                    "times": np.asarray(self._times),
                    "heat": heats[:, 1:],
                    "entropy_drop": drops[:, 1:],
                    "temperature": [
                        ratio_of_means(*both) for both in zip(heats.T[1:], drops.T[1:], strict=True)
                    ],
                }
            )
        return paths

    def _complete(self, n_classes: int) -> dict[str, np.ndarray]:
        """Heat and entropy drop of complete training, for each data set."""
        return {x: np.asarray([data[x].mean for data in self.trained[n_classes]]) for x in _PARTS}

    def summary(self, results):
        bath, points = self.config.bath_temperature, []
        for path in self.paths(results):
            values = self._complete(path["n_classes"])
            parts: dict[str, Any] = {
                x: Estimate.of(values[x]).as_dict() | {"simulated": _simulated(path, x)}
                for x in _PARTS
            }
            temperature = ratio_of_means(*values.values())
            points.append(
                {"n_classes": path["n_classes"], "n_parameters": path["n_parameters"]}
                | parts
                | {
                    "temperature": temperature,
                    "temperature_so_far": path["temperature"],
                    "unavoidable_fraction": unavoidable_fraction(temperature, bath),
                    "case": case_of(parts["heat"]["mean"], temperature),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "data_sets": self.config.data_sets,
            "bath_temperature": bath,
            "times": self._times,
            "points": points,
        }

    def table(self, summary):
        head = ["classes", "d", "heat", "simulated", "entropy drop", "simulated"]
        rows = [[*head, "T", "simulated", "τ/T", "case"]]
        for entry in summary["points"]:
            hot, share = entry["temperature"], entry["unavoidable_fraction"]
            simulated = entry["temperature_so_far"][-1]
            rows.append(
                [
                    str(entry["n_classes"]),
                    str(entry["n_parameters"]),
                    error_text(entry["heat"]),
                    error_text(entry["heat"]["simulated"]),
                    error_text(entry["entropy_drop"]),
                    error_text(entry["entropy_drop"]["simulated"]),
                    "unresolved" if hot["mean"] is None else error_text(hot),
                    "unresolved" if simulated["mean"] is None else error_text(simulated),
                    "-" if share["mean"] is None else error_text(share),
                    entry["case"],
                ]
            )
        note = (
            f"Mean of {summary['data_sets']} data sets ± standard error; simulated: on the same "
            f"data, {summary['n_trajectories']} trajectories each until "
            f"t = {summary['times'][-1]:g}, ± error of sampling (for T over data), entropy by the "
            "normal law of their covariance, the largest; k_B = 1."
        )
        return f"{table_text(rows)}\n{note}"

    def figures(self, results):
        bath, title = self.config.bath_temperature, self.config.title
        ends = {c: ratio_of_means(*self._complete(c).values()) for c in self.config.n_classes}
        return {"temperature": _figure(self.paths(results), ends, bath, title)}


def _simulated(path: Mapping[str, Any], name: str) -> dict[str, float]:
    """The mean at the end of the runs, and its error from sampling, on these data sets."""
    quantity = {"heat": "energy", "entropy_drop": "entropy"}[name]
    errors = [np.hypot(*run[quantity].standard_error[[0, -1]]) for run in path["runs"]]
    return {
        "mean": float(path[name][:, -1].mean()),
        "standard_error": float(np.linalg.norm(errors) / len(errors)),
    }


def _figure(
    paths: Sequence[Mapping[str, Any]],
    ends: Mapping[int, Mapping[str, Any]],
    bath_temperature: float,
    title: str,
) -> "Figure":
    """T against the length of training, and heat against entropy drop, by number of classes."""
    figure, (left, right) = new_figure(11.6, 4.4, columns=2)
    style = {"markersize": 4, "capsize": 2, "linestyle": "-", "lw": 0.8}
    for i, path in enumerate(paths):
        error_bars(left, path["times"], column(path["temperature"]), i, **style)
        end = ends[path["n_classes"]]
        if end["mean"] is not None:
            color = COLOURS[i % len(COLOURS)]
            left.axhline(end["mean"], color=color, linestyle=":", linewidth=1.2)
        size = path["n_parameters"]
        drop, heat = (
            Estimate(*(x / size for x in Estimate.of(path[name])))
            for name in ("entropy_drop", "heat")
        )
        error_bars(right, drop, heat, i, label=f"{path['n_classes']} classes", **style)
    left.axhline(bath_temperature, color="0.3", linewidth=1)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("length of training $t$  [1/mobility/energy]")
    left.set_ylabel(r"$T=\Delta Q/\Delta S$ so far  [energy]")
    caption(left, title, r"bars: 2 standard errors; dotted: $t\to\infty$; grey: the bath")
    right.set_xlabel(r"entropy drop so far $\Delta S/d$  [nat for each parameter]")
    right.set_ylabel(r"heat so far $\Delta Q/d$  [energy for each parameter]")
    caption(right, "", "times as on the left; the slope from the origin is $T$")
    legend_beside(right)
    return figure
