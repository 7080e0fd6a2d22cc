"""Nothing that people wrote reaches a terminal as anything but characters that show."""

import io
import json
import re
import sys
import unicodedata

import pytest
from commands import COMMANDS, ROOT
from hostile_lines import FOLDER, HOSTILE, Ground

from kg.cli.app import app, main
from kg.cli.console import PlainConsole, data
from kg.errors import UNSEEN, one_line, visible

# What rich makes for a progress bar and for colours: none of it stands in what is hostile.
_OF_RICH = re.compile(r"\r?(\x1b\[(2K|1A|\?25[hl]|[0-9;]*m))+")
_ARABIC_NUMBER_SIGNS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """All that a command writes where both streams are a terminal."""
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        patch.setattr(sys, "stdin", io.StringIO())  # nobody answers
        patch.setenv("TERM", "xterm-256color")
        with pytest.raises(SystemExit):
            app([str(argument) for argument in arguments], prog_name="kg")
    return terminal.getvalue()


def check(text: str) -> None:
    found = UNSEEN.search(_OF_RICH.sub("", text))
    assert not found, ascii(text[max(0, found.start() - 40) : found.end() + 40])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("hostile") / FOLDER
    folder.mkdir()
    ground = Ground(folder)
    ground.write()
    return ground


def test_every_command(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it works, as a table and as JSON; and where what it is given is not there."""
    lines = ground.lines()
    assert lines.keys() == COMMANDS.keys(), "a new command needs a line in hostile_lines.py"
    seen = {name: shown(monkeypatch, name, *arguments) for name, arguments in lines.items()}
    for name, arguments in lines.items():
        check(seen[name])
        assert ("error:" in seen[name]) == (name in ("demo", "serve")), seen[name]
        if name not in ("load", "demo"):  # which would make it
            check(shown(monkeypatch, name, f"nothing {HOSTILE}".replace("\0", ""), *arguments[1:]))
        if name not in ("sparql", "load", "train", "tune", "bench", "demo", "review", "serve"):
            found = shown(monkeypatch, name, *arguments, "--json")
            check(found)
            assert "\\u202e" in found or name == "info"
    together = "".join(seen.values())
    assert all(escape in together for escape in ("\\x1b[13;37H", "\\x9b6n", "\\u202e", "[red]", ":smile:"))
    for format in ("json", "csv", "tsv", "xml"):
        check(shown(monkeypatch, "sparql", *lines["sparql"], "--format", format))
    check(shown(monkeypatch, "sparql", ground.store, "DESCRIBE ?s { ?s ?p ?o }", "--format", "turtle"))
    check(shown(monkeypatch, "sparql", ground.store, f"SELECT {HOSTILE}"))
    check(shown(monkeypatch, "ask", ground.model, f"({HOSTILE}, borders, ?)"))
    check(shown(monkeypatch, "load", ground.folder / "s.kg", ground.folder / "bad.nt"))


@pytest.mark.parametrize(
    "arguments",
    [("\x1b[6n\u202e",), ("--\x1b[6n",), ("ask", "m", "q", "--\u202e"), ("ask", "m", "q", "--types", "\x1b[6n")],
)
def test_a_wrong_command_line(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, *arguments)
    check(text)
    assert "Error: " in text and ("\\x1b[6n" in text or "\\u202e" in text)


def test_the_traceback_of_a_defect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise KeyError(HOSTILE + "\udce9")

    monkeypatch.setattr("kg.store.store.Store.__init__", fail)
    monkeypatch.setattr(sys, "argv", ["kg", "info", "store"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # typer puts its own there
    with pytest.raises(SystemExit) as exit:
        main()
    said = capsys.readouterr().err
    assert exit.value.code == 1 and said.startswith("Traceback (most recent call last):") and "KeyError" in said
    check(said)


def test_a_format_is_raw_but_on_a_terminal() -> None:
    for file, written in ((io.StringIO(), "a\x1b\r\n\u202e"), (Terminal(), "a\\x1b\n\\u202e")):
        PlainConsole(file=file).write("a\x1b\r\n\u202e")
        assert file.getvalue() == written


def test_json_holds_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    from kg.cli.console import print_json

    value = {"Åland 東 🇦🇽": '\x1b\x7f\x9b\u202e\ud800 \udce9\U000e0041\n\t"\\'}
    print_json(value)
    text = capsys.readouterr().out
    assert json.loads(text) == value and "Åland 東 🇦🇽" in text
    check(text)


def test_the_guard_catches_what_was_forgotten() -> None:
    from rich.table import Table
    from rich.text import Text

    file = io.StringIO()
    console = PlainConsole(file=file, width=40)
    table = Table("a\x1b[6n", title="t\u202e :smile: [red]")
    table.add_row("\x9b[bold]")
    table.add_row(Text("\u202e"))
    for each in (table, "\x1b[6n", Text("\u202e")):
        console.print(each)
    check(file.getvalue())
    assert ":smile: [red]" in file.getvalue() and "\\x9b[bold]" in file.getvalue()


def test_columns_are_as_wide_as_what_is_shown() -> None:
    from rich.table import Table

    file = io.StringIO()
    table = Table("name", "n")
    table.add_row(data("\x1b[6n\u202e"), "1")
    table.add_row(data("Åland"), "2")
    PlainConsole(file=file, width=40).print(table)
    assert len({len(line) for line in file.getvalue().splitlines()}) == 1


def test_what_is_made_visible() -> None:
    categories = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    wanted = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in categories}
    assert {c for c in map(chr, range(sys.maxunicode + 1)) if UNSEEN.match(c)} >= wanted - set("\n\t") - (
        _ARABIC_NUMBER_SIGNS
    )
    assert visible("Åland, 東京, مرحبا, 🇦🇽\n\t") == "Åland, 東京, مرحبا, 🇦🇽\n\t"
    assert visible("caf\udce9 \x1b \x9b \u202e \U000e0041") == "caf\\xe9 \\x1b \\x9b \\u202e \\U000e0041"
    assert visible(visible(HOSTILE)) == visible(HOSTILE)
    assert one_line("a\n b\x1b" + "c" * 400) == f"a b\\x1b{'c' * 293}..."


def test_nothing_else_prints() -> None:
    """What writes to a terminal does so by way of the console."""
    pattern = re.compile(r"(?<![\w.])(print|input)\(|typer\.(echo|secho|prompt|confirm)|sys\.std(out|err)\b")
    for path in (ROOT / "kg").rglob("*.py"):
        if path.name not in ("app.py", "console.py", "worker.py"):
            assert not pattern.search(path.read_text(encoding="utf-8")), path
