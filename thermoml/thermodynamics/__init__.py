"""What trajectories tell: free energies, fluctuation relations, entropies; exact references."""

from ._cycle import Cycle, CycleResult, Stroke
from ._entropy import (
    Entropy,
    block_entropy,
    entropy_production,
    gaussian_entropy,
    knn_entropy,
    mixture_entropy,
    normal_entropy,
    system_entropy,
    truncated_normal_entropy,
    uniform_entropy,
)
from ._fluctuations import (
    Crooks,
    IntegralFluctuation,
    UncertaintyProduct,
    crooks,
    integral_fluctuation,
    uncertainty_product,
)
from ._fokker_planck import FokkerPlanck, FokkerPlanckSolution, Transport
from ._free_energy import FreeEnergy, FreeEnergyWarning, bennett, jarzynski
from ._grid import Axis
from ._linear_system import LinearSystem
from ._moments import Moments, moment_equations
from ._normal import NormalState

__all__ = [
    "Axis",
    "Crooks",
    "Cycle",
    "CycleResult",
    "Entropy",
    "FokkerPlanck",
    "FokkerPlanckSolution",
    "FreeEnergy",
    "FreeEnergyWarning",
    "IntegralFluctuation",
    "LinearSystem",
    "Moments",
    "NormalState",
    "Stroke",
    "Transport",
    "UncertaintyProduct",
    "bennett",
    "block_entropy",
    "crooks",
    "entropy_production",
    "gaussian_entropy",
    "integral_fluctuation",
    "jarzynski",
    "knn_entropy",
    "mixture_entropy",
    "moment_equations",
    "normal_entropy",
    "system_entropy",
    "truncated_normal_entropy",
    "uncertainty_product",
    "uniform_entropy",
]
