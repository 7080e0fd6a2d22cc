"""The map of who may import whom, held by reading the sources; and what an import must not bring along."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent

READ_THE_VERSION = {"bundle", "cli"}  # `import kg`, whose __version__ they give


def rooms() -> dict[str, set[str]]:
    """The map of docs/architecture.md: a room, and the rooms that it may import."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"[a-z]+", cells[0]) and cells[0] != "room":
            found[cells[0]] = set(found) if cells[2] == "all" else set(filter(None, cells[2].split(", ")))
    return found


ROOMS = rooms()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "kg").rglob("*.py"))}


def room(module: str) -> str:
    """'store' for kg.store.facts, 'bundle' for kg.bundle, '' for kg itself; `python -m kg` is the command line's."""
    found = module.partition(".")[2].partition(".")[0]
    return "cli" if found == "__main__" else found


class Imports(ast.NodeVisitor):
    """The modules of kg that a source names, wherever it does: at its top, in a function, as "kg.module:name".

    Those that are there for the eyes of a type checker are kept apart: they never run.
    """

    def __init__(self, source: str) -> None:
        self.run: set[str] = set()
        self.typed: set[str] = set()
        self.named: set[str] = set()
        self._found = self.run
        self.visit(ast.parse(source))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return self.generic_visit(node)
        before, self._found = self._found, self.typed
        self.generic_visit(node)
        self._found = before

    def visit_Import(self, node: ast.Import) -> None:
        self._found.update(alias.name for alias in node.names if alias.name.split(".")[0] == "kg")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "relative imports are not used here"
        module = node.module or ""
        if module.split(".")[0] != "kg":
            return
        for alias in node.names:
            inner = f"{module}.{alias.name}"
            self._found.add(inner if inner in MODULES else module)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and re.fullmatch(r"kg(\.\w+)+:\w+", node.value):
            self.named.add(node.value.partition(":")[0])


def imports(module: str) -> Imports:
    return Imports(MODULES[module].read_text(encoding="utf-8"))


def test_how_imports_are_read() -> None:
    source = """
import os, kg.bundle
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from kg.store.store import Store
from kg import generations, __version__
def f():
    if f:
        from kg.graph import dataset
    return {"x": "kg.models.rescal:RESCAL", "y": "no kg.module:here"}
"""
    found = Imports(source)
    assert found.run == {"kg.bundle", "kg.generations", "kg", "kg.graph.dataset"}
    assert (found.typed, found.named) == ({"kg.store.store"}, {"kg.models.rescal"})


def strangers(module: str, source: str) -> Iterator[str]:
    """The modules that the map does not let this one import, for types only or not."""
    here = room(module)
    found = Imports(source)
    for other in sorted(found.run | found.typed | found.named):
        if other == "kg":
            if here not in READ_THE_VERSION:
                yield other
        elif room(other) not in ROOMS[here] | {here}:
            yield other


@pytest.mark.parametrize("module", [name for name in MODULES if name != "kg"])
def test_the_map(module: str) -> None:
    assert room(module) in ROOMS, f"{module} lies in no room of the map"
    assert list(strangers(module, MODULES[module].read_text(encoding="utf-8"))) == []


def test_the_map_is_held() -> None:
    assert list(strangers("kg.store.facts", "from kg.graph.graph import Graph")) == ["kg.graph.graph"]
    assert list(strangers("kg.graph.graph", "def f():\n from kg.models import scorer")) == ["kg.models.scorer"]
    assert list(strangers("kg.models.rescal", "import kg")) == ["kg"]
    assert list(strangers("kg.generations", "from kg.errors import UserError")) == []
    assert list(strangers("kg.training.train", "if TYPE_CHECKING:\n from kg.query import predictor")) == [
        "kg.query.predictor"
    ]


def test_the_map_is_written_from_the_lowest_room_up() -> None:
    assert len(ROOMS) > 15
    for number, (name, allowed) in enumerate(ROOMS.items()):
        assert allowed <= set(list(ROOMS)[:number]), name


def test_every_room_of_the_map_is_there() -> None:
    assert {room(module) for module in MODULES} - {""} == set(ROOMS)


def test_no_module_imports_itself_in_the_end() -> None:
    """Nor for types alone."""
    found = {name: imports(name) for name in MODULES if name != "kg"}
    try:
        TopologicalSorter({name: (each.run | each.typed) - {"kg"} for name, each in found.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_the_front_names_all_it_gives() -> None:
    import kg

    assert sorted(kg.__all__) == sorted([*kg._HOMES, "UserError"])
    for name in kg.__all__:
        assert getattr(kg, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Stoer'"):
        _ = kg.Stoer


def loaded_by(*statements: str) -> set[str]:
    """What a fresh Python has imported after these statements."""
    program = "; ".join([*statements, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


SLOW = {"torch", "torch_geometric", "rdflib", "networkx", "sklearn", "scipy", "numba"}


@pytest.mark.parametrize("module", ["kg", "kg.cli.app", "kg.store.store", "kg.store.worker", "kg.query.sparql.scored"])
def test_what_answers_at_once_imports_nothing_slow(module: str) -> None:
    assert loaded_by(f"import {module}") & SLOW == set()


def test_a_question_waits_for_no_compiler_and_no_optimizer() -> None:
    """Each of them takes a second or two."""
    loaded = loaded_by("import kg.cli.ask, kg.query.predictor, kg.query.complex.cqd")
    assert not loaded & {"numba", "scipy.optimize", "scipy.special"}


def test_to_declare_a_scorer_imports_nothing_more() -> None:
    """PyTorch's way to draw at random on the meta device takes 800 modules, and a second."""
    loaded = loaded_by(
        "from kg.models.complex import ComplEx; from kg.models.declaration import declared", "declared(ComplEx, 9, 2)"
    )
    assert not {name for name in loaded if name.startswith("torch._dynamo")}


def test_naming_one_scorer_imports_that_one() -> None:
    loaded = loaded_by("from kg.models import scorer_class", "scorer_class('transe')")
    assert {name for name in loaded if re.fullmatch(r"kg\.models\.\w+", name)} == {
        "kg.models.arguments",
        "kg.models.dropout",
        "kg.models.scorer",
        "kg.models.tables",
        "kg.models.transe",
    }
    assert "torch_geometric" not in loaded


# Tested by way of what calls them alone, and where.
TESTED_BY = {
    "belief": "bundle",
    "card": "bundle",
    "packed": "index",
    "entity_bounds": "one_entity",
    "__main__": "cli_app",
    "cli_bench": "cli_studies",
    "cli_calibrate": "cli_train",
    "cli_console": "cli_app",
    "cli_options": "cli_app",
    "cli_publish": "publish",
    "cli_run_settings": "cli_train",
    "cli_tables": "cli_evaluate",
    "cli_tune": "cli_studies",
    "compiled": "mining",
    "connections": "mining",
    "constants": "mining",
    "content": "reading",
    "document": "reading",
    "format": "candidate_files",
    "dropout": "recipes",
    "change": "knowledge",
    "changes": "knowledge",
    "jsonl": "candidate_files",
    "rdf": "candidate_files",
    "tsv": "candidate_files",
    "eligibility": "discovery",
    "fact_logits": "discovery",
    "encoders": "recipes",
    "ensembles": "recipes",
    "grounding": "mining",
    "jsonld": "reading",
    "resources": "train",
    "progress": "cli_progress_bar",
    "ntriples": "reading",
    "rdflib_view": "interop",
    "syntax": "syntaxes",
    "table": "reading",
    "transformer_blocks": "neighbourhood",
    "turtle": "guard",
}


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.stat().st_size])
def test_every_module_has_its_tests(module: str) -> None:
    """A test file of its name or of what calls it, or one that imports it."""
    name = module.rpartition(".")[2]
    if room(module) == "cli" and name != "__main__":
        name = f"cli_{name}"
    sources = (path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py"))
    imported = rf"{re.escape(module)}\b|from {re.escape(module.rpartition('.')[0])} import [^\n]*\b{name}\b"
    named = TESTS / f"test_{TESTED_BY.get(name, name)}.py"
    assert named.exists() or any(re.search(imported, source) for source in sources)
