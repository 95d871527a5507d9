"""Public names: what a room exports carries the room's own path, wherever its code lies."""

import inspect
from types import FunctionType
from typing import Any


def publish(room: dict[str, Any]) -> None:
    """Set `__module__` of what a room exports to the room, in reprs, tracebacks and saved files.

    Args:
        room: the room's namespace: `publish(globals())` ends its `__init__`. Classes and functions
            that lie in files or folders of the room are taken, those of other rooms are not.
    """
    path = room["__name__"]
    for name, thing in room.items():
        if not name.startswith("_") and callable(thing):
            thing = inspect.unwrap(thing)  # a compiled function tells the module of what it wraps
            if isinstance(thing, type | FunctionType) and thing.__module__.startswith(f"{path}."):
                thing.__module__ = path
