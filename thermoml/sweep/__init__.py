"""Work units and the store that their results go to."""

from ._store import Store, StoreError

__all__ = ["Store", "StoreError"]
