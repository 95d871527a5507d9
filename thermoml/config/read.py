"""Configs as mappings: files, shipped names, overrides, and the Python objects they name."""

import hashlib
import importlib
import importlib.resources
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..numerics.choices import nearest
from ._yaml import load_yaml
from .errors import ConfigError, first_mistake

_Schema = TypeVar("_Schema", bound=BaseModel)
_REFERENCE = re.compile(r".+\.py:\w+|[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_IN_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")


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
