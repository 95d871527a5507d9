"""Learning systems: energies, models on data, initialisations, ground states, optimisers."""

from ...numerics.normal_uniform import Widths as Widths
from ...numerics.public import publish as _publish
from ._asymptotic_energy import (
    asymptotic_energy as asymptotic_energy,
    expectation_limit as expectation_limit,
    expected_maximum as expected_maximum,
)
from ._curvature import (
    harmonic_stiffness as harmonic_stiffness,
    has_curvature as has_curvature,
    is_harmonic as is_harmonic,
    is_harmonic_system as is_harmonic_system,
    loss_curvatures as loss_curvatures,
    whitened as whitened,
)
from ._energy import (
    AbstractEnergy as AbstractEnergy,
    residual as residual,
)
from ._expected_energy import (
    expected_energy as expected_energy,
    initial_state as initial_state,
    linear_expectation as linear_expectation,
    matrix_like as matrix_like,
    mean_over_examples as mean_over_examples,
)
from ._ground_state import (
    GroundState as GroundState,
    check_bounded as check_bounded,
    check_normalisable as check_normalisable,
    ground_state as ground_state,
    linear_descent as linear_descent,
    linear_minimum as linear_minimum,
)
from ._initialisations import (
    AbstractInitialisation as AbstractInitialisation,
    Glorot as Glorot,
    He as He,
    LeCun as LeCun,
    Mixed as Mixed,
    Normal as Normal,
    Uniform as Uniform,
    entropy_of_leaves as entropy_of_leaves,
    initialisation as initialisation,
    widths_of as widths_of,
)
from ._layers import (
    Layers as Layers,
    LayersBy as LayersBy,
    layers as layers,
)
from ._learning import (
    AbstractLearning as AbstractLearning,
    LinearLearning as LinearLearning,
    NetworkLearning as NetworkLearning,
    bath_temperature as bath_temperature,
    refuse_stateful as refuse_stateful,
    several_states as several_states,
)
from ._optimisers import (
    Optimised as Optimised,
    optimise as optimise,
)

_publish(globals())
