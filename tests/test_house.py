"""The house keeps its shape: imports point down, every module is on the map, every test has its source."""

import ast
import csv
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import src

ROOT = Path(__file__).parent.parent
MODULES = sorted(file for file in (ROOT / "src").rglob("*.py") if file.name != "__init__.py")
# From bottom to top; a module may import from its own floor and from those below.
FLOORS = (
    ("tiles.geometry",),
    (
        "data.guard",
        "data.incomplete",
        "data.stack",
        "data.cache",
        "data.image",
        "data.augment",
        "data.weight_map",
        "metrics",
        "tiles",
        "model.unet",
        "model.loss",
        "run.device",
        "run.signals",
        "run.layout",
        "run.archive",
    ),
    ("data", "run.reading", "run.directory", "run.pictures", "run.prediction", "run.store"),
    ("model.segmenter", "run"),
    ("build", "command"),
    ("predict", "score", "report", "check"),
    ("train", "preview"),
)


def name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)


def floor(module: str) -> int:
    for number, members in enumerate(FLOORS):
        if any(module == member or module.startswith(f"{member}.") for member in members):
            return number
    raise AssertionError(f"{module} stands on no floor")


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "src":
            path = node.module.removeprefix("src").lstrip(".")
            inner = [f"{path}.{alias.name}".lstrip(".") for alias in node.names]
            known = {name(module) for module in MODULES}
            found.update(known & {path, *inner})
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_imports_point_down(file):
    own = floor(name(file))
    for other in imported(file) & {name(module) for module in MODULES}:
        assert floor(other) <= own, f"{name(file)} imports {other}, which stands above it"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_hydra_lives_in_build_and_the_commands(file):
    text = file.read_text()
    if floor(name(file)) < floor("build"):
        assert "import hydra" not in text and "from hydra" not in text
    if name(file) != "build":
        assert "instantiate(" not in text


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


def test_every_module_is_on_the_map():
    for module in MODULES:
        assert module.stem in src.__doc__, f"{name(module)} is not in src/__init__.py"
