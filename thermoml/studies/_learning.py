"""What the studies of learning perceptrons share: the run at one point, and what it tells."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ..langevin import SimulationDiverged
from ..numerics.labels import Labelled
from ..perceptron import (
    LearningCurve,
    LearningProblem,
    Microscopic,
    TrainingSet,
    learn,
    warn_of_separation,
)
from ..perceptron.theory import jump_loss
from ._base import AbstractStudy

_EXAMPLES, _TESTS = range(2)  # what the sets are drawn for


class _Learned(eqx.Module):
    """A curve, and what a study reads off it."""

    curve: LearningCurve

    @property
    def diverged_step(self) -> Int[Array, " trajectory"]:
        return self.curve.diverged_step

    def labelled(self) -> dict[str, Labelled]:
        times = np.asarray(self.curve.times)
        half, late = (np.searchsorted(times, x * times[-1]) for x in (0.5, 0.75))
        half, late = (min(int(i), len(times) - 2) for i in (half, late))
        heat, error = self.curve.heat, self.curve.error
        return self.curve.labelled() | {
            "dissipation_rate": Labelled(
                ("trajectory",),
                (heat[:, -1] - heat[:, half]) / (times[-1] - times[half]),
                "energy/weight/time",
                "heat per weight and time over the last half",
            ),
            "late_drift": Labelled(
                ("trajectory",),
                error[:, -1] - error[:, late],
                "",
                "change of the generalization error over the last quarter",
            ),
        }


class LearningStudy(AbstractStudy):
    """Ensembles of perceptrons that learn; the config holds what the grid does not."""

    static = ("dt",)

    def setting(self, name: str, parameters: dict[str, Any]) -> Any:
        """A parameter of the point, or of the config."""
        return parameters[name] if name in parameters else getattr(self.config, name)

    def rule(self, parameters: dict[str, Any]) -> Any:
        """The rule at a point."""
        return parameters["rule"]

    @abc.abstractmethod
    def save_every(self, n_steps: int) -> int:
        """Steps between saves of a run of so many steps."""

    def problem(self, parameters: dict[str, Any]) -> LearningProblem:
        """The learning problem at a point."""
        inputs = self.setting("inputs", parameters)
        names = ("learning_rate", "n_inputs", "stiffness", "temperature", "batch")
        drawn = inputs.kind == "training_set"
        return LearningProblem(
            self.rule(parameters),
            **{name: self.setting(name, parameters) for name in names},
            inputs=TrainingSet(self._examples(_EXAMPLES, parameters)) if drawn else inputs.kind,
        )

    def _examples(self, part: int, parameters: dict[str, Any]) -> Any:
        """The examples of the training or of the test set, or None."""
        inputs = self.setting("inputs", parameters)
        count = (inputs.examples, inputs.test_examples)[part]
        if inputs.kind != "training_set" or not count:
            return None
        key = jax.random.fold_in(jax.random.key(self.config.seed), part)
        draw = jax.random.rademacher if inputs.distribution == "binary" else jax.random.normal
        shape = (count, self.setting("n_inputs", parameters))
        return draw(key, shape, jnp.dtype(self.config.precision))

    def point(self, ensemble, **parameters):
        dt = self.setting("dt", parameters)
        curve = learn(
            self.problem(parameters),
            Microscopic(dt),
            t1=self.config.t1,
            save_every=self.save_every(self.config.steps(dt)),
            teachers=self.setting("teachers", parameters),
            test_inputs=self._examples(_TESTS, parameters),
            **ensemble,
        )
        return _Learned(curve.light())

    def heat_rate_bias(self, parameters: dict[str, Any], entry: Any) -> float:
        """Heat per weight and time that a jump of F loses to the step, over the last half."""
        problem = self.problem(parameters)
        dtype = jnp.dtype(self.config.precision)
        n_inputs = self.setting("n_inputs", parameters)
        loss = float(jump_loss(problem, n_inputs, self.setting("dt", parameters), dtype))
        late = entry.norm.where(entry.time >= entry.time[-1] / 2, drop=True)
        return loss * float((late**-0.5).mean()) if loss else 0.0

    def check(self, results):
        worst = max(
            (
                (float(entry.scale_separation.max()), label, at)
                for label, at, entry in self.points(results)
                if float(entry.diverged) == 0
            ),
            key=lambda found: found[0],
            default=None,
        )
        if worst:
            separation, label, parameters = worst
            warn_of_separation(separation, self.setting("dt", parameters), f"at {label}: ")
        lost = [(label, entry) for label, _, entry in self.points(results) if entry.diverged > 0]
        if lost:
            label, entry = lost[0]
            good = entry.error.notnull()
            last = float(entry.time[good][-1]) if good.any() else 0.0
            more = f", and at {len(lost) - 1} more" if len(lost) > 1 else ""
            raise SimulationDiverged(
                f"at {label}{more}: {100 * float(entry.diverged):.3g} % of the trajectories turned "
                f"non-finite after t = {last:g}; use a smaller dt or a rule with a steady state; "
                "all that is finite is in the store",
                results,
            )
