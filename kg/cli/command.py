"""A command is a function with @command above it: what `kg --help` and `kg COMMAND --help` show of it stands there."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from kg.cli.options import HOW, OUTPUT
from kg.errors import UserError

START = "Start here"
STORE = "The facts"
ANSWERS = "Answers"
DECISIONS = "Decisions"
MODELS = "Models"
PANELS = (START, STORE, ANSWERS, DECISIONS, MODELS)  # in the order of `kg --help`

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True)
class Verb:
    function: Callable[..., None]
    panel: str
    examples: tuple[str, ...]


VERBS: list[Verb] = []


def command(panel: str, *examples: str) -> Callable[[Function], Function]:
    """Make a function the command of its name. Examples: whole command lines, shown at the end of its help."""

    def registered(function: Function) -> Function:
        VERBS.append(Verb(function, panel, examples))
        return function

    return registered


def add_commands(app: typer.Typer, first: tuple[str, ...]) -> None:
    """Add what was registered to the app: by panels, and within a panel those named first, in that order."""

    def place(verb: Verb) -> tuple[int, int]:
        name = verb.function.__name__
        return PANELS.index(verb.panel), first.index(name) if name in first else len(first)

    for verb in sorted(VERBS, key=place):
        add = app.command(cls=Command, rich_help_panel=verb.panel, epilog="\n".join(verb.examples))
        add(verb.function)


def with_option(error: UserError, command: Any) -> str:
    """The error's line, where the setting it is about is written as the option that sets it: --top for `top`."""
    for param in command.params if command else ():
        if param.name == error.setting and param.param_type_name == "option":
            return re.sub(rf"\b{re.escape(param.name)}\b", max(param.opts, key=len), str(error), count=1)
    return str(error)


def check_number(name: str, value: object) -> None:
    """UserError for an integer that 64 bits cannot hold, and for a number that is none or is infinite."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f"{name} must be between -2^63 and 2^63: got {value}", name)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name} must be a finite number: got {value}", name)


class Command(TyperCommand):
    """Its help has the options by their panels, and the examples line by line. Its numbers are numbers."""

    def invoke(self, ctx: Any) -> Any:
        for name, value in ctx.params.items():
            check_number(name, value)
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if param.param_type_name == "argument":
                panels.setdefault("Arguments", []).append((param.metavar or "", getattr(param, "help", "")))
            elif record := param.get_help_record(ctx):
                panels.setdefault(getattr(param, "rich_help_panel", None) or OUTPUT, []).append(record)
        for panel in (HOW, OUTPUT):  # these come last
            panels[panel] = panels.pop(panel, [])
        _write_panels(panels, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


class Group(TyperGroup):
    """Its help has the commands by their panels, and the examples line by line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands))
        for name, each in self.commands.items():
            line = each.get_short_help_str(formatter.width - width - 6)
            panels.setdefault(getattr(each, "rich_help_panel", ""), []).append((f"{name:{width}}", line))
        _write_panels(panels, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


def _write_panels(panels: dict[str, list[tuple[str, str]]], formatter: Any) -> None:
    for panel, records in panels.items():
        if records:
            with formatter.section(panel):
                formatter.write_dl(records)


def _write_examples(examples: str | None, formatter: Any) -> None:
    with formatter.section("Examples"):
        for line in (examples or "").splitlines():
            formatter.write(f"  {line}\n")
