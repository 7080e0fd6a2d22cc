"""`kg export`."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import ANSWERS, command
from kg.cli.console import print_json, say
from kg.cli.options import Json, ModelPath, argument


@command(ANSWERS, "kg export model vectors.npz", "kg export model vectors.tsv")
def export(
    model: ModelPath,
    file: Annotated[Path, argument("OUT", "A .npz or .tsv file.")],
    json_: Json = False,
) -> None:
    """Write a model's vectors with their terms, for other tools."""
    from kg.bundle import Bundle
    from kg.query.embeddings import write_embeddings

    write_embeddings(Bundle.load(model), file)
    if json_:
        print_json({"file": str(file)})
    else:
        say(f"wrote {file}")
