"""Mistakes in configs, each in one line that names the key, its value and the remedy."""

import inspect
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ..numerics.choices import nearest

_LONGEST = 1000  # characters of a message


class ConfigError(ValueError):
    """A config that cannot be run; the message is one line that says what to change.

    Of a long message, which repeats long values, the middle is left out.
    """

    def __init__(self, message: str):
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 310]} … {message[-300:]}"
        super().__init__(message)


def check_different(name: str, labels: Sequence[object]) -> None:
    """ValueError if two entries of a list carry the same label."""
    for label in labels:
        times = labels.count(label)
        if times > 1:
            raise ValueError(f"{name} must differ from one another, got {label} {times} times")


def first_mistake(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first mistake in one line, a misspelt key before a missing one.

    Args:
        error: what `schema` raised.
        schema: the schema of the whole mapping; those of nested mappings are the types of its
            fields.
    """
    mistake = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    place, value, kind = mistake["loc"], mistake["input"], mistake["type"]
    field = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        keys = _schema_at(schema, place[:-1]).model_fields
        return f"unknown key {field}{nearest(place[-1], keys)}"
    if kind == "missing":
        return f"{field} is missing; add it to the config"
    if kind == "literal_error":
        expected = mistake.get("ctx", {})["expected"].replace(" or ", ",")
        choices = [choice.strip("' ") for choice in expected.split(",")]
        return f"{field} must be one of the allowed values, got {value!r}{nearest(value, choices)}"
    message = mistake["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{field}: {message}" if field else message
    message = message[0].lower() + message[1:].replace("Input should", "it should")
    message = message.replace("input should be", "must be")
    return f"{field} {message}, got {value!r:.60}"


def _schema_at(schema: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The schema of the mapping at a place of a config; indices of lists lead nowhere else."""
    for part in place:
        if isinstance(part, str) and part in schema.model_fields:
            schema = _schema_in(schema.model_fields[part].annotation) or schema
    return schema


def _schema_in(annotation: Any) -> type[BaseModel] | None:
    """The schema that a field's type holds: itself, or inside of a list, a union, …"""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_schema_in, get_args(annotation))), None)
