"""The house keeps its shape: imports point down, every module is on the map, every test has its source."""

import ast
import csv
import graphlib
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import src

ROOT = Path(__file__).parent.parent
MODULES = sorted(file for file in (ROOT / "src").rglob("*.py") if file.name != "__init__.py")
NAMES = {".".join(file.relative_to(ROOT / "src").with_suffix("").parts): file for file in MODULES}


def floors() -> list[list[str]]:
    """The modules of each floor of the map in ``src/__init__.py``, from the ground up."""
    found: list[list[str]] = []
    for line in src.__doc__.partition("lives in:")[0].splitlines():
        if re.fullmatch(r"\S.*:", line):
            found.append([])
        elif line.startswith("    "):
            package, _, names = line[4:].partition("  ")[0].rpartition("/")
            found[-1] += [f"{package}.{name}".replace("/", ".").lstrip(".") for name in names.split()]
    return found[::-1]


def home(of: str) -> set[str]:
    """Modules that the map lets import Hydra or Lightning; a folder stands for all modules in it."""
    named = re.search(rf"^{of} lives in: (.*)$", src.__doc__, re.MULTILINE)[1].replace("and the verbs", " ".join(VERBS))
    places = [place.replace("/", ".") for place in named.split()]
    return {name for name in NAMES if any(name == place or name.startswith(f"{place}.") for place in places)}


FLOORS = floors()
VERBS = FLOORS[-1]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def imported(file: Path) -> set[str]:
    """Modules of ours and packages of others that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            path = node.module.removeprefix("src").lstrip(".") if node.module.split(".")[0] == "src" else node.module
            found |= {path} | {f"{path}.{alias.name}".lstrip(".") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_every_module_stands_on_one_floor_of_the_map():
    listed = [name for names in FLOORS for name in names]
    assert sorted(listed) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name):
    for other in imported(NAMES[name]) & NAMES.keys():
        assert FLOOR[other] <= FLOOR[name], f"{name} imports {other}, which stands above it"


def test_no_verb_imports_a_verb():
    for name in VERBS:
        assert not imported(NAMES[name]) & set(VERBS) - {name}, name


def test_packages_do_not_import_each_other_in_a_circle():
    packages = {name: name.rpartition(".")[0] or name for name in NAMES}
    graph = {package: set() for package in packages.values()}
    for name, package in packages.items():
        graph[package] |= {packages[other] for other in imported(NAMES[name]) & NAMES.keys()} - {package}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize(("of", "packages"), [("Hydra", {"hydra"}), ("Lightning", {"lightning"})])
def test_hydra_and_lightning_live_where_the_map_says(of, packages):
    users = {name for name, file in NAMES.items() if {other.split(".")[0] for other in imported(file)} & packages}
    assert users <= home(of)


def test_there_is_one_instantiate():
    assert [name for name, file in NAMES.items() if "instantiate(" in file.read_text()] == ["build"]


@pytest.mark.parametrize("name", NAMES)
def test_files_and_functions_are_short(name):
    text = NAMES[name].read_text()
    assert len(text.splitlines()) <= (100 if name in VERBS else 300)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            lines = node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)
            assert lines <= 50, f"{node.name} has {lines} lines"


def test_each_module_has_one_test_file():
    tests = ROOT / "tests"
    expected = {tests.joinpath(*name.split(".")[:-1], f"test_{name.split('.')[-1]}.py") for name in NAMES}
    folders = {tests, *(file.parent for file in expected)}
    found = {file for folder in folders for file in folder.glob("test_*.py")}
    others = {tests / f"test_{name}.py" for name in ("contributing", "dialogue", "house", "readme", "sweep")}
    others.add(tests / "metrics/test_official.py")
    assert sorted(found - others - expected) == [] and sorted(expected - found) == []


ADVISORIES = list(csv.DictReader((ROOT / "tests" / "advisories.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", ADVISORIES, ids=lambda row: row["advisory"])
def test_no_version_of_an_advisory_is_pinned_or_admitted(row):
    affected = SpecifierSet(row["affected"])
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert pinned[row["package"]] not in affected
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (admitted,) = (each.specifier for each in map(Requirement, asked) if each.name == row["package"])
    fixed = row["affected"].removeprefix("<")
    older = f"{fixed.rpartition('.')[0]}.{int(fixed.rpartition('.')[2]) - 1}"
    assert older in affected and older not in admitted
