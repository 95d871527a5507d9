"""Provenance of a store, and its differences from another run."""

import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

STORE_VERSION = 2  # 1: exact values once a replicate, replicates always called trajectories
_PACKAGES = ("thermoml", "jax", "jaxlib", "equinox", "numpy")
# Settings that do not affect the numbers; a continued run may change them.
_FREE = ("memory", "per_unit", "title")


def _git_revision() -> str:
    """The revision of the checkout that the package runs from, "" outside of one."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """The versions of the packages that compute."""
    return {f"{name}_version": version(name) for name in _PACKAGES}


def provenance() -> dict[str, Any]:
    """Format, versions and git revision; nothing that depends on the clock."""
    return {"store_version": STORE_VERSION, **versions(), "git_revision": _git_revision()}


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The differences, in words, between a store and a run that would continue it."""
    expected = {"store_version": STORE_VERSION, **versions(), **wanted}
    return _compare("", {k: stored.get(k) for k in expected}, expected)


def _compare(path: str, stored: Any, wanted: Any) -> list[str]:
    if path == "config" and isinstance(stored, str):
        return _compare("", json.loads(stored), json.loads(wanted))
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        texts = []
        for key in sorted(set(stored) | set(wanted), key=str):
            if key not in _FREE:
                inner = f"{path}.{key}" if path else str(key)
                texts += _compare(inner, stored.get(key), wanted.get(key))
        return texts
    if stored == wanted:
        return []
    texts = [json.dumps(value, ensure_ascii=False) for value in (stored, wanted)]
    pairs = enumerate(zip(*texts, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(map(len, texts)))
    before, now = (_short(text, max(0, same - 20)) for text in texts)
    return [f"{path} is {before} in the store and {now} now"]


def _short(text: str, start: int) -> str:
    """At most 60 characters, from about where two texts differ."""
    if len(text) <= 60:
        return text
    start = max(0, min(start, len(text) - 54))
    return ("..." if start else "") + text[start : start + 54] + "..." * (start + 54 < len(text))
