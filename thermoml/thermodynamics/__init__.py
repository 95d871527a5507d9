"""What trajectories tell: free energies, fluctuation relations, entropies; exact references."""

from ..numerics.public import publish as _publish
from ._cycle import (
    Cycle as Cycle,
    CycleResult as CycleResult,
    Stroke as Stroke,
)
from ._cycle_result import (
    settled_rounds as settled_rounds,
)
from ._entropy import (
    Entropy as Entropy,
    block_entropy as block_entropy,
    entropy_production as entropy_production,
    gaussian_entropy as gaussian_entropy,
    knn_entropy as knn_entropy,
    mixture_entropy as mixture_entropy,
    normal_entropy as normal_entropy,
    system_entropy as system_entropy,
    truncated_normal_entropy as truncated_normal_entropy,
    uniform_entropy as uniform_entropy,
)
from ._fluctuations import (
    Crooks as Crooks,
    IntegralFluctuation as IntegralFluctuation,
    UncertaintyProduct as UncertaintyProduct,
    crooks as crooks,
    integral_fluctuation as integral_fluctuation,
    uncertainty_product as uncertainty_product,
)
from ._fokker_planck import (
    FokkerPlanck as FokkerPlanck,
    FokkerPlanckSolution as FokkerPlanckSolution,
    Transport as Transport,
)
from ._free_energy import (
    FreeEnergy as FreeEnergy,
    FreeEnergyWarning as FreeEnergyWarning,
    bennett as bennett,
    jarzynski as jarzynski,
)
from ._grid import (
    Axis as Axis,
    Rates as Rates,
)
from ._linear_system import (
    LinearSystem as LinearSystem,
)
from ._moments import (
    Moments as Moments,
    moment_equations as moment_equations,
)
from ._normal import (
    NormalState as NormalState,
)

_publish(globals())
