"""The `kg` command: its commands, and what becomes of their errors. Each command stands in the module of its noun."""

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from kg import __version__
from kg.cli import (  # noqa: F401  each registers its commands
    ask,
    bench,
    calibrate,
    complete,
    decide,
    demo,
    evaluate,
    explain,
    export,
    history,
    publish,
    rules,
    serve,
    sparql,
    store,
    train,
    tune,
    verify,
)
from kg.cli.command import Group, add_commands, with_option
from kg.cli.console import error, say
from kg.cli.interruption import INTERRUPTED
from kg.errors import UserError, one_line, visible
from kg.files import reason
from kg.interruption import interruptible


class _Verbs(Group):
    """A user's error is one line and exit 1, Ctrl-C is exit 130; only our own defects show a traceback."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _visible_usage():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            with interruptible(), _visible_usage():
                return super().invoke(ctx)
        except UserError as found:
            error(with_option(found, self.commands.get(ctx.invoked_subcommand)))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output has gone, as `| head` does
            sys.stderr.close()
            raise typer.Exit(1) from None
        except OSError as found:  # no permission, no such folder, no space left
            place = f"{found.filename}: " if isinstance(found.filename, str) else ""
            error(f"{place}{reason(found)}")
            raise typer.Exit(1) from None
        except (MemoryError, RuntimeError) as found:
            if not (isinstance(found, MemoryError) or any(sign in str(found) for sign in _TORCH_OUT_OF_MEMORY)):
                raise
            error(f"there is not enough memory: {one_line(str(found)) or 'an allocation failed'}")
            raise typer.Exit(1) from None


_TORCH_OUT_OF_MEMORY = ("can't allocate memory", "out of memory")  # of the processor's, of a GPU's
_UsageError: type[Any] = typer.BadParameter.__mro__[1]  # which typer gives no public name


@contextmanager
def _visible_usage() -> Iterator[None]:
    """What typer says of a wrong command line quotes it."""
    try:
        yield
    except _UsageError as found:
        found.message = visible(found.message)
        raise


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
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)  # what a second one does, whatever a shell in the background has set
    try:
        app(prog_name="kg")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # what other threads compute is dropped, not waited for
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
    except Exception:  # a defect: its traceback quotes data
        sys.stderr.write(visible(traceback.format_exc()))
        sys.exit(1)


if __name__ == "__main__":
    main()
