"""thermoml: the thermodynamics of learning, differentiable and on accelerators.

Units: k_B = 1; energies, heat, work and temperatures share one unit; entropy in nats. Heat is
positive when it flows from the system into its bath, work when it is done on the system.
"""

from importlib.metadata import version as _version

from . import langevin, networks, perceptron, thermodynamics
from .files import load, save
from .langevin import *  # noqa: F403
from .networks import *  # noqa: F403
from .perceptron import *  # noqa: F403
from .sweep import Grid, Labelled, SchedulerLost, StoreError, StoreWarning, sweep
from .thermodynamics import *  # noqa: F403
from .tuning import Tuned, tune

__version__ = _version("thermoml")
__all__ = [
    "Grid",
    "Labelled",
    "SchedulerLost",
    "StoreError",
    "StoreWarning",
    "Tuned",
    "__version__",
    "load",
    "save",
    "sweep",
    "tune",
]
__all__ += langevin.__all__
__all__ += networks.__all__
__all__ += perceptron.__all__
__all__ += thermodynamics.__all__
