"""Layers of a network: local temperatures, gradient noise and the ledger by layer."""

from ...numerics.public import publish as _publish
from ._gradient_noise import (
    gradient_noise_temperature as gradient_noise_temperature,
)
from ._layer_ledger import (
    LayerLedger as LayerLedger,
    LedgerWarning as LedgerWarning,
    layer_ledger as layer_ledger,
)
from ._local_temperatures import (
    LayerMoments as LayerMoments,
    LocalTemperatures as LocalTemperatures,
    local_temperatures as local_temperatures,
)
from ._thermometer import (
    Thermometer as Thermometer,
)

_publish(globals())
