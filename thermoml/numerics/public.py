"""Public names: what a room exports carries the room's own path, wherever its code lies."""

from typing import Any


def publish(room: dict[str, Any]) -> None:
    """Set `__module__` of what a room exports to the room, in reprs, tracebacks and saved files.

    Args:
        room: the room's namespace: `publish(globals())` ends its `__init__`. Classes and functions
            that lie in files or folders of the room are taken, those of other rooms are not.
    """
    path = room["__name__"]
    for name, thing in room.items():
        while not name.startswith("_") and callable(thing):
            if str(getattr(thing, "__module__", "")).startswith(f"{path}."):
                if isinstance(thing, type):
                    thing.__module__ = path
                else:  # some are frozen modules
                    object.__setattr__(thing, "__module__", path)
            thing = None if isinstance(thing, type) else getattr(thing, "__wrapped__", None)
