"""Figures from labelled results. Nothing is computed here that a reader would quote."""

from ._learning_rules import error_against_dissipation, heat_and_energy, learning_curves
from ._parameter_sweep import error_and_dissipation

__all__ = [
    "error_against_dissipation",
    "error_and_dissipation",
    "heat_and_energy",
    "learning_curves",
]
