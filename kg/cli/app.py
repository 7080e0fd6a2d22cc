"""The `kg` command: its commands, and what becomes of their errors. Each command stands in the module of its noun."""

import io
import sys
from typing import Annotated, Any

import typer

from kg import __version__
from kg.cli import (  # noqa: F401  each registers its commands
    ask,
    bench,
    calibrate,
    complete,
    demo,
    evaluate,
    explain,
    export,
    publish,
    rules,
    sparql,
    store,
    train,
    tune,
)
from kg.cli.command import Group, add_commands, with_option
from kg.cli.console import error, say
from kg.errors import UserError


class _Verbs(Group):
    """A user's error is one line and exit 1, Ctrl-C is exit 130; only our own defects show a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as found:
            error(with_option(found, self.commands.get(ctx.invoked_subcommand)))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output has gone, as `| head` does
            sys.stderr.close()
            raise typer.Exit(1) from None
        except OSError as found:  # no permission, no such folder, no space left
            place = f"{found.filename}: " if found.filename else ""
            error(f"{place}{found.strerror or found}")
            raise typer.Exit(1) from None


EXAMPLES = (
    "kg load world.kg world.ttl",
    "kg train world.kg model",
    'kg ask model "(Germany, memberOf, ?)"',
    "kg demo",
)

app = typer.Typer(
    cls=_Verbs,
    help="Learns from a knowledge graph what it is missing: load RDF, train a link predictor, ask for candidate facts.",
    epilog="\n".join(EXAMPLES),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        say(__version__)
        raise typer.Exit()
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


add_commands(app, first=("load", "train", "ask", "info", "sparql", "complete", "explain", "evaluate", "calibrate"))


def main() -> None:
    """Run a command line. It writes UTF-8, whatever the locale says: JSON has no other encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    app(prog_name="kg")


if __name__ == "__main__":
    main()
