"""What the studies of learning problems share."""

from typing import Any

from ..perceptron import LearningProblem, Microscopic, Reduced, warn_of_separation
from ._base import AbstractStudy

LEVELS = {"reduced": Reduced, "microscopic": Microscopic}


class ProblemStudy(AbstractStudy):
    """A learning problem at each point, with one number for its scale separation."""

    def problem(self, rule: Any, learning_rate: Any, **changes: Any) -> LearningProblem:
        """The problem of the config with a rule and a rate."""
        config = self.config
        names = ("n_inputs", "batch", "inputs", "stiffness", "temperature")
        settings = {name: getattr(config, name) for name in names if name not in changes}
        return LearningProblem(rule, learning_rate=learning_rate, **settings | changes)

    def check(self, results):
        worst, where = -1.0, ("", {})
        for label, parameters, entry in self.points(results):
            separation = float(entry.scale_separation)
            if not float(entry.diverged) > 0 and separation > worst:
                worst, where = separation, (label, parameters)
        if worst >= 0:
            label, parameters = where
            dt = parameters.get("dt", self.config.dt)
            warn_of_separation(worst, dt, f"at {label}: ")
        self.refuse_lost(
            results,
            "trajectories turned non-finite; use a smaller dt or a rule with a steady state; all "
            "that is finite is in the store",
        )
