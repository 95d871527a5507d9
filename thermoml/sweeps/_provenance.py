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
_OLD = ("function", "modules")
_MOST = 3  # differences in a message


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
    """The differences, in words, between a store and a run that would continue it.

    The first few, and how many more there are.
    """
    expected = {"store_version": STORE_VERSION, **versions(), **wanted}
    theirs, ours = ({**x, "config": _config(x.get("config"))} for x in (stored, expected))
    program = _differing_program(theirs.pop("program", None), ours.pop("program", None))
    for name in _OLD:  # of earlier revisions, which kept them with the config
        if isinstance(theirs["config"], dict) and name not in ours["config"]:
            theirs["config"].pop(name, None)
    if "environment" in ours and "environment" not in theirs:
        theirs.pop("environment", None)
        ours.pop("environment")
        program.append("its environment is not recorded, for it was begun by an earlier thermoml")
    texts = _compare("", {name: theirs.get(name) for name in ours}, ours)
    texts += [text for text in program if not (texts and text.startswith("values of"))]
    more = len(texts) - _MOST
    return texts[:_MOST] + ([f"and {more} more differences"] if more > 0 else [])


def _differing_program(stored: Any, wanted: Mapping[str, str] | None) -> list[str]:
    """The differences of two programs; [] if `wanted` is None, the user's word that it is the same.

    Texts of functions are not compared where all digests agree: comments may have changed.
    """
    if wanted is None:
        return []
    vouch = 'if it is the same, say so by same_program=True ("--same-program")'
    if not isinstance(stored, Mapping):
        return [f"its program is not recorded, for it was begun by an earlier thermoml; {vouch}"]
    for unknown in (wanted.get("unknown"), stored.get("unknown")):
        if unknown:
            return [f"its program cannot be compared: {unknown}; {vouch}"]
    same = all(stored.get(key) == wanted.get(key) for key in {*stored, *wanted} - {"function"})
    texts = [] if same else _compare("", stored, wanted)
    named = [text for text in texts if not text.startswith("all is")]
    return sorted(named or texts, key=lambda text: not text.startswith("function is"))


def _config(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _compare(path: str, stored: Any, wanted: Any) -> list[str]:
    if path == "config" and isinstance(stored, Mapping):
        path = ""
    if path.rpartition(".")[2] == "file" and isinstance(stored, str) and isinstance(wanted, str):
        stored, wanted = Path(stored).name, Path(wanted).name  # its sha256 is compared, too
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
