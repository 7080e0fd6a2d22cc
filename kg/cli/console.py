"""The two consoles of the command line: results go to stdout, all else to stderr. Nothing outside of kg/cli prints.

What people wrote (labels, IRIs, literals, names of files, and errors that quote them) is data: here it loses its power
over the terminal, and nothing in it is read as markup or as the name of an emoji.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kg.errors import UNSEEN, visible


@final
class PlainConsole(Console):
    """Writes no control character but those that rich makes: colours, and the moves of a progress bar.

    What is laid out is made visible before, by `data`, so that its width is counted right: this is for what was not.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def write(self, text: str) -> None:
        """A machine's format, character by character; made visible where it goes to a terminal."""
        self.file.write(visible(text.replace("\r\n", "\n")) if self.file.isatty() else text)
        self.file.flush()


out = PlainConsole()
err = PlainConsole(stderr=True)


def data(text: str, style: str = "") -> Text:
    """A cell of a table, or a line, that holds what people wrote."""
    return Text(visible(text), style)


def say(text: str) -> None:
    """A result, on stdout: the text as it is, neither read as markup nor broken into lines."""
    out.print(data(text), soft_wrap=True)


def note(text: str) -> None:
    """What a person should know beside the result, in one line on stderr."""
    err.print(data(_line(text)), soft_wrap=True)


def error(text: str) -> None:
    """What went wrong, in one line on stderr."""
    err.print(Text.assemble(("error:", "red"), " ", data(_line(text))), soft_wrap=True)


def ask(question: str, otherwise: str | None = None) -> str:
    """What a person at the terminal answers, asked on stderr; `otherwise` for nothing, None: asked again."""
    answer: str = typer.prompt(visible(question), default=otherwise, show_default=False, err=True)
    return answer


def some_predicates(names: Sequence[str], num_relations: int) -> str:
    """How many of all these are, and the first three."""
    listed = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{len(names):,} of {num_relations:,} predicates ({listed})"


def print_json(value: Any) -> None:
    """JSON on stdout, in whose strings all that a terminal would obey, or not show, is written as \\uXXXX."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    out.write(UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def _line(text: str) -> str:
    return text.replace("\n", "\\n")
