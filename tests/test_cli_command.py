"""A command is one function and its line in the README; what holds for the library beside the commands."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from commands import COMMANDS, ROOT
from templates import template

from kg.cli.command import with_option
from kg.errors import UserError

LIBRARY = sorted(path for path in (ROOT / "kg").rglob("*.py") if path.parent.name != "cli")
FLAG = r"(?<![\w-])--[a-z]"


def test_an_error_names_the_option_for_the_setting() -> None:
    line = "batch_size must be at least 1: got 0"
    assert with_option(UserError(line, "batch_size"), COMMANDS["train"]) == "--batch-size must be at least 1: got 0"
    assert with_option(UserError("relations: none is given", "relations"), COMMANDS["train"]).startswith("--relation:")
    assert with_option(UserError(line), COMMANDS["train"]) == line
    assert with_option(UserError(line, "batch_size"), COMMANDS["info"]) == line  # which has no such option
    assert with_option(UserError("source is wrong", "source"), COMMANDS["train"]) == "source is wrong"  # an argument
    assert with_option(UserError(line, "batch_size"), None) == line


def texts(source: str) -> Iterator[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_the_library_names_no_flag_and_prints_nothing() -> None:
    for path in LIBRARY:
        source = path.read_text(encoding="utf-8")
        assert [text for text in texts(source) if re.search(FLAG, text)] == [], path
        assert not re.search(r"^\s*(from|import) rich\b|\bprint\(", source, re.MULTILINE), path


def test_how_texts_are_found() -> None:
    source = '"""kg --help"""\ndef f():\n    """--top"""\n    return f"--seed {f}: --- --"\n'
    found = list(texts(source))
    assert found == ["--seed ", ": --- --"]
    assert [bool(re.search(FLAG, text)) for text in found] == [True, False]


def test_a_new_command_is_one_function(tmp_path: Path) -> None:
    """Added to a copy of the sources, it runs, has help, and is found by the test that asks for its README line."""
    (tmp_path / "kg").symlink_to(tmp_path / "source")
    for path in (ROOT / "kg").rglob("*.py"):
        copy = tmp_path / "source" / path.relative_to(ROOT / "kg")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / "source" / "cli" / "store.py").open("a") as file:
        file.write("\n\n" + template("command"))

    def ran(*arguments: str) -> str:
        command = [sys.executable, "-m", "kg", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert ran("hello", "world.kg", "--loud") == "HELLO WORLD.KG\n"
    assert "\n  hello " in ran("--help")
    assert "In capitals." in ran("hello", "--help") and ran("hello", "--help").endswith("kg hello world.kg --loud\n")
