"""Learning systems: energies, models on data, initialisations, ground states, optimisers."""

from ...numerics.public import publish as _publish
from ._energies import (
    AbstractEnergy as AbstractEnergy,
    CrossEntropy as CrossEntropy,
    MeanAbsoluteError as MeanAbsoluteError,
    MeanSquaredError as MeanSquaredError,
)
from ._expected_energy import (
    expected_energy as expected_energy,
    first_key as first_key,
    initial_state as initial_state,
    matrix_like as matrix_like,
)
from ._ground_state import (
    GroundState as GroundState,
    check_normalisable as check_normalisable,
    ground_state as ground_state,
    whitened as whitened,
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
