"""States before and after training, routes to them, and transitions between them."""

from ...numerics.public import publish as _publish
from ._asymptotics import (
    asymptotic_refresh as asymptotic_refresh,
    asymptotic_temperature as asymptotic_temperature,
    log_determinant_density as log_determinant_density,
)
from ._boltzmann import (
    AbstractRoute as AbstractRoute,
    Boltzmann as Boltzmann,
    Weighted as Weighted,
)
from ._harmonic import (
    Harmonic as Harmonic,
)
from ._importance import (
    ENOUGH as ENOUGH,
    Importance as Importance,
)
from ._laplace import (
    Gaussian as Gaussian,
    Laplace as Laplace,
    log_copies as log_copies,
)
from ._layer_transitions import (
    LayerTransition as LayerTransition,
)
from ._path import (
    TrainingPath as TrainingPath,
    simulated_training_path as simulated_training_path,
    training_path as training_path,
)
from ._states import (
    AbstractState as AbstractState,
    TypeI as TypeI,
    TypeII as TypeII,
)
from ._switching import (
    Switching as Switching,
    TrainingWarning as TrainingWarning,
)
from ._trained import (
    Trained as Trained,
)
from ._transition import (
    Case as Case,
    Transition as Transition,
    linear_temperature as linear_temperature,
    transition as transition,
)

_publish(globals())
