"""Sweeps over grids of parameters: work units, their store, and where they are run."""

from ..numerics.labels import (
    Labelled as Labelled,
)
from ..numerics.public import publish as _publish
from ._cluster import (
    ClusterError as ClusterError,
    connected as connected,
    local_workers as local_workers,
)
from ._errors import (
    StoreError as StoreError,
    StoreWarning as StoreWarning,
)
from ._executors import (
    SchedulerLost as SchedulerLost,
)
from ._grid import (
    Grid as Grid,
)
from ._outcome import (
    each_name as each_name,
)
from ._plan import (
    parse_size as parse_size,
)
from ._program import (
    program_of_study as program_of_study,
)
from ._store import (
    Store as Store,
)
from ._sweep import (
    Sweep as Sweep,
    sweep as sweep,
)
from ._task import (
    Task as Task,
)

_publish(globals())
