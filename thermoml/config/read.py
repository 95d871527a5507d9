"""Configs as mappings: YAML files, shipped names, overrides, the Python objects they name."""

import hashlib
import importlib
import importlib.resources
import importlib.util
import json
import os
import re
import sys
from collections.abc import Hashable, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..numerics.choices import nearest
from .errors import ConfigError, first_mistake

_Schema = TypeVar("_Schema", bound=BaseModel)
_REFERENCE = re.compile(r".+\.py:\w+|[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_IN_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")
_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 10**6


def shipped_configs() -> dict[str, Traversable]:
    """The configs that travel with the package, by name."""
    folder = importlib.resources.files("thermoml") / "configs"
    if not folder.is_dir():  # an editable install reads them from the checkout
        folder = Path(__file__).parents[2] / "configs"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {
        entry.name.removesuffix(".yaml"): entry for entry in sorted(files, key=lambda e: e.name)
    }


def read_config(
    source: str, *, overrides: Sequence[str] = (), quick: bool = False
) -> dict[str, Any]:
    """The settings in a config file, or in the shipped config of that name, not yet checked.

    Args:
        source: a path, or the name of a shipped config.
        overrides: `key=value`, applied last; see `apply_override`.
        quick: whether to apply the config's own `quick` section, which makes it run in seconds.

    Returns:
        The mapping without `quick`; paths in `path/to/file.py:Name` are taken from the config's
        folder and become absolute.

    Raises:
        ConfigError: no such file or name, a directory, not readable, not YAML, empty, no mapping,
            or an override that does not fit.
    """
    path, shipped = Path(source), shipped_configs()
    try:
        if path.is_dir() and source not in shipped:
            raise ConfigError(f"config {source} is a directory; name a YAML file inside it")
        file = path if path.is_file() else shipped.get(source)
    except (OSError, ValueError) as error:  # a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"config {source:.60} cannot be read: {reason}") from None
    if file is None:
        raise ConfigError(f"there is no config {source}{nearest(source, shipped)}")
    content = _mapping(file, source)
    shortened = content.pop("quick", None) or {}
    if not isinstance(shortened, dict):
        raise ConfigError(f"quick must be a mapping of keys, got {shortened!r:.60}")
    if quick:
        content.update(shortened)
    for assignment in overrides:
        apply_override(content, assignment)
    return _with_absolute_paths(content, path.parent)


def _mapping(file: Path | Traversable, source: str) -> dict[str, Any]:
    """The mapping in a YAML file, which messages call `source`."""
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"config {source} is not YAML; check its syntax") from None
    except ValueError as error:
        raise ConfigError(f"config {source} {error}") from None
    except OSError as error:
        raise ConfigError(f"config {source} cannot be read: {error.strerror}") from None
    if content is None:
        raise ConfigError(f"config {source} is empty; begin with study: learning_rules")
    if not isinstance(content, dict):
        raise ConfigError(f"config {source} must be a mapping of keys, got {content!r:.60}")
    return content


def _with_absolute_paths(content: Any, folder: Path) -> Any:
    """The same content with `path/to/file.py:Name` relative to a folder made absolute."""
    if isinstance(content, dict):
        return {key: _with_absolute_paths(value, folder) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_absolute_paths(value, folder) for value in content]
    match = _IN_FILE.fullmatch(content) if isinstance(content, str) else None
    return f"{os.path.abspath(folder / match['path'])}:{match['name']}" if match else content


def apply_override(content: dict[str, Any], assignment: str) -> None:
    """Put `key=value` into `content`; dotted keys go inside, numbers index lists.

    Raises:
        ConfigError: no `=`, a value that is not YAML, or a path that leads nowhere.
    """
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set takes key=value, got {assignment!r}; try --set n_inputs=1000")
    try:
        value = load_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {key} got {text!r:.60}, which {error}, or quote it") from None
    *parents, last = key.split(".")
    place: Any = content
    try:
        for parent in parents:
            if isinstance(place, dict):
                place = place.setdefault(parent, {})
            else:
                place = place[int(parent)]
        place[int(last) if isinstance(place, list) else last] = value
    except (IndexError, ValueError, TypeError):
        raise ConfigError(f"--set {key}: the config has no such place") from None


def checked(content: Mapping[str, Any], schema: type[_Schema]) -> _Schema:
    """The settings in a mapping, checked and completed by a schema.

    Raises:
        ConfigError: the first mistake, in one line.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise ConfigError(first_mistake(error, schema)) from None


def named_objects(content: Any) -> dict[str, Any]:
    """The objects that settings name by `path/to/file.py:Name` or `module:Name`, by these words."""
    if isinstance(content, dict | list | tuple):
        entries = content.values() if isinstance(content, dict) else content
        return {name: x for entry in entries for name, x in named_objects(entry).items()}
    if not isinstance(content, str) or not _REFERENCE.fullmatch(content):
        return {}
    try:
        return {content.rpartition(":")[2]: object_named(content)}
    except Exception:  # other words with a colon
        return {}


def config_json(config: BaseModel) -> str:
    """The config as canonical JSON, for the store's attributes."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True)


def object_named(reference: str) -> Any:
    """The object that a config names by `module:Name` or `path/to/file.py:Name`.

    A file is run once in a process, as a module of a name of its own.

    Raises:
        ConfigError: the reference has no colon, or there is no such file, module or name.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise ConfigError(f"{reference!r} must be module:Name or path/to/file.py:Name")
    module = _file_module(Path(place)) if place.endswith(".py") else _module(place)
    if name not in vars(module):
        names = [key for key in vars(module) if not key.startswith("_")]
        close = nearest(name, names) if names else "; define it there"
        raise ConfigError(f"{place} defines no {name}{close}")
    return vars(module)[name]


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, and lacks one that it imports itself
        raise ConfigError(
            f"there is no module {name}; install it, put its folder on PYTHONPATH, or give the "
            "path of its file, such as my_study.py:MyStudy"
        ) from None


def _file_module(path: Path) -> ModuleType:
    path = path.absolute()
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}; a relative path begins at the folder of the config"
        )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_yaml(text: str) -> Any:
    """The content of a YAML text.

    Raises:
        ValueError: it is not YAML, a key is given twice, or its aliases unfold to more than a
            million entries; the message says where.
    """
    try:
        content = yaml.load(text, Loader=_Loader)  # a SafeLoader
        size = _size(content, {}, set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        own = error.context is None and isinstance(error, yaml.constructor.ConstructorError)
        problem = f"{error.problem}" if own else "check its syntax"
        raise ValueError(f"is not YAML{place}; {problem}") from None
    except yaml.YAMLError:
        raise ValueError("is not YAML; check its syntax") from None
    except RecursionError:
        raise ValueError("is nested too deeply; use fewer brackets") from None
    if size > _MOST_NODES:
        raise ValueError("unfolds to more than a million entries; use fewer aliases")
    return content


def _size(content: Any, known: dict[int, int], within: set[int]) -> int:
    """The number of entries with all aliases unfolded."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) in within:
        raise RecursionError  # an alias inside of itself
    if id(content) not in known:
        within.add(id(content))
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_size(entry, known, within) for entry in inner)
        within.remove(id(content))
    return known[id(content)]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader as YAML 1.2's core schema reads; it refuses keys that repeat.

    `1e-3` is a number, `yes` and `1:30` are words.
    """

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 -- PyYAML's own name

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = (key_node.tag, str(key_node.value))
            if key in seen and key_node.tag != f"{_TAG}merge":
                problem = f"the key {key_node.value} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, OverflowError, AttributeError):  # an explicit tag: !!int abc
            kind = node.tag.removeprefix(_TAG)
            words = f"{node.value!s:.40} is no {kind}"
            if kind == "int":
                words += " that fits; write an integer with fewer digits"
            raise yaml.constructor.ConstructorError(None, None, words, node.start_mark) from None

    def construct_int(self, node: Any) -> int:
        text = str(self.construct_scalar(node))
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)

    def construct_float(self, node: Any) -> float:
        text = str(self.construct_scalar(node)).lower()
        return float(re.sub(r"\.(inf|nan)$", r"\1", text))


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), _first)
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_int)
_Loader.add_constructor(f"{_TAG}float", _Loader.construct_float)
