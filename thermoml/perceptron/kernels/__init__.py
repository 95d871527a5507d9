"""The two matrix products of a batch of inputs with the weights in a learning step.

A batch holds B inputs for each of M trajectories, the trajectory axis last. `project` is
Σ_i ξ_bi v_i over the N components, `combine` is Σ_b c_b ξ_bi over the batch.
"""

from ...numerics.public import publish as _publish
from ._base import AbstractInputBatch as AbstractInputBatch
from ._dense import DenseBatch as DenseBatch, RowBatch as RowBatch
from ._packed import PackedBatch as PackedBatch

_publish(globals())
