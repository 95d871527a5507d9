"""How a batch of inputs meets the weights: the two matrix products of a learning step.

A batch holds B inputs for each of M trajectories, the trajectory axis last. `project` is
Σ_i ξ_bi v_i over the N components, `combine` is Σ_b c_b ξ_bi over the batch.
"""

from ._base import AbstractInputBatch
from ._dense import DenseBatch, RowBatch
from ._packed import PackedBatch

__all__ = ["AbstractInputBatch", "DenseBatch", "PackedBatch", "RowBatch"]
