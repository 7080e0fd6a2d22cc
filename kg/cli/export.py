"""`kg export`."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import ANSWERS, command
from kg.cli.console import say
from kg.cli.options import ModelPath


@command(ANSWERS)
def export(
    model: ModelPath,
    file: Annotated[Path, typer.Argument(metavar="OUT", help="A .npz or .tsv file.")],
) -> None:
    """Write a model's embeddings with their terms, for other tools."""
    from kg.bundle import Bundle
    from kg.query.embeddings import write_embeddings

    write_embeddings(Bundle.load(model), file)
    say(f"wrote {file}")
