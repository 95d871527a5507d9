"""The journal: one line for each finished unit, written after its chunks."""

import json
import time
from pathlib import Path
from typing import Any


class Journal:
    """Lines of JSON. A line torn by a crash or a full disk is dropped, never repaired."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[int, dict[str, Any]]:
        """The last valid line of each unit; an incomplete last line is cut off."""
        if not self.path.exists():
            return {}
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        entries = {}
        for line in content[:whole].splitlines():
            try:
                entry = json.loads(line)
                entries[int(entry["unit"])] = entry
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
        return entries

    def add(self, unit: int, label: str, seconds: float, checksum: int) -> None:
        """Append a finished unit."""
        line = {
            "unit": unit,
            "label": label,
            "seconds": round(seconds, 3),
            "ended": time.time(),
            "checksum": checksum,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
