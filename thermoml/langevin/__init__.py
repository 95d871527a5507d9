"""Overdamped Langevin dynamics with its ledger of work, heat and entropy flow."""

from ._adjoints import AbstractAdjoint, Direct, ForwardMode, RecursiveCheckpoint
from ._controls import Constant, PiecewiseLinear, Ramp
from ._integrators import AbstractIntegrator, EulerMaruyama, ExactLinear, Heun
from ._observers import AbstractObserver, Histogram, Mean, Variance
from ._simulate import simulate
from ._solution import Batch, Checkpoint, Result, SimulationDiverged, Solution
from ._systems import AbstractSystem, Langevin

__all__ = [
    "AbstractAdjoint",
    "AbstractIntegrator",
    "AbstractObserver",
    "AbstractSystem",
    "Batch",
    "Checkpoint",
    "Constant",
    "Direct",
    "EulerMaruyama",
    "ExactLinear",
    "ForwardMode",
    "Heun",
    "Histogram",
    "Langevin",
    "Mean",
    "PiecewiseLinear",
    "Ramp",
    "RecursiveCheckpoint",
    "Result",
    "SimulationDiverged",
    "Solution",
    "Variance",
    "simulate",
]
