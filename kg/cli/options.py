"""Options that several commands share: each spelled and explained once, under its heading in the help."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kg.errors import UserError

FACTS = "What to learn from"
MODEL = "What to learn"
ANSWERS = "Which answers"
HOW = "How"
OUTPUT = "Output"


def argument(metavar: str, help: str) -> Any:
    return typer.Argument(metavar=metavar, help=help, show_default=False)


def option(panel: str, metavar: str | None, help: str, *flags: str) -> Any:
    """metavar: what is given after it, None for a switch or a choice. A default worth knowing stands in the help."""
    return typer.Option(*flags, metavar=metavar, help=help, rich_help_panel=panel, show_default=False)


StorePath = Annotated[Path, argument("STORE", "The store's folder.")]
ModelPath = Annotated[Path, argument("MODEL", "A trained model's folder.")]
Answering = Annotated[
    Path, argument("MODEL_OR_STORE", "A trained model's folder; for a store a pretrained model answers.")
]
Source = Annotated[Path, argument("STORE_OR_FOLDER", "A store, or a folder of train, valid and test files.")]

Relations = Annotated[
    list[str] | None,
    option(
        FACTS, "NAME", "Facts of this predicate (repeat it); otherwise all but rdf:, rdfs:, owl:, sh:.", "--relation"
    ),
]
Graphs = Annotated[list[str] | None, option(FACTS, "NAME", "Of this graph (repeat it); otherwise of all.", "--graph")]

KnownFrom = Annotated[
    Path | None, option(ANSWERS, "STORE", "Read known facts from it; otherwise from the one it was trained on.")
]
Language = Annotated[
    str | None, option(OUTPUT, "TAG", "Labels in this language (the environment's), else in English, else any.")
]
Types = Literal["declared", "observed", "off"]
TYPES = "Who may stand where: as the ontology says, as (or like what) has been seen, anyone"

Seed = Annotated[int, option(HOW, "N", "Decides every random choice (0).")]
Epochs = Annotated[int | None, option(HOW, "N", "Train for at most so many epochs.")]
Minutes = Annotated[
    float | None,
    option(HOW, "N", "Train for at most so many minutes (with --resume so many more); the best weights answer."),
]
Device = Annotated[str, option(HOW, "NAME", "cpu (the default), cuda, cuda:1 ...")]

Json = Annotated[bool, option(OUTPUT, None, "Print JSON and nothing else on stdout.", "--json")]


Wide = Annotated[bool, option(OUTPUT, None, "A line for each, as wide as it takes.", "--wide")]
Plain = Annotated[bool, option(OUTPUT, None, "The columns of .tsv, between tabs, of all.", "--plain")]


def device_named(name: str) -> str:
    """The name; UserError where PyTorch has no such device here."""
    import torch

    if name.split(":")[0] not in ("cpu", "cuda"):
        raise UserError(f"device {name}: expected cpu, cuda, or a number of the latter such as cuda:1", "device")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name}: {str(error).splitlines()[0]}", "device") from None
    return name
