"""The study `training_complexity`: what more classes, and longer training, do to temperature."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..config import TrainingComplexity
from ..networks import CrossEntropy, Importance, LinearLearning, Normal, Trained, TypeI, transition
from ..numerics.statistics import text_with_error
from ..plots import temperature_of_classes
from ..sweeps import Grid
from ._experiments import ExperimentStudy
from ._kept_states import energy_and_entropy, run_and_keep
from ._learned_data import classes_of_teachers
from ._table import table_text
from ._temperatures import case_of, ratio, unavoidable_fraction

_PARTS = ("heat", "entropy_drop")


class TrainingComplexityStudy(ExperimentStudy):
    """Numbers of classes along one axis, data sets along the other."""

    config: TrainingComplexity

    @property
    def grid(self):
        # The number of a data set is a float: those of one shape share a compiled program
        return Grid(
            n_classes=self.config.n_classes,
            data_set=[float(i) for i in range(self.config.data_sets)],
        )

    @property
    def times(self) -> list[float]:
        """When the parameters were kept, after the start."""
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

    def point(self, ensemble, **parameters):
        config = self.config
        system = self.system(parameters["n_classes"], parameters["data_set"])
        shape = system.like.shape
        start = lambda key: config.initial_std * jax.random.normal(key, shape)  # noqa: E731
        return run_and_keep(self, system, start, ensemble, config.most_parameters)

    @functools.cached_property
    def trained(self) -> dict[int, list[dict[str, tuple[float, float]]]]:
        """Heat and entropy drop of training to the end with their errors, for each data set."""
        route = Importance(self.config.n_samples, key=jax.random.key(self.config.seed))
        start = TypeI(Normal(self.config.initial_std))
        found: dict[int, list[dict[str, tuple[float, float]]]] = {}
        with jax.enable_x64(self.config.precision == "float64"):
            for n_classes in self.config.n_classes:
                found[n_classes] = []
                for data_set in range(self.config.data_sets):
                    after = Trained(self.system(n_classes, data_set), route)
                    moved = transition(start, after)
                    found[n_classes].append(
                        {x: (float(getattr(moved, x)), float(getattr(moved, f"{x}_error")))
                         for x in _PARTS}
                    )  # fmt: skip
        return found

    def paths(self, results: Any) -> list[dict[str, Any]]:
        """For each number of classes: heat and entropy drop `(data set, save)`, T over time."""
        config, found = self.config, []
        for n_classes in config.n_classes:
            size = config.n_parameters(n_classes)
            runs = [
                energy_and_entropy(entry, size)
                for _, parameters, entry in self.points(results)
                if parameters["n_classes"] == n_classes
            ]
            heats = np.asarray([run["energy"][0] - run["energy"] for run in runs])
            drops = np.asarray([run["entropy"][0] - run["entropy"] for run in runs])
            found.append(
                {
                    "n_classes": n_classes,
                    "n_parameters": size,
                    "runs": runs,
                    "times": np.asarray(self.times),
                    "heat": heats[:, 1:],
                    "entropy_drop": drops[:, 1:],
                    "temperature": [
                        _over_sets(*both) for both in zip(heats.T[1:], drops.T[1:], strict=True)
                    ],
                }
            )
        return found

    def _at_the_end(self, n_classes: int) -> dict[str, np.ndarray]:
        """Heat and entropy drop of training to the end, for each data set."""
        return {x: np.asarray([known[x][0] for known in self.trained[n_classes]]) for x in _PARTS}

    def summary(self, results):
        points = []
        for path in self.paths(results):
            values = self._at_the_end(path["n_classes"])
            parts: dict[str, Any] = {
                x: _mean(values[x]) | {"simulated": self._simulated(path, x)} for x in _PARTS
            }
            temperature = _over_sets(*values.values())
            points.append(
                {"n_classes": path["n_classes"], "n_parameters": path["n_parameters"]}
                | parts
                | {
                    "temperature": temperature,
                    "temperature_so_far": path["temperature"],
                    "unavoidable_fraction": unavoidable_fraction(
                        temperature, self.config.bath_temperature
                    ),
                    "case": case_of(parts["heat"]["mean"], temperature),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "data_sets": self.config.data_sets,
            "bath_temperature": self.config.bath_temperature,
            "times": self.times,
            "points": points,
        }

    @staticmethod
    def _simulated(path: dict[str, Any], name: str) -> dict[str, float]:
        """The mean at the end of the runs, and its error from sampling, on these data sets."""
        which = {"heat": "energy_error", "entropy_drop": "entropy_error"}[name]
        errors = [np.hypot(*run[which][[0, -1]]) for run in path["runs"]]
        return {
            "mean": float(path[name][:, -1].mean()),
            "standard_error": float(np.linalg.norm(errors) / len(errors)),
        }

    def table(self, summary):
        head = ["classes", "d", "heat", "simulated", "entropy drop", "simulated"]
        rows = [[*head, "T", "simulated", "τ/T", "case"]]
        for entry in summary["points"]:
            shown = []
            for name in _PARTS:
                part = entry[name]
                shown += [
                    text_with_error(part["mean"], part["standard_error"]),
                    text_with_error(**part["simulated"]),
                ]
            hot, ran = entry["temperature"], entry["temperature_so_far"][-1]
            share = entry["unavoidable_fraction"]
            rows.append(
                [
                    str(entry["n_classes"]),
                    str(entry["n_parameters"]),
                    *shown,
                    *(
                        "unresolved" if x["mean"] is None else text_with_error(**x)
                        for x in (hot, ran)
                    ),
                    "-" if share["mean"] is None else text_with_error(**share),
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
        ends = {c: _over_sets(*self._at_the_end(c).values()) for c in self.config.n_classes}
        return {
            "temperature": temperature_of_classes(
                self.paths(results), ends, self.config.bath_temperature, self.config.title
            )
        }


def _mean(values: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / values.size**0.5),
    }


def _over_sets(heats: np.ndarray, drops: np.ndarray) -> dict[str, Any]:
    """T of data sets together."""
    return ratio(heats.mean(), drops.mean(), heats, drops, heats.size**-0.5)
