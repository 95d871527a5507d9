"""Digests of a program: functions with all that they refer to, classes, arrays and other values."""

import dis
import functools
import hashlib
import importlib
import inspect
import sys
import sysconfig
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._grid import Grid

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_WRAPPED = (property, staticmethod, classmethod, functools.cached_property)
# Members of a class that Python, dataclasses and abc make, or that compute nothing.
_MADE = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"}
_MADE |= {"__abstractmethods__", "_abc_impl", "__firstlineno__", "__static_attributes__"}
_MADE |= {
    "__slotnames__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__dataclass_params__",
}
_LOADS = {"LOAD_GLOBAL", "LOAD_NAME"}


_PYTHON = "{}.{}".format(*sys.version_info)  # bytecode depends on it


class UnknownProgram(ValueError):
    """Something in a program whose content cannot be told; the message says where and why."""


def program_of(function: Callable[..., Any], grid: Grid) -> dict[str, str]:
    """Digests of a function and of a grid's values, for a store; `unknown` where there are none."""
    values = {name: x for axis in grid.axes for name, x in axis.items()}
    try:
        parts = function_parts(function)
        parts |= {f"values of {name}": value_digest(x, name) for name, x in values.items()}
    except UnknownProgram as error:
        parts = {"unknown": str(error)}
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):  # typed at a prompt, or not a plain function
        source = getattr(function, "__qualname__", type(function).__qualname__)
    return {"function": source, "python": _PYTHON, **parts}


def program_of_study(study: Any, names: Iterable[str], others: Mapping[str, Any]) -> dict[str, str]:
    """The same for named members of a user's own study and for other objects of his by name."""
    try:
        parts = class_parts(type(study), names)
        parts |= {name: value_digest(x, name) for name, x in others.items()}
    except UnknownProgram as error:
        parts = {"unknown": str(error)}
    own = others or not _installed(type(study).__module__)
    return {"python": _PYTHON, **parts} if own else {}


def without_program(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that a store must have when its program is not compared."""
    return {name: value for name, value in attributes.items() if name != "program"}


def function_parts(function: Callable[..., Any]) -> dict[str, str]:
    """Digests of a function and, by name, of everything that it refers to, for a store.

    They follow code (not its lines, names or comments), defaults, closures, arguments of
    `functools.partial`, globals, helpers in modules of the user's own, and arrays by content;
    functions of installed packages are told apart by name and version. They are the same in every
    process of one version of Python.

    Raises:
        UnknownProgram: something has no content that can be told, such as a generator or a lock.
    """
    walk = _Walk()
    whole = walk.digest(function, "the function")
    return walk.parts | {"all": whole[:16]}


def class_parts(cls: type, names: Iterable[str]) -> dict[str, str]:
    """The same for those members of a class that are named, and all that they use of it.

    Raises:
        UnknownProgram: as for `function_parts`.
    """
    walk = _Walk()
    members = [walk.member(cls, name) for name in names]
    return walk.parts | {"all": _hash("members", *members)[:16]}


def value_digest(value: Any, place: str) -> str:
    """The digest of any value; `place` names it in errors.

    Raises:
        UnknownProgram: as for `function_parts`.
    """
    return _Walk().digest(value, place)[:16]


def _hash(*parts: str | bytes) -> str:
    """One digest of several texts, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        total.update(b"%d:" % len(content))
        total.update(content)
    return total.hexdigest()


@functools.cache
def _installed(module: str) -> bool:
    """Whether a module belongs to Python, thermoml or an installed package."""
    root = module.partition(".")[0]
    if root == __name__.partition(".")[0] or root in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(module) or sys.modules.get(root), "__file__", None)
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return file is not None and any(file.startswith(f"{folder}/") for folder in folders)


def _named(module: str, name: str) -> Any:
    """The object of that qualified name in a module; None if there is none."""
    parts = name.split(".")
    return functools.reduce(lambda x, part: getattr(x, part, None), parts, sys.modules.get(module))


def _reference(module: str, name: str) -> str:
    root = module.partition(".")[0]
    return f"{module}:{name} {getattr(sys.modules.get(root), '__version__', '')}"


class _Walk:
    """Digests of values, each computed once; `parts` has those of named parts of functions."""

    def __init__(self):
        self.parts: dict[str, str] = {}
        self._done: dict[Any, str] = {}
        self._open: dict[Any, int] = {}  # those that are being computed: cycles end at them
        self._alive: list[Any] = []  # an id belongs to one object only while that lives

    def digest(self, value: Any, place: str) -> str:
        """The digest of a value at a place, which errors name."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return _hash(type(value).__name__, repr(value))
        return self._once(id(value), value, lambda: self._content(value, place))

    def _once(self, key: Any, value: Any, content: Callable[[], Iterable[str | bytes]]) -> str:
        if key in self._open:
            return _hash("cycle", str(len(self._open) - self._open[key]))
        if key not in self._done:
            self._open[key] = len(self._open)
            self._alive.append(value)
            try:
                self._done[key] = _hash(*content())
            finally:
                del self._open[key]
        return self._done[key]

    def _content(self, value: Any, place: str) -> Iterable[str | bytes]:
        if isinstance(value, types.ModuleType):
            return ("module", value.__name__)
        if isinstance(value, types.FunctionType):
            return self._function(value, place)
        if isinstance(value, types.MethodType):
            parts = value.__self__, value.__func__
            return ("method", *(self.digest(part, place) for part in parts))
        if isinstance(value, types.CodeType):
            return self._code(value, place)
        if isinstance(value, type):
            return self._class(value, place)
        if isinstance(value, _WRAPPED):
            names = ("fget", "fset", "__func__", "func")
            inner = [getattr(value, name) for name in names if hasattr(value, name)]
            return (type(value).__name__, *(self.digest(x, place) for x in inner))
        if isinstance(value, jax.Array | np.ndarray | np.generic):
            return self._array(value, place)
        if type(value) in (list, tuple):
            return (type(value).__name__, *(self.digest(x, place) for x in value))
        if isinstance(value, dict | types.MappingProxyType):
            pairs = [(self.digest(k, place), self.digest(x, place)) for k, x in value.items()]
            return ("dict", *(text for pair in pairs for text in pair))
        if isinstance(value, set | frozenset):
            return ("set", *sorted(self.digest(x, place) for x in value))
        return self._object(value, place)

    def _array(self, value: Any, place: str) -> Iterable[str | bytes]:
        if isinstance(value, Tracer):
            raise UnknownProgram(f"{place} is traced, so it has no value yet")
        if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            implementation = str(jax.random.key_impl(value))
            return ("key", implementation, *self._array(jax.random.key_data(value), place))
        array = np.asarray(value)
        if array.dtype.hasobject:
            return ("objects", str(array.shape), self.digest(array.tolist(), place))
        return ("array", str(array.dtype), str(array.shape), array.tobytes())

    def _function(self, function: types.FunctionType, place: str) -> Iterable[str]:
        """Code with defaults, closure and globals; of an installed function all but the globals."""
        home = str(function.__globals__.get("__name__") or function.__module__)
        name = function.__qualname__
        for module in (function.__module__, home):  # the first is that of a decorated one
            if isinstance(module, str) and _installed(module) and _named(module, name) is function:
                return ("reference", _reference(module, name))
        closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        named = {f"closure {key}": _cell(cell) for key, cell in closure}
        named |= {f"default {i}": x for i, x in enumerate(function.__defaults__ or ())}
        named |= {f"default {key}": x for key, x in (function.__kwdefaults__ or {}).items()}
        if _installed(home):
            code = _hash("reference", _reference(home, function.__code__.co_qualname))
        else:
            code = self.digest(function.__code__, place)
            named |= dict(_globals(function.__code__, function.__globals__))
        texts = [code]
        self.parts[f"code of {name}"] = code[:16]
        words = {name for code in _codes(function) for name in code.co_names}
        entries = [x for key, value in named.items() for x in _members(key, value, words, set())]
        for key, value in entries:
            digest = self.digest(value, f"{key} of {name}")
            self.parts[f"{key} of {name}"] = digest[:16]
            texts += [key, digest]
        return ("function", *texts)

    def _code(self, code: types.CodeType, place: str) -> Iterable[str | bytes]:
        shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        constants = [self.digest(x, place) for x in code.co_consts]
        return ("code", repr(shape), repr(names), code.co_code, code.co_exceptiontable, *constants)

    def _class(self, cls: type, place: str) -> Iterable[str]:
        if _installed(cls.__module__):
            return ("class", _reference(cls.__module__, cls.__qualname__))
        bases = [self.digest(base, place) for base in cls.__bases__]
        members = [(k, x) for k, x in sorted(vars(cls).items()) if not _made(k)]
        texts = [(k, self.digest(x, f"{k} of {cls.__qualname__}")) for k, x in members]
        return ("class", *bases, *(text for pair in texts for text in pair))

    def member(self, cls: type, name: str) -> str:
        """The digest of a member of a class, and of those that its code names in turn."""
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        if owner is None or _installed(owner.__module__):
            return ""
        value, place = vars(owner)[name], f"{name} of {owner.__qualname__}"

        def content() -> Iterator[str]:
            yield "member"
            yield self.digest(value, place)
            for code in _codes(inspect.unwrap(getattr(value, "fget", value))):
                yield from (self.member(cls, inner) for inner in code.co_names)

        self.parts[place] = digest = self._once((cls, name), value, content)
        return digest

    def _object(self, value: Any, place: str) -> Iterable[str]:
        """A thing as pickle takes it apart; a wrapper by what it wraps."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(module, str) and isinstance(name, str) and _installed(module):
            return ("reference", _reference(module, name))
        kind = self.digest(type(value), place)
        inner = getattr(value, "__wrapped__", None)
        if callable(value) and callable(inner):
            return ("wrapper", kind, self.digest(inner, place))
        if isinstance(value, jax.tree_util.PyTreeDef):
            return ("structure", str(value))
        if isinstance(value, weakref.ref):
            return ("weak", self.digest(value(), place))
        if isinstance(value, types.UnionType):
            return ("union", *(self.digest(x, place) for x in value.__args__))
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            words = f"{place} holds a {type(value).__qualname__}, whose content cannot be told"
            raise UnknownProgram(f"{words} ({error})") from None
        if isinstance(reduced, str):
            return ("reference", kind, f"{module}:{reduced}")
        make, arguments, *rest = reduced
        rest = [list(x) if isinstance(x, Iterator) else x for x in rest]
        return ("object", kind, *(self.digest(x, place) for x in (make, arguments, *rest)))


def _made(name: str) -> bool:
    """Whether Python or pydantic has made a member of a class from the others."""
    return name in _MADE or (name.startswith("__pydantic_") and name != "__pydantic_fields__")


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def _codes(value: Any) -> Iterator[types.CodeType]:
    """The code of a function, and of the functions inside of it."""
    code = getattr(value, "__code__", value)
    if isinstance(code, types.CodeType):
        yield code
        for constant in code.co_consts:
            yield from _codes(constant)


def _globals(code: types.CodeType, scope: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The globals that code loads, and the modules that it imports."""
    loaded: dict[str, Any] = {}
    for inner in _codes(code):
        for step in dis.get_instructions(inner):
            if step.opname in _LOADS and step.argval in scope:
                loaded[step.argval] = scope[step.argval]
            elif step.opname == "IMPORT_NAME":
                loaded |= _imported(str(step.argval), scope)
    for name, value in sorted(loaded.items()):
        yield f"global {name}", value


def _imported(name: str, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The module that code imports when it runs."""
    for relative in ("", "."):
        try:
            return {name: importlib.import_module(relative + name, scope.get("__package__"))}
        except Exception:  # it fails where it runs
            continue
    return {}


def _members(
    place: str, value: Any, names: set[str], entered: set[str]
) -> Iterator[tuple[str, Any]]:
    """A value with its place; of a module of the user's own also the members that code names."""
    yield place, value
    if isinstance(value, types.ModuleType) and not _installed(value.__name__):
        if value.__name__ not in entered:
            entered.add(value.__name__)
            for name in sorted(names & vars(value).keys()):
                yield from _members(f"{place}.{name}", vars(value)[name], names, entered)
