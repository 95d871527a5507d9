"""Studies of problems at chosen levels: settings, runs that begin at rest, predictions, labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
from jaxtyping import Array
from pydantic import Field, model_validator

from ...numerics.checks import divide_steps
from ...numerics.labels import Labelled
from ...perceptron import (
    AbstractRule,
    LearningCurve,
    LearningProblem,
    MeanField,
    Microscopic,
    Reduced,
    SteadyState,
    check_step_size,
    learn,
    steady_state,
    warn_of_separation,
)
from .._study import AbstractStudy
from .._table import once, per_trajectory
from ._learning import Level, OneSize, Perceptrons, Rule

if TYPE_CHECKING:
    import xarray

LEVELS = {"reduced": Reduced, "microscopic": Microscopic}
ERROR = r"generalization error $\varepsilon$"
DISSIPATION = r"dissipation $\tilde\nu^2\mathrm{E}[F^2]$  [energy/time, $k_\mathrm{B}=1$]"
MEASURED = "points: measured ± 2 standard errors; lines: predicted for N, B, dt"

_QUANTITIES = {
    "error": ("", "generalization error ε at rest"),
    "overlap": ("", "overlap R at rest"),
    "norm": ("", "norm Q at rest"),
    "dissipation": ("energy/time", "dissipation ν̃²(E F² - |E ξσF|²/N) at rest"),
}


class AtRest(Perceptrons):
    """Runs that begin at rest, measured over their last half."""

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    n_trajectories: int = Field(default=256, ge=1)
    precision: Literal["float32", "float64"] = "float64"
    saves: int = Field(default=20, ge=2)

    def check_steps(self, dt: float) -> None:
        """ValueError unless the step fits the run."""
        divide_steps("saves", self.steps(dt), self.saves)
        check_step_size(self.stiffness, dt)


class OneLevel(AtRest, OneSize):
    """Runs at one level of description."""

    level: Level = "reduced"
    inputs: Literal["binary", "gaussian"] = "gaussian"

    @model_validator(mode="after")
    def _check_level(self):
        self.check_steps(self.dt)
        check_width(self.level, self.n_inputs)
        return self


def check_width(level: str, n_inputs: int) -> None:
    """ValueError unless the level is defined for this number of inputs."""
    if level == "reduced" and n_inputs < 4:
        raise ValueError(f"n_inputs must be at least 4 for the reduced level, got {n_inputs}")


def check_family(rule: str, alphas: list[float]) -> None:
    """ValueError unless the rule has α as its only parameter, and takes these values."""
    for alpha in alphas:
        Rule.model_validate({"name": rule, "alpha": alpha})


class ProblemStudy(AbstractStudy):
    """Learning problems, each with one number for its scale separation if it is measured."""

    def problem(self, rule: AbstractRule, learning_rate: Any, **changes: Any) -> LearningProblem:
        """The problem of the config with a rule and a rate."""
        config = self.config
        names = ("n_inputs", "batch", "inputs", "stiffness", "temperature")
        settings = {name: getattr(config, name) for name in names if name not in changes}
        return LearningProblem(rule, learning_rate=learning_rate, **settings | changes)

    def check(self, results):
        if "scale_separation" in results:
            self._check_separation(results)
        self.refuse_lost(
            results,
            "trajectories turned non-finite; use a smaller dt or a rule with a steady state; all "
            "that is finite is in the store",
        )

    def _check_separation(self, results: "xarray.Dataset") -> None:
        """Warn of the point whose time scales are separated least."""
        finite = [
            (float(entry.scale_separation), label, parameters)
            for label, parameters, entry in self.points(results)
            if not float(entry.diverged) > 0 and float(entry.scale_separation) >= 0
        ]
        if finite:
            separation, label, parameters = max(finite, key=lambda point: point[0])
            dt = parameters.get("dt", self.config.dt)
            warn_of_separation(separation, dt, f"at {label}: ")


class RestStudy(ProblemStudy):
    """Ensembles of perceptrons that have learned, at each point of a grid."""

    def measure(
        self,
        problem: LearningProblem,
        ensemble: Mapping[str, Any],
        *,
        dt: float,
        level: str,
        state: SteadyState | None = None,
    ) -> dict[str, Labelled]:
        """Averages over the last half of a run that begins at rest, one row for each trajectory."""
        state = steady_state(problem) if state is None else state
        curve = self._run(problem, LEVELS[level](dt), state, ensemble, dt=dt)
        averages = _late(problem, curve)
        return {
            **{name: per_trajectory(x, *_QUANTITIES[name]) for name, x in averages.items()},
            "scale_separation": per_trajectory(
                jnp.mean(curve.scale_separation[:, 1:], axis=1),
                "",
                "input noise per step over bath noise",
            ),
            "diverged": per_trajectory(
                (curve.diverged_step >= 0) & jnp.isfinite(problem.learning_rate),
                "",
                "fraction of the trajectories that turned non-finite",
            ),
        }

    def predict(self, problem: LearningProblem, *, dt: float) -> dict[str, Labelled]:
        """The same without noise, and without finite steps and sizes (`limit_<name>`).

        Steps are those of the mean field with finite steps. The part of a finite N is that of the
        exact steady state with separated time scales.
        """
        limit = steady_state(problem)
        exact = steady_state(problem, exact=True)
        curve = self._run(problem, MeanField(dt, finite_step=True), limit, {}, dt=dt)
        stepped, rest, finite = (
            _late(problem, curve),
            _still(problem, limit),
            _still(problem, exact),
        )
        labelled = {}
        for name, (units, words) in _QUANTITIES.items():
            expected = stepped[name][0] + finite[name] - rest[name]
            values = {f"predicted_{name}": expected, f"limit_{name}": rest[name]}
            endings = ("predicted for these N, B and dt", "as N → ∞ and dt → 0")
            for (key, value), ending in zip(values.items(), endings, strict=True):
                labelled[key] = once(value, units, f"{words}, {ending}")
        return labelled

    def _run(
        self,
        problem: LearningProblem,
        level: Microscopic | Reduced | MeanField,
        state: SteadyState,
        ensemble: Mapping[str, Any],
        *,
        dt: float,
    ) -> LearningCurve:
        config = self.config
        return learn(
            problem,
            level,
            t1=config.t1,
            save_every=config.steps(dt) // config.saves,
            weights=state,
            teachers="ensemble",
            throw=False,
            **ensemble,
        )


def _per_input(problem: LearningProblem) -> Array:
    """B/N, which turns heat per weight and time into the dissipation, finite as N → ∞."""
    return problem.batch / jnp.asarray(problem.n_inputs, problem.learning_rate.dtype)


def _late(problem: LearningProblem, curve: LearningCurve) -> dict[str, Array]:
    """Averages over the last half of the saves, `(trajectory,)`."""
    half = (curve.overlap.shape[1] - 1) // 2
    heat, times = curve.heat, curve.times
    rate = (heat[:, -1] - heat[:, half]) / (times[-1] - times[half])
    orders = {"error": curve.error, "overlap": curve.overlap, "norm": curve.norm}
    averages = {name: jnp.mean(x[:, half + 1 :], axis=1) for name, x in orders.items()}
    return averages | {"dissipation": rate * _per_input(problem)}


def _still(problem: LearningProblem, state: SteadyState) -> dict[str, Array]:
    """The same of a steady state."""
    assert state.excess_rate is not None
    size = jnp.asarray(problem.n_inputs, state.overlap.dtype)
    heat = state.excess_rate * problem.temperature / size
    orders = {"error": state.error, "overlap": state.overlap, "norm": state.norm}
    return orders | {"dissipation": heat * _per_input(problem)}
