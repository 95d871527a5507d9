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
    Jumps as Jumps,
    force_jump as force_jump,
    force_jumps as force_jumps,
    jump_loss as jump_loss,
    jump_losses as jump_losses,
)
from ._metastable import (
    metastable_states as metastable_states,
    spinodals as spinodals,
)
from ._minima import (
    SteadyState as SteadyState,
    fluctuation_square as fluctuation_square,
)
from ._moments import (
    Moments as Moments,
    moments as moments,
    moments_converged as moments_converged,
    plane_moments as plane_moments,
    refuse_unconverged as refuse_unconverged,
)
from ._steady_state import (
    steady_state as steady_state,
)
from ._stepped_work import (
    drive_square as drive_square,
    stepped_work_rate as stepped_work_rate,
)

_publish(globals())
