"""What the wheel holds, and what it needs: pyproject.toml against the folders and the imports."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from kg.errors import UserError, extra
from kg.files import shipped

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOMES = packages_distributions()
EXTRAS = {"tune", "plot", "rdflib", "shacl", "serve"}


def distribution(requirement: str) -> str:
    """sqlalchemy of "SQLAlchemy>=2.0"."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()  # type: ignore[index]


def declared(*extras: str) -> set[str]:
    project = PROJECT["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][name] for name in extras)]
    return {distribution(requirement) for group in groups for requirement in group}


class Imports(ast.NodeVisitor):
    """The modules imported when a source is, and those that it imports within `with extra(name)`."""

    def __init__(self, source: str) -> None:
        self.plain: set[str] = set()
        self.extras: dict[str, set[str]] = {}
        self._found = self.plain
        self.visit(ast.parse(source))

    def visit_Import(self, node: ast.Import) -> None:
        self._found.update(alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._found.add((node.module or "").partition(".")[0])

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        call = node.items[0].context_expr
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "extra":
            before, self._found = self._found, self.extras.setdefault(ast.literal_eval(call.args[0]), set())
            self.generic_visit(node)
            self._found = before
        else:
            self.generic_visit(node)


def sources() -> Iterator[tuple[str, Imports]]:
    for path in sorted((ROOT / "kg").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), Imports(path.read_text(encoding="utf-8"))


def distributions(modules: set[str]) -> set[str]:
    others = modules - set(sys.stdlib_module_names) - {"kg", "compression"}  # the standard library's from 3.14 on
    return {distribution(HOMES[name][0]) if name in HOMES else f"(no module {name})" for name in others}


def test_every_package_is_listed() -> None:
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "kg").rglob("__init__.py")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted({*folders, "kg.data"})
    without = {path.parent for path in (ROOT / "kg").rglob("*.py")} - {
        path.parent for path in (ROOT / "kg").rglob("__init__.py")
    }
    assert not without, "a folder of modules needs an __init__.py"


def test_every_import_is_declared() -> None:
    always = declared()
    # Where there is an rdflib graph, rdflib is there: these two import it only then, or as the extra rdflib.
    given = {"kg/store/interop.py": {"rdflib"}, "kg/store/rdflib_view.py": {"rdflib", "oxrdflib"}}
    undeclared = set()
    for path, imports in sources():
        checked = set().union(*imports.extras.values())  # elsewhere in the same file, before it is needed
        undeclared |= {
            (path, name) for name in distributions(imports.plain - checked) - always - given.get(path, set())
        }
        for extra_name, modules in imports.extras.items():
            undeclared |= {(path, name) for name in distributions(modules) - declared(extra_name) - always}
    assert undeclared == set()


def test_every_dependency_is_imported() -> None:
    used = {found for _, imports in sources() for found in distributions(imports.plain.union(*imports.extras.values()))}
    assert declared(*EXTRAS) - used == set()


def test_all_extras_are_in_all_and_in_dev() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras) == {*EXTRAS, "all", "dev"}
    assert set(re.findall(r"\w+", extras["all"][0])) == {"kg", *EXTRAS} and "kg[all]" in extras["dev"]


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "kg.studies.tune", raising=False)
    with pytest.raises(UserError, match=r'^optuna is not installed: pip install "kg\[tune\]"$'):
        __import__("kg.studies.tune")
    with pytest.raises(ZeroDivisionError), extra("tune"):
        raise ZeroDivisionError


@pytest.mark.parametrize("name", ["world.ttl", "vocabulary.ttl"])
def test_the_data_ships(name: str) -> None:
    assert shipped(name).read_bytes() == (ROOT / "data" / name).read_bytes()
