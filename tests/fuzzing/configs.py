"""Random configs: the shipped ones with keys dropped, added, misspelt, and other values."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import yaml
from hypothesis import strategies as st

from thermoml.config import load_yaml, shipped_configs
from thermoml.studies import AbstractStudy, load_study, sweep_of
from thermoml.sweeps import Sweep

from .judgement import objection
from .values import CONTENT, NUMBERS, WORDS, holds_nan


def _words(content: Any) -> Iterator[str]:
    """All words among the values of a config."""
    if isinstance(content, dict | list):
        for entry in content.values() if isinstance(content, dict) else content:
            yield from _words(entry)
    elif isinstance(content, str):
        yield content


NAMES = sorted(shipped_configs())
SHIPPED = {
    name: load_yaml(file.read_text(encoding="utf-8")) for name, file in shipped_configs().items()
}
KEYS = sorted({key for content in SHIPPED.values() for key in content})
ENTRIES = sorted({entry for content in SHIPPED.values() for entry in _words(content)})


# Their grids hold steady states, which are computed for half a minute.
COMPUTED = ("entropy_production",)


def planned(study: AbstractStudy) -> Sweep | None:
    """A study as far as a run goes before it compiles anything: grid, task, program, groups."""
    if study.config.study in COMPUTED:
        return None
    with jax.enable_x64(study.config.precision == "float64"):
        sweep = sweep_of(study)
        sweep.task.groups()
    return sweep


def read(text: str, folder: Path, overrides: list[str] | None = None) -> Sweep | None:
    """The plan of a config file with this text, which the command line would run."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return planned(load_study(str(path), overrides=overrides or ()))


def objections(content: Any, folder: Path) -> str | None:
    """The objection to what becomes of a config; its folder is for a file of it."""
    names = {*KEYS, "module", "file", "rule", *map(str, content)}
    text = dump(content)
    return objection(lambda: read(text, folder), names=names, senseless=holds_nan(content))


_SMALL = "study: stirling\nduration: [1.0]\ndt: 0.01"


def objections_to_override(assignment: str, folder: Path) -> str | None:
    """The objection to what becomes of a small config with `--set` and this assignment."""
    return objection(lambda: read(_SMALL, folder, [assignment]))


def dump(content: Any) -> str:
    """A mapping as a YAML file."""
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


@st.composite
def _places(draw: st.DrawFn, content: Any) -> tuple[Any, Any]:
    """A container within a config, and a key or index of it."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if "study" in keys and len(keys) > 1 and draw(st.integers(0, 9)):
            keys.remove("study")
        key = draw(st.sampled_from(keys))
        inner = content[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            return content, key
        content = inner


def _others(value: Any) -> st.SearchStrategy[Any]:
    """Values that are nearly right in the place of another."""
    if isinstance(value, bool) or value is None:
        return st.sampled_from([True, False, None, 0, 1, "true"])
    if isinstance(value, int | float):
        near = [-value, value + 1, 2 * value, 0, 1, f"{value}", [value], [value, value]]
        factors = st.sampled_from([2, 10, 1000, 10**6, 10**12])
        return st.one_of(
            NUMBERS,
            st.sampled_from(near),
            factors.map(lambda x: x * value),
            factors.map(lambda x: value // x if isinstance(value, int) else value / x),
        )
    if isinstance(value, str):
        return st.one_of(st.sampled_from(ENTRIES), WORDS)
    if isinstance(value, list):
        some = [
            [],
            value + value[:1],
            value[:1],
            value[::-1],
            [value],
            value * 3,
            {"linear": value},
        ]
        ranges = st.lists(NUMBERS, min_size=3, max_size=3)
        return st.one_of(
            st.sampled_from(some),
            st.lists(NUMBERS, max_size=3),
            st.builds(lambda kind, x: {kind: x}, st.sampled_from(["linear", "log"]), ranges),
        )
    return st.sampled_from([{}, [], [value], {**value, "name": "hebbian"}, list(value)])


@st.composite
def mutated(draw: st.DrawFn, name: str | None = None) -> dict[str, Any]:
    """The content of a shipped config with up to three changes."""
    content = copy.deepcopy(SHIPPED[name or draw(st.sampled_from(NAMES))])
    if draw(st.booleans()):
        content |= content["quick"]
    del content["quick"]
    for _ in range(draw(st.integers(1, 3))):
        place, key = draw(_places(content))
        change = draw(st.sampled_from([*["near"] * 6, "value", "value", "drop", "misspell", "add"]))
        if change == "near":
            place[key] = draw(_others(place[key]))
        elif change == "value" or (change == "misspell" and isinstance(place, list)):
            place[key] = draw(CONTENT)
        elif change == "drop":
            del place[key]
        elif change == "misspell":
            place[str(key)[:-1] + "x"] = place.pop(key)
        elif isinstance(place, dict):
            place[draw(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)))] = draw(CONTENT)
        else:
            place.append(draw(CONTENT))
        if not content:
            break
    return content


_PARTS = st.sampled_from(["0", "x", "-1", "", "a.b"])
OVERRIDES = st.builds(
    "{}={}".format,
    st.one_of(
        st.sampled_from(KEYS),
        st.builds(
            "{}.{}".format, st.sampled_from(KEYS), st.sampled_from(["0", "x", "-1", "", "a.b"])
        ),
        st.text(max_size=6),
    ),
    st.one_of(st.builds(lambda x: yaml.safe_dump(x, default_flow_style=True), CONTENT), st.text()),
)
_PIECES = st.one_of(
    st.sampled_from(["study: sweep\n", "&a ", "*a", "<<: *a\n", "!!int ", "!!float ", "!!binary "]),
    st.sampled_from(["!!set ", "!!timestamp ", "!!omap ", "!!pairs ", "%YAML 1.1\n", "---\n"]),
    st.sampled_from(["[", "]", "{", "}", ": ", "- ", "\n", "  ", "\t", "? ", "| ", "> ", "'", '"']),
    st.sampled_from(["#", "1e-3", ".nan", "yes", "~", "\ufeff", "\x00"]),
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map("".join))
