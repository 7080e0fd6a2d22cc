"""`kg demo`."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import START, command
from kg.cli.console import err, out


@command(START)
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the store, the models and the candidates go.")] = Path("demo"),
) -> None:
    """Load the world graph, train three link predictors, compare them, show the ten best new facts."""
    from kg.demo import run_demo

    run_demo(folder, out, err)
