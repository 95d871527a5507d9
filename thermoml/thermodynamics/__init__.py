"""What trajectories tell: free energies and fluctuation relations, with standard errors."""

from ._fluctuations import (
    Crooks,
    IntegralFluctuation,
    UncertaintyProduct,
    crooks,
    integral_fluctuation,
    uncertainty_product,
)
from ._free_energy import FreeEnergy, FreeEnergyWarning, bennett, jarzynski

__all__ = [
    "Crooks",
    "FreeEnergy",
    "FreeEnergyWarning",
    "IntegralFluctuation",
    "UncertaintyProduct",
    "bennett",
    "crooks",
    "integral_fluctuation",
    "jarzynski",
    "uncertainty_product",
]
