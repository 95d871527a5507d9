"""YAML 1.2 as its core schema reads it: `1e-3` is a number, and `yes` and `1:30` are words."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 10**6


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the readings of YAML 1.2, which refuses keys that repeat."""

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
