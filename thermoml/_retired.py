"""Names and fields in files of version 0.1, and those that have taken their place.

Version 0.1 named a class by the private file it lay in, `thermoml.langevin._solution:Clock`.
"""

import re
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]  # a class's fields in a header, by name

# A private file of a physics room is that room, but for these.
_FILE = re.compile(r"thermoml\.(langevin|networks|perceptron|thermodynamics)\._\w+:")
_MOVED = {
    "thermoml.langevin:Clock": "thermoml.ensembles:Clock",
    "thermoml.langevin:Direct": "thermoml.ensembles:Direct",
    "thermoml.langevin:ForwardMode": "thermoml.ensembles:ForwardMode",
    "thermoml.langevin:RecursiveCheckpoint": "thermoml.ensembles:RecursiveCheckpoint",
    "thermoml.numerics._sums:CompensatedSum": "thermoml.numerics:CompensatedSum",
    "thermoml.thermodynamics:_Conjugate": "thermoml.thermodynamics:ConjugateForce",
    "thermoml.thermodynamics:_Linear": "thermoml.langevin:LinearForce",
    "thermoml.thermodynamics:_Quadratic": "thermoml.langevin:QuadraticPotential",
    "thermoml.thermodynamics:_Repeated": "thermoml.thermodynamics:CycleProtocol",
}
_LAYER_RATES = {
    "heat_rate": "heat_rate_by_layer",
    "entropy_rate": "entropy_flow_rate_by_layer",
    "current": "energy_current",
    "heat": "heat_rate",
    "work": "work_rate",
    "entropy_production": "entropy_flow_rate",
    "residual": "residual_rate",
}


def _split_checkpoint(fields: Fields) -> tuple[str, Fields]:
    """A checkpoint of learning held weights or R and P, and None for the others."""
    name = "PlaneCheckpoint" if fields.get("weights") is None else "WeightsCheckpoint"
    absent = "weights" if name == "PlaneCheckpoint" else "plane"
    kept = {key: node for key, node in fields.items() if key != absent}
    return f"thermoml.perceptron:{name}", kept


def _estimates(node: Any) -> Any:
    """A pair of value and standard error is an `Estimate`, in dictionaries too."""
    match node:
        case {"tuple": [mean, error]}:
            return {"estimate": [mean, error]}
        case {"dict": dict(items)}:
            return {"dict": {key: _estimates(item) for key, item in items.items()}}
    return node


def _with_estimates(name: str, renamed: dict[str, str] | None = None) -> Callable:
    """The replacement of a class whose pairs became `Estimate`s, some under other names."""

    def change(fields: Fields) -> tuple[str, Fields]:
        names = renamed or {}
        return name, {names.get(key, key): _estimates(node) for key, node in fields.items()}

    return change


def _with_key(name: str, key: Any) -> Callable:
    """A class that has a field `key` since."""
    return lambda fields: (name, fields | {"key": key})


_CHANGED: dict[str, Callable[[Fields], tuple[str, Fields]]] = {
    "thermoml.perceptron:LearningCheckpoint": _split_checkpoint,
    "thermoml.networks:LayerLedger": _with_estimates("thermoml.networks:LayerLedger", _LAYER_RATES),
    "thermoml.networks:LayerTransition": _with_estimates("thermoml.networks:LayerTransition"),
    "thermoml.networks:LocalTemperatures": _with_estimates("thermoml.networks:LocalTemperatures"),
    "thermoml.networks:MeasuredEngine": _with_estimates("thermoml.networks:MeasuredEngine"),
    "thermoml.networks:Trained": _with_estimates(
        "thermoml.networks:Trained", {"found": "distribution"}
    ),
    "thermoml.networks:Thermometer": _with_key("thermoml.networks:Thermometer", {"seed": 0}),
    "thermoml.networks:TypeII": _with_key("thermoml.networks:TypeII", None),
    "thermoml.networks:Boltzmann": _with_estimates("thermoml.networks:Boltzmann"),
}


def current(name: str, fields: Fields) -> tuple[str, Fields]:
    """Today's name and fields of a class in a file; its own if 0.1 did not write them."""
    room = _FILE.sub(r"thermoml.\1:", name)
    if room == name and name not in _MOVED:
        return name, fields
    room = _MOVED.get(room, room)
    return _CHANGED[room](fields) if room in _CHANGED else (room, fields)
