"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kg.errors import UserError

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.")]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A trained model's folder.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1 ...")]
Source = Annotated[Path, typer.Argument(metavar="STORE_OR_FOLDER", help="A store, or train/valid/test files.")]
KnownFrom = Annotated[
    Path | None, typer.Option(help="The store to read known facts from; otherwise the one it was trained on.")
]
Types = Annotated[
    Literal["declared", "observed", "off"],
    typer.Option(help="Who may stand where: as the ontology says, as has been seen (or is like what has), anyone."),
]
Epochs = Annotated[int | None, typer.Option(help="At most so many.")]


def device_named(name: str) -> str:
    import torch

    if name.split(":")[0] not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: expected cpu, cuda, or a number of the latter such as cuda:1")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return name
