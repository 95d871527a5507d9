"""The journal: one line for each finished unit and each other file, written after them."""

import json
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Journal:
    """Lines of JSON. A line torn by a crash or a full disk is dropped, never repaired."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def foreign(self) -> bool:
        """Whether the file has content, and none of it is ours."""
        if not self.path.exists():
            return False
        entries = self._entries(self.path.read_bytes())
        ours = any("checksum" in entry for entry in entries)
        return not ours and self.path.stat().st_size > 0

    @property
    def empty(self) -> bool:
        """Whether no line of ours is there."""
        return not self.read() and not self.files()

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
        for entry in self._entries(content[:whole]):
            try:
                entries[int(entry["unit"])] = entry
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
        return entries

    def files(self) -> dict[str, int]:
        """The checksums of the other files that were written, by their paths in the folder."""
        if not self.path.exists():
            return {}
        entries = self._entries(self.path.read_bytes())
        return {str(x["file"]): x.get("checksum", -1) for x in entries if "file" in x}

    def _entries(self, content: bytes) -> Iterator[dict[str, Any]]:
        for line in content.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry

    def add(self, unit: int, label: str, seconds: float, checksum: int) -> None:
        """Append a finished unit."""
        ended = time.time()
        line = {"unit": unit, "label": label, "seconds": round(seconds, 3), "ended": ended}
        self._append(line | {"checksum": checksum})

    def add_file(self, path: str, content: bytes) -> None:
        """Append another file."""
        self._append({"file": path, "checksum": zlib.crc32(content)})

    def restart(self) -> None:
        """Drop all units; the other files stay."""
        files = self.files()
        self.path.unlink(missing_ok=True)
        for path, checksum in files.items():
            self._append({"file": path, "checksum": checksum})

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
