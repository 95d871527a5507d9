"""The studies of learning at rest: `alpha_sweep`, `dissipation_budget`, `frontier`, …"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..numerics.checks import divide_steps
from ..perceptron import check_step_size
from ._learning import OneSize, Perceptrons
from ._numbers import Numbers, Positive
from ._parts import Level, Network, Rule, Setting, by_name, check_different, check_width

Family = Literal["alpha_tron", "linear_alpha_tron"]


class AtRest(Perceptrons):
    """Runs that begin at rest, measured over their last half."""

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    n_trajectories: int = Field(default=256, ge=1)
    precision: Literal["float32", "float64"] = "float64"
    saves: int = Field(default=20, ge=2)

    def check_steps(self, dt: float) -> None:
        """ValueError where a step does not fit the run."""
        divide_steps("saves", self.steps(dt), self.saves)
        check_step_size(self.stiffness, dt)


class OneLevel(AtRest, OneSize):
    """Everything measured at one level."""

    level: Level = "reduced"
    inputs: Literal["binary", "gaussian"] = "gaussian"

    @model_validator(mode="after")
    def _check_level(self):
        self.check_steps(self.dt)
        check_width(self.level, self.n_inputs)
        return self


class AlphaSweep(OneLevel):
    """The study `alpha_sweep`: error and dissipation against α at fixed learning rates."""

    study: Literal["alpha_sweep"]
    rule: Family = "alpha_tron"
    alpha: Numbers
    learning_rate: Positive = Field(default_factory=lambda: [1.0])

    @model_validator(mode="after")
    def _check_alpha(self):
        for alpha in self.alpha:
            Rule(name=self.rule, alpha=alpha)
        return self


class DissipationBudget(OneLevel):
    """The study `dissipation_budget`: error against α where each α may dissipate as much."""

    study: Literal["dissipation_budget"]
    rule: Family = "alpha_tron"
    alpha: Numbers
    dissipation: Positive

    @model_validator(mode="after")
    def _check_alpha(self):
        for alpha in self.alpha:
            if alpha <= -0.5:
                raise ValueError(f"alpha must be above -1/2 to dissipate finitely, got {alpha:g}")
            Rule(name=self.rule, alpha=alpha)
        return self


class Frontier(OneLevel):
    """The study `frontier`: error against dissipation for rules, a learned one, and the bound."""

    study: Literal["frontier"]
    rules: list[Annotated[Rule, BeforeValidator(by_name)]] = Field(min_length=1)
    network: Network | None = Network()
    dissipation: Positive

    @model_validator(mode="after")
    def _check_rules(self):
        check_different("rules", [rule.label for rule in self.rules])
        return self


class EntropyProduction(AtRest):
    """The study `entropy_production`: each rule after convergence, measured against predicted."""

    study: Literal["entropy_production"]
    rules: list[Annotated[Rule, BeforeValidator(by_name)]] = Field(min_length=1)
    learning_rate: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    settings: list[Setting] = Field(min_length=1)
    dt: Positive = Field(min_length=2)

    @model_validator(mode="after")
    def _check_parts(self):
        for dt in self.dt:
            self.check_steps(dt)
        check_different("rules", [rule.label for rule in self.rules])
        check_different("settings", [setting.label for setting in self.settings])
        return self
