"""The study `learning_efficiency`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ._at_rest import OneLevel
from ._parts import Rule, by_name, check_different


class LearningEfficiency(OneLevel):
    """The study `learning_efficiency`: what is learned against the entropy that it costs."""

    study: Literal["learning_efficiency"]
    rules: list[Annotated[Rule, BeforeValidator(by_name)]] = Field(min_length=1)
    learning_rate: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_rules(self):
        check_different("rules", [rule.label for rule in self.rules])
        return self
