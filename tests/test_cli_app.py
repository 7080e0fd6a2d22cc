"""What all commands have in common: their help, their errors, how they exit."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, ROOT, done, process, refused, run

import kg


def test_users_errors(country_store: Path, country_model: Path, tmp_path: Path) -> None:
    assert "no such directory" in refused("info", tmp_path / "nothing")
    assert "missing.ttl" in refused("load", tmp_path / "s.kg", tmp_path / "missing.ttl")
    (tmp_path / "bad.nt").write_text("<http://example.org/a> <http://example.org/b> .\n")
    assert "bad.nt:1:" in refused("load", tmp_path / "s.kg", tmp_path / "bad.nt")
    assert "SERVICE" in refused("sparql", country_store, "SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }")
    assert "no model 'unknown'" in refused("train", country_store, tmp_path / "m", "--model", "unknown")
    assert "load it first" in refused("train", country_store.parent / "graph.ttl", tmp_path / "m")
    assert "no train.tsv" in refused("train", tmp_path, tmp_path / "m")
    assert "must be above 0" in refused("train", country_store, tmp_path / "m", "--lr", "-1")
    assert "--seed must be" in refused("train", country_store, tmp_path / "m", "--seed", "-1")
    assert "--seed must be" in refused("train", country_store, tmp_path / "m", "--seed", 10**20)
    assert "no directory" in refused("load", tmp_path / "bad.nt" / "s.kg", country_store.parent / "graph.ttl")
    assert "no database" in refused("info", country_model)
    assert "--device nonsense" in refused("ask", country_model, "(Country 3, borders, ?)", "--device", "nonsense")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_an_output_that_cannot_be_written(country_store: Path) -> None:
    command = [sys.executable, "-m", "kg", "info", str(country_store), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert result.returncode == 1 and result.stderr == "error: No space left on device\n"


def test_usage_errors_exit_2(country_store: Path) -> None:
    many = ("train", country_store, "m", "--epochs", "many")
    for arguments in (("frobnicate",), ("ask",), ("info", country_store, "--frob"), many):
        result = run(*arguments)
        assert result.code == 2 and "Traceback" not in result.stderr


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = done("--help")
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert re.search(rf"\b(kg|make) {name}\b", readme), f"the README does not name kg {name}"
        assert done(name, "--help").startswith(f"Usage: kg {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_the_command_reads(name: str) -> None:
    help, command = done(name, "--help"), COMMANDS[name]
    examples = command.epilog.splitlines()
    assert examples and help.endswith("\n".join(["Examples:", *(f"  {example}" for example in examples), ""]))
    for example in examples:
        program, verb, *arguments = shlex.split(example)
        assert (program, verb) == ("kg", name)
        command.make_context(name, arguments)  # a usage error where an option is not there or its value is none
    assert all(len(line) <= 80 for line in help.splitlines())


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_are_those_of_today(page: Path) -> None:
    """Command lines that stand alone, and those in a text that name an option."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^ {4,}(kg [a-z].*)$", text, re.MULTILINE) + re.findall(r"`(kg [a-z]+ [^`]*--[^`]*)`", text)
    for line in lines:
        words = line.partition("  #")[0].replace("\n", " ").split()
        assert words[1] in COMMANDS, line
        known = {flag for param in COMMANDS[words[1]].params for flag in [*param.opts, *param.secondary_opts]}
        asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - {"--help"}
        assert asked <= known, f"{line}: {asked - known}"


def test_every_command_that_prints_has_json() -> None:
    without = {name for name, each in COMMANDS.items() if "json_" not in {param.name for param in each.params}}
    assert without == {"sparql", "review", "serve"}  # which has --format json; which ask, and answer, others


def test_help_begins_with_what_a_newcomer_needs() -> None:
    listed = done("--help")
    first = listed.partition("Start here:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in first.splitlines()] == ["load", "train", "ask"]
    assert listed.index("Start here:") < listed.index("The facts:")
    assert "..." not in listed.partition("COMMAND [ARGS]...")[2]  # no line is cut
    assert all(len(line) <= 80 for line in listed.splitlines())


def test_an_option_has_one_spelling() -> None:
    """What has the same name in Python has the same flag."""
    options = [param for each in COMMANDS.values() for param in each.params if param.param_type_name == "option"]
    flags = {(param.name, " ".join(param.opts)) for param in options}
    assert len(flags) == len({name for name, _ in flags})
    assert all(param.help for param in options)


def test_the_version() -> None:
    assert done("--version") == f"{kg.__version__}\n"


def test_output_is_utf_8_whatever_the_locale_says(country_store: Path) -> None:
    query = 'SELECT ?name { BIND("\\u00c5land" AS ?name) }'
    for format in ("csv", "table"):
        ran = process("sparql", country_store, query, "--format", format, LC_ALL="C", PYTHONUTF8="0")
        assert ran.code == 0 and "Åland" in ran.stdout


def test_a_reader_that_has_gone(country_store: Path) -> None:
    command = [sys.executable, "-m", "kg", "info", str(country_store), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None and started.stderr is not None
        started.stdout.close()
        assert started.wait(timeout=300) == 1 and started.stderr.read() == b""
