"""The study `learning_rules`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ._learning import Learning, Run, shared
from ._parts import Rule, by_name, check_different


class LearningRules(Learning):
    """The study `learning_rules`: learning curves of the perceptron's rules side by side."""

    study: Literal["learning_rules"]
    rules: list[Annotated[Rule, BeforeValidator(by_name)]] = Field(min_length=1)
    save_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_run(self):
        Run(**shared(self), rule=self.rules[0], save_every=self.save_every)
        check_different("rules", [rule.label for rule in self.rules])
        return self
