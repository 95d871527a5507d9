"""Theory of learning at N → ∞: moments, steady states, least dissipation."""

from ...numerics.public import publish as _publish
from ._budget import (
    at_dissipation as at_dissipation,
)
from ._frontier import (
    OptimalRule as OptimalRule,
    dissipation_bound as dissipation_bound,
)
from ._jumps import (
    force_jump as force_jump,
    jump_loss as jump_loss,
)
from ._moments import (
    Moments as Moments,
    moments as moments,
    plane_moments as plane_moments,
)
from ._steady_state import (
    SteadyState as SteadyState,
    fluctuation_square as fluctuation_square,
    steady_state as steady_state,
)
from ._stepped_work import (
    drive_square as drive_square,
    stepped_work_rate as stepped_work_rate,
)

_publish(globals())
