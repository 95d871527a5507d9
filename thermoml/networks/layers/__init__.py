"""Layers of a network: local temperatures and the ledger by layer."""

from ...numerics.public import publish as _publish
from ._layer_ledger import (
    LayerLedger as LayerLedger,
    LedgerWarning as LedgerWarning,
    layer_ledger as layer_ledger,
)
from ._local_temperatures import (
    LayerMoments as LayerMoments,
    LocalTemperatures as LocalTemperatures,
    Thermometer as Thermometer,
    gradient_noise_temperature as gradient_noise_temperature,
    local_temperatures as local_temperatures,
)

_publish(globals())
