"""Cases of a parametrised test that belong to the exhaustive part."""

from typing import Any

import pytest


def exhaustive(*cases: Any) -> list[Any]:
    """The cases, marked: `parametrize("n", [10, *exhaustive(4, 100)])`."""
    return [pytest.param(case, marks=pytest.mark.exhaustive) for case in cases]
