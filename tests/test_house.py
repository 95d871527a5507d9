"""The layout that CONTRIBUTING promises, counted on the source itself."""

import ast
import re
import tomllib
from inspect import ismodule
from pathlib import Path
from typing import NamedTuple

import pytest
from jaxtyping import TypeCheckError

import thermoml as tml

ROOT = Path(__file__).parents[1]
VAGUE = {"found", "shown", "told"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """A source file, parsed, and its dotted name within thermoml as a tuple."""

    name: tuple[str, ...]
    package: tuple[str, ...]
    text: str
    tree: ast.Module


def read(path):
    name = path.relative_to(ROOT / "thermoml").with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    return Module(name if name[-1] != "__init__" else name[:-1], name[:-1], text, ast.parse(text))


MODULES = {module.name: module for module in map(read, sorted((ROOT / "thermoml").rglob("*.py")))}


def imports(module, nodes):
    """The modules of thermoml that `nodes` import, as dotted names."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = module.package[: len(module.package) - node.level + 1]
            source = base + tuple(node.module.split(".") if node.module else ())
            for alias in node.names:
                inner = (*source, alias.name)
                yield inner if inner in MODULES else source
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            yield from (tuple(n.split(".")[1:]) for n in names if n.split(".")[0] == "thermoml")


def every_import():
    """Pairs (module, what it imports) of the whole package, imports inside functions included."""
    for module in MODULES.values():
        for target in imports(module, ast.walk(module.tree)):
            yield module, target


def dotted(*names):
    return " -> ".join(".".join(("thermoml", *name)) for name in names)


def rooms():
    """The rooms from CONTRIBUTING's table, the highest first."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("| room |")[1]
    rows = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
    return [re.findall(r"`(\w+)(?:/|\.py)`", row) for row in rows]


def test_no_import_goes_upwards():
    floor = {room: -i for i, row in enumerate(rooms()) for room in row}
    assert {name[0] for name in MODULES if name} - {"__main__"} == floor.keys()
    upwards = [
        dotted(module.name, target)
        for module, target in every_import()
        if target and module.name and module.name[0] != "__main__"
        if floor[target[0]] > floor[module.name[0]]
    ]
    assert upwards == []


def test_no_circles():
    edges = {name: set(imports(m, m.tree.body)) for name, m in MODULES.items()}
    circles, finished = [], set()

    def visit(name, path):
        if name in path:
            circles.append(dotted(*path[path.index(name) :], name))
        elif name not in finished:
            for target in sorted(edges[name]):
                visit(target, (*path, name))
            finished.add(name)

    for name in edges:
        visit(name, ())
    assert circles == []


def test_private_modules_are_imported_inside_their_own_folder_alone():
    foreign = [
        dotted(module.name, target)
        for module, target in every_import()
        if target
        and target[-1].startswith("_")
        and module.package[: len(target) - 1] != target[:-1]
    ]
    assert foreign == []


def test_files_have_at_most_400_lines():
    long = {dotted(name): m.text.count("\n") for name, m in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def lines_of(function):
    """The lines of a function, its docstring apart."""
    lines, first = function.end_lineno - function.lineno + 1, function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_functions_have_at_most_60_lines_besides_their_docstring():
    long = {
        f"{dotted(name)}.{node.name}": lines_of(node)
        for name, module in MODULES.items()
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTIONS) and lines_of(node) > 60
    }
    assert long == {}


def test_variables_are_named_for_their_content():
    vague = [
        f"{dotted(name)}:{node.lineno}"
        for name, module in MODULES.items()
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE)
        or (isinstance(node, ast.arg | ast.keyword) and node.arg in VAGUE)
    ]
    assert vague == []


def test_the_top_level_is_a_short_list():
    names = [n for n, thing in vars(tml).items() if not (n.startswith("_") or ismodule(thing))]
    assert 55 <= len(names) <= 75


def test_annotations_are_checked(request):
    if not request.config.getoption("--jaxtyping-packages"):
        pytest.skip("the hook is off")
    with pytest.raises(TypeCheckError, match="parameter.*path"):
        tml.load(1)


@pytest.mark.parametrize("room", ["langevin", "thermodynamics", "perceptron", "networks", "sweeps"])
def test_what_a_room_exports_names_a_public_path(room):
    exported = {k: v for k, v in vars(getattr(tml, room)).items() if not k.startswith("_")}
    paths = {name: thing.__module__ for name, thing in exported.items() if callable(thing)}
    assert {name: path for name, path in paths.items() if "._" in path} == {}


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## \[(.*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert cited.group(1) == newest.group(1) == project["version"]
