"""Stochastic thermodynamics: free energies, fluctuation relations, entropies, exact references."""

from ..numerics.public import publish as _publish
from ._cycle import (
    ConjugateForce as ConjugateForce,
    Cycle as Cycle,
    CycleProtocol as CycleProtocol,
)
from ._cycle_result import (
    CycleResult as CycleResult,
)
from ._cycle_rounds import (
    settled_rounds as settled_rounds,
)
from ._entropy import (
    block_entropy as block_entropy,
    mixture_entropy as mixture_entropy,
    normal_entropy as normal_entropy,
    truncated_normal_entropy as truncated_normal_entropy,
    uniform_entropy as uniform_entropy,
)
from ._entropy_estimates import (
    Entropy as Entropy,
    gaussian_entropy as gaussian_entropy,
    knn_entropy as knn_entropy,
)
from ._entropy_production import (
    entropy_production as entropy_production,
    system_entropy as system_entropy,
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
)
from ._fokker_planck_solution import (
    FokkerPlanckSolution as FokkerPlanckSolution,
    Spectrum as Spectrum,
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
from ._moment_result import (
    Moments as Moments,
)
from ._moments import (
    moment_equations as moment_equations,
)
from ._normal import (
    NormalState as NormalState,
)
from ._step_size_bias import (
    StepSizeBias as StepSizeBias,
    step_size_bias as step_size_bias,
)
from ._stroke import (
    Stroke as Stroke,
)

_publish(globals())
