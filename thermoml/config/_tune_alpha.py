"""The study `tune_alpha`."""

from typing import Literal

from pydantic import Field, model_validator

from ._at_rest import Family, OneLevel
from ._numbers import Numbers
from ._parts import Rule, Way, check_different


class TuneAlpha(OneLevel):
    """The study `tune_alpha`: the best α at a dissipation, by the gradients of all levels."""

    study: Literal["tune_alpha"]
    rule: Family = "alpha_tron"
    alpha: Numbers
    dissipation: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    ways: list[Way] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_parts(self):
        for alpha in self.alpha:
            Rule(name=self.rule, alpha=alpha)
        check_different("ways", [way.label for way in self.ways])
        return self
