"""Lists of numbers in a config, written out or as ranges."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..sweeps import Grid


def _expanded(given: Any) -> Any:
    """A number, a list, or a range as in a sweep's grid, as a list."""
    if isinstance(given, int | float):
        return [given]
    try:
        return [float(x) for x in Grid(it=given).axes[0]["it"]]
    except (TypeError, ValueError) as error:
        raise ValueError(str(error).removeprefix("it: ")) from None


Numbers = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    BeforeValidator(_expanded),
    Field(min_length=1),
]
Positive = Annotated[
    list[Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    BeforeValidator(_expanded),
    Field(min_length=1),
]
