"""The study `learning_rules`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ._learning import Learning, Run, shared
from ._parts import Rule, by_name


class LearningRules(Learning):
    """The study `learning_rules`: learning curves of the perceptron's rules side by side."""

    study: Literal["learning_rules"]
    rules: list[Annotated[Rule, BeforeValidator(by_name)]] = Field(min_length=1)
    save_every: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_run(self):
        Run(**shared(self), rule=self.rules[0], save_every=self.save_every)
        labels = [rule.label for rule in self.rules]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"rules must differ, got {label} {labels.count(label)} times")
        return self
