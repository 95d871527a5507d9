"""What the studies of data share: a temperature as a ratio, and its case."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..numerics.labels import Labelled
from ._base import AbstractStudy, per_trajectory

NUMBERS = {
    "heat": ("energy", "heat released by training"),
    "entropy_drop": ("nat", "entropy drop of the parameters"),
    "entropy_production": ("nat", "entropy production"),
}
_RESOLVED = 4.0  # standard errors


def measured(found: Mapping[str, Any]) -> dict[str, Labelled]:
    """The numbers of transitions, one for each data set."""
    return {name: per_trajectory(found[name], *words) for name, words in NUMBERS.items()}


def ratio(heat: float, drop: float, heats: Any, drops: Any, scale: float) -> dict[str, Any]:
    r"""$T = \Delta Q/\Delta S$ with its standard error.

    To first order $\delta T = (\delta Q - T\,\delta S)/\Delta S$: heat and entropy vary together
    over data sets. No T where ΔS is not told apart from 0.

    Args:
        heat, drop: ΔQ and ΔS.
        heats, drops: of single data sets.
        scale: standard error of ΔQ and ΔS over the spread of these, 1/√M for their means.
    """
    if abs(drop) <= _RESOLVED * scale * np.std(drops, ddof=1):
        return {"mean": None, "standard_error": None}
    found = heat / drop
    error = scale * np.std(heats - found * drops, ddof=1) / abs(drop)
    return {"mean": float(found), "standard_error": float(error)}


def unavoidable_fraction(temperature: Mapping[str, Any], bath: float) -> dict[str, Any]:
    """τ/T, the share of the heat that a reversible transition would have released too.

    None where heat is absorbed, or where T is negative or unknown.
    """
    mean, error = temperature["mean"], temperature["standard_error"]
    if mean is None or mean < bath:
        return {"mean": None, "standard_error": None}
    return {"mean": bath / mean, "standard_error": bath * error / mean**2}


def case_of(heat: float, temperature: Mapping[str, Any]) -> str:
    """In a word what heat and temperature say; `networks.Case` says it at length."""
    if temperature["mean"] is None:
        return "unresolved"
    if temperature["mean"] < 0:
        return "inverted"
    return "releasing" if heat > 0 else "absorbing"


class TemperatureStudy(AbstractStudy):
    """Training on data sets, one for each trajectory, in closed form or by sampling."""

    def check(self, results):
        self.refuse_lost(
            results,
            "trained states are not finite; use more examples, a stiffer prior, or precision: "
            "float64",
        )
