"""Problems, networks and results on disk: Equinox's serialisation of arrays, with a JSON header.

The first line of a file is a JSON object in UTF-8,

    {"format": "thermoml", "version": 1, "thermoml_version": ..., "structure": ..., "leaves": ...}

After it comes what `equinox.tree_serialise_leaves` writes for the array leaves, in the order of
`jax.tree.leaves`: NumPy .npy records. `leaves` lists them, and the Python numbers among them, by
path, kind, dtype and shape; `structure` is the tree around them. The last line is `crc32 ` and the
checksum of all that is before it (files without `checksum` in the header, of older versions, end
with their arrays). Nothing is pickled, and nothing
that a file names is called or imported: the class of a module is looked up among what is loaded of
thermoml and equinox, by its public name. Version 0.1 wrote private names, which are translated.
"""

import contextlib
import dataclasses
import inspect
import itertools
import json
import os
import sys
import uuid
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import DictKey, GetAttrKey, SequenceKey, tree_flatten_with_path

from ._retired import current
from .numerics import Estimate

_VERSION = 1
_START = b'{"format": "thermoml"'
_PACKAGES = ("thermoml", "equinox")
_ENDING = "crc32 {:08x}\n"
_LENGTH = len(_ENDING.format(0))


class _Leaf(NamedTuple):
    """Entry of the header for a leaf."""

    path: str
    kind: str  # jax, numpy, scalar (NumPy's), key or python
    dtype: str
    shape: Sequence[int] = ()
    value: Any = None  # of a Python number; for a key, its implementation

    def __str__(self) -> str:
        return self.dtype if self.kind == "python" else f"{self.dtype}{list(self.shape)}"


def _at(path: tuple) -> str:
    """A path as Python would have it: `layers[0].weight`."""
    return jax.tree_util.keystr(path).removeprefix(".") or "the root"


def _is_number(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, np.bool_)


def _leaf(path: tuple, x: Any) -> _Leaf | None:
    """The leaf `x` in the header; None unless it is a number, a key or an array of them."""
    if type(x) in (bool, int, float, complex):
        return _Leaf(_at(path), "python", type(x).__name__, value=_plain(x))
    if isinstance(x, jax.Array | jax.ShapeDtypeStruct):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            made_by = str(jax.random.key_impl(x)) if isinstance(x, jax.Array) else None
            return _Leaf(_at(path), "key", x.dtype.name, x.shape, made_by)
        kind = "jax"
    elif type(x) in (np.ndarray, np.memmap):  # a masked array, say, is more than its numbers
        kind = "numpy"
    elif isinstance(x, np.generic):
        kind = "scalar"
    else:
        return None
    return _Leaf(_at(path), kind, x.dtype.name, x.shape) if _is_number(x.dtype) else None


def _plain(x: Any) -> Any:
    """A Python number, str or None in JSON without loss, nan and inf too."""
    return {type(x).__name__: repr(x)} if type(x) in (float, complex) else x


def _name(thing: Any) -> str:
    of = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{getattr(of, '__module__', None)}:{of.__qualname__}"


def _fields(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def _module_class(name: str) -> type[eqx.Module] | None:
    """The concrete module of that name in the two packages, or None."""
    module, _, qualname = name.partition(":")
    thing: Any = sys.modules.get(module) if module.partition(".")[0] in _PACKAGES else None
    for part in qualname.split("."):
        thing = getattr(thing, "__dict__", {}).get(part)  # getattr alone may run code
    if not isinstance(thing, type) or not issubclass(thing, eqx.Module):
        return None
    return None if _name(thing) != name or inspect.isabstract(thing) else thing


def _describe(node: Any, path: tuple, indices: dict[tuple, int]) -> Any:
    """`structure` from `node` on. `indices` are the places in `leaves` by path."""

    def inner(key, child):
        return _describe(child, (*path, key), indices)

    kind = type(node)
    if path in indices:
        return {"leaf": indices[path]}
    if kind in (bool, int, float, complex, str, type(None)):
        return _plain(node)
    if kind is Estimate:
        pair = node._asdict().items()
        return {"estimate": [inner(GetAttrKey(name), item) for name, item in pair]}
    if kind in (list, tuple):
        items = [inner(SequenceKey(i), item) for i, item in enumerate(node)]
        return items if kind is list else {"tuple": items}
    if kind is dict and all(type(key) is str for key in node):
        return {"dict": {key: inner(DictKey(key), item) for key, item in node.items()}}
    # Attributes other than the fields are those of a wrapped function.
    if _module_class(_name(kind)) is kind and vars(node).keys() <= _fields(kind):
        fields = {name: inner(GetAttrKey(name), item) for name, item in vars(node).items()}
        return {"module": _name(kind), "fields": fields}
    return {"opaque": _name(node), "at": _at(path)}


def _rebuild(node: Any, leaves: Sequence, path: Any) -> Any:
    """The inverse of `_describe`, with `leaves` in their places. `path` is that of the file."""
    match node:
        case None | bool() | int() | str():
            return node
        case list():
            return [_rebuild(item, leaves, path) for item in node]
        case {"leaf": int(i)} if 0 <= i < len(leaves):
            return leaves[i]
        case {"float": str(text)}:
            with contextlib.suppress(ValueError):
                return float(text)
        case {"complex": str(text)}:
            with contextlib.suppress(ValueError):
                return complex(text)
        case {"tuple": list(items)}:
            return tuple(_rebuild(item, leaves, path) for item in items)
        case {"estimate": [mean, error]}:
            return Estimate(_rebuild(mean, leaves, path), _rebuild(error, leaves, path))
        case {"seed": int(seed)}:
            return jax.random.key(seed)
        case {"dict": dict(items)}:
            return {key: _rebuild(item, leaves, path) for key, item in items.items()}
        case {"module": str(written), "fields": dict(fields)}:
            name, fields = current(written, fields)
            cls = _module_class(name)
            if cls is None or not fields.keys() <= _fields(cls):
                raise ValueError(
                    f"{path} holds a {written} of {', '.join(fields) or 'no fields'}: there is no "
                    f"such module in thermoml {version('thermoml')}, equinox {version('equinox')}"
                )
            # As Equinox unflattens: neither __init__ nor converters nor checks run again.
            module = object.__new__(cls)
            for field, item in fields.items():
                object.__setattr__(module, field, _rebuild(item, leaves, path))
            for field in dataclasses.fields(cls):  # those that are newer than the file
                if field.name not in fields and field.default is not dataclasses.MISSING:
                    object.__setattr__(module, field.name, field.default)
            return module
        case {"opaque": str(thing), "at": str(at)}:
            raise ValueError(
                f"{path} does not say how to make {thing} (at {at}); "
                "pass like=, a tree of the same structure"
            )
    raise ValueError(f"{path} is damaged: its header describes no tree")


def save(path: str | os.PathLike[str], value: Any) -> None:
    """A file of a problem, network, solution, learning curve or any other pytree.

    Numbers, strings, None, arrays and keys in lists, tuples, dicts and modules of thermoml and
    Equinox come back from `load(path)` bit by bit. Of anything else, such as a function or a module
    of your own, only the numbers, arrays and keys in it are kept, and `load` needs `like`.

    Args:
        path: the file, replaced as a whole or not at all. No suffix is added.
        value: the pytree, with concrete arrays.

    Raises:
        ValueError: an array is traced, by jit, vmap or grad.
        OSError: the file cannot be written; an old one stays as it was.

    Cost: O(bytes); memory for a copy of the largest array.
    """
    flat = tree_flatten_with_path(value)[0]
    for at, x in flat:
        if isinstance(x, Tracer | jax.ShapeDtypeStruct):
            raise ValueError(
                f"value must hold concrete arrays, got {x} at {_at(at)}; save outside of jit, "
                "vmap and grad"
            )
    saved = [(at, x, leaf) for at, x in flat if (leaf := _leaf(at, x))]
    header = {
        "format": "thermoml",
        "version": _VERSION,
        "thermoml_version": version("thermoml"),
        "checksum": "crc32",
        "structure": _describe(value, (), {at: i for i, (at, _, _) in enumerate(saved)}),
        "leaves": [leaf._asdict() for _, _, leaf in saved],
    }
    target = os.path.realpath(path)  # a link stays a link
    part = os.path.join(os.path.dirname(target), f".{uuid.uuid4().hex}.part")
    try:
        with open(part, "x+b") as file:
            file.write(json.dumps(header).encode() + b"\n")
            for _, x, leaf in saved:
                if leaf.kind != "python":
                    data = jax.random.key_data(x) if leaf.kind == "key" else x
                    eqx.default_serialise_filter_spec(file, data)
            file.write(_ENDING.format(_checksum(file, file.tell())).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise OSError(f"cannot save to {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


def _checksum(file: Any, size: int) -> int:
    """The CRC-32 of the first `size` bytes of a file; it is left behind them."""
    file.seek(0)
    total = 0
    while size > 0 and (block := file.read(min(size, 2**20))):
        total, size = zlib.crc32(block, total), size - len(block)
    return total


def _check_content(file: Any, path: Any) -> None:
    """ValueError unless the file ends with its checksum; its position is kept."""
    place, size = file.tell(), os.fstat(file.fileno()).st_size - _LENGTH
    total = _checksum(file, size)
    if size < place or file.read() != _ENDING.format(total).encode():
        raise ValueError(f"{path} is torn or damaged: its content does not have its checksum")
    file.seek(place)


def _read_header(file: Any, path: Any) -> tuple[Any, list[_Leaf], int]:
    """`structure`, `leaves` and the number of bytes behind the arrays.

    Raises:
        ValueError: this is not, or not all of, a file of ours, or it is damaged.
    """
    line = file.readline()
    if line and not line.endswith(b"\n") and line[: len(_START)] == _START[: len(line)]:
        raise ValueError(f"{path} is torn: it ends within its header")
    header = None
    with contextlib.suppress(ValueError, RecursionError):
        header = json.loads(line)
    match header:
        case {"format": "thermoml", "version": int(number), "thermoml_version": writer} if (
            number > _VERSION
        ):
            raise ValueError(
                f"{path} was written by a newer thermoml, {writer}; this is {version('thermoml')}"
            )
        case {"format": "thermoml", "version": 1, "structure": structure, "leaves": list(entries)}:
            if "checksum" in header:
                _check_content(file, path)
            with contextlib.suppress(TypeError, ValueError, SyntaxError):  # np.dtype's
                leaves = [_Leaf(**entry) for entry in entries]
                leaves = [x._replace(dtype=str(x.dtype), shape=tuple(x.shape)) for x in leaves]
                arrays = [leaf for leaf in leaves if leaf.kind not in ("python", "key")]
                if all(_is_number(np.dtype(leaf.dtype)) for leaf in arrays):
                    return structure, leaves, _LENGTH * ("checksum" in header)
            raise ValueError(f"{path} is damaged: its header describes no leaves")
    raise ValueError(f"{path} is not a thermoml file")


def _check_x64(leaf: _Leaf, path: Any) -> None:
    if leaf.kind == "jax" and jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype:
        raise ValueError(
            f"{path} holds {leaf} at {leaf.path}; to load it, enable jax_enable_x64: "
            'jax.config.update("jax_enable_x64", True)'
        )


def _match(theirs: list[_Leaf], ours: list[_Leaf], path: Any) -> list[_Leaf]:
    """The leaves of the file, as jax or NumPy arrays whatever `like` has; ValueError if unlike."""

    def family(leaf):
        return leaf.kind if leaf.kind in ("python", "key") else "array"

    matched = []
    for their, our in itertools.zip_longest(theirs, ours):
        if their and our and family(their) == family(our):
            their = their._replace(kind=our.kind)
            _check_x64(their, path)
            if (their.dtype, their.shape) == (our.dtype, our.shape):
                matched.append(their)
                continue
        raise ValueError(
            f"like must have the {len(theirs)} numbers and arrays of {path}, got {len(ours)}: "
            f"at {(our or their).path} the file has {their or 'none'}, like has {our or 'none'}"
        )
    return matched


def _read(file: Any, leaf: _Leaf, path: Any) -> Any:
    if leaf.kind == "python":
        value = _rebuild(leaf.value, (), path)
    else:
        data = np.lib.format.read_array(file, allow_pickle=False)
        if data.dtype.kind == "V":  # .npy knows bfloat16 and its like by their sizes alone
            data = data.view(leaf.dtype)
        if leaf.kind in ("numpy", "scalar"):
            value = data if leaf.kind == "numpy" else data[()]
        else:
            value = jnp.asarray(data)
            if leaf.kind == "key":
                value = jax.random.wrap_key_data(value, impl=leaf.value)
    present = _leaf((), value)
    if present is None or present[1:4] != leaf[1:4]:
        raise ValueError(f"expected {leaf}, found {present}")
    return value


def _read_all(file: Any, leaves: list[_Leaf], ending: int, path: Any) -> list[Any]:
    """The values of the leaves; ValueError if more than `ending` bytes are behind them."""
    values = []
    for leaf in leaves:
        try:
            values.append(_read(file, leaf, path))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # NumPy raises many kinds for a damaged record
            raise ValueError(f"{path} is torn or damaged at {leaf.path}: {error}") from None
    surplus = os.fstat(file.fileno()).st_size - file.tell() - ending
    if surplus:
        raise ValueError(f"{path} is damaged: {surplus} bytes are behind its end")
    return values


def _check_path(path: Any) -> None:
    """TypeError unless it is the name of a file: an integer would be taken for an open one."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the name of a file, got {path!r:.80}")
    if "\0" in os.fspath(path):
        raise ValueError(f"path must not hold a null character, got {path!r:.80}")


def load(path: str | os.PathLike[str], *, like: Any = None) -> Any:
    """The value in a file that `save` wrote.

    Args:
        path: the file.
        like: needed where the file holds what it cannot make, such as functions: a tree of the same
            structure, as for `equinox.tree_deserialise_leaves`. Its numbers, arrays and keys are
            replaced in order, jax arrays by jax arrays and NumPy's by NumPy's (the former may be
            `jax.ShapeDtypeStruct`); its other leaves and its static fields are kept.

    Returns:
        The tree, its jax arrays strongly typed and on the default device. Modules are made without
        their `__init__`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a thermoml file, torn, damaged, or of a newer thermoml; 64-bit jax arrays
            without `jax_enable_x64`; a module that is not here; something that needs `like`; leaves
            of another number, shape or dtype than those of `like`.

    Cost: O(bytes), read twice. All but the arrays is checked before one is read.
    """
    _check_path(path)
    with open(path, "rb") as file:
        structure, leaves, ending = _read_header(file, path)
        if like is None:
            for leaf in leaves:
                _check_x64(leaf, path)
            _rebuild(structure, leaves, path)  # refuses what cannot be made, before reading
            return _rebuild(structure, _read_all(file, leaves, ending, path), path)
        flat, treedef = tree_flatten_with_path(like)
        ours = [_leaf(at, x) for at, x in flat]
        matched = _match(leaves, [x for x in ours if x], path)
        values = iter(_read_all(file, matched, ending, path))
        pairs = zip(ours, flat, strict=True)
        return treedef.unflatten([next(values) if leaf else x for leaf, (_, x) in pairs])
