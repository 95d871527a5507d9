"""What the studies of learning problems share."""

from typing import Any

from ..langevin import SimulationDiverged
from ..perceptron import LearningProblem, Microscopic, Reduced
from ..perceptron._learn import warn_of_separation
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
        lost = []
        for label, parameters, entry in self.points(results):
            separation = float(entry.scale_separation)
            if float(entry.diverged) > 0:
                lost.append(label)
            elif separation > worst:
                worst, where = separation, (label, parameters)
        if worst >= 0:
            label, parameters = where
            dt = parameters.get("dt", self.config.dt)
            warn_of_separation(worst, dt, f"at {label}: ")
        if lost:
            more = f", and at {len(lost) - 1} more points" if len(lost) > 1 else ""
            raise SimulationDiverged(
                f"at {lost[0]}{more}: trajectories turned non-finite; use a smaller dt or a rule "
                "with a steady state; all that is finite is in the store",
                results,
            )
