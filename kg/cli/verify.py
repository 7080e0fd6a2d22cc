"""What is damaged in a store or a model, and a way back."""

from pathlib import Path
from typing import Annotated

import typer

from kg.cli.command import STORE, command
from kg.cli.console import print_json, say
from kg.cli.options import Json, argument
from kg.cli.progress_bar import ConsoleProgress
from kg.errors import UserError

NOUN = "store or model"
Either = Annotated[Path, argument("STORE_OR_MODEL", "The folder of a store, or of a trained model.")]


@command(STORE, "kg verify world.kg", "kg verify model --json")
def verify(path: Either, json_: Json = False) -> None:
    """Name what is damaged in a store or model.

    Every file is compared with the checksum it was written with; then facts, terms and counts with each other, and a
    model's arrays with what it declares. Exit 1 where anything is wrong, or a file lies there that does not belong.
    """
    from kg import generations

    with ConsoleProgress() as progress:
        found = generations.check(path, noun=NOUN, progress=progress)
        damaged = found.damaged or ([] if found.generation is None else _disagreement(path, found.generation))
        whole = generations.newest_whole(path, progress=progress) if damaged else None
    number = None if found.generation is None else generations.number(found.generation)
    if json_:
        counts = {"path": str(path), "generation": number, "files": found.files, "bytes": found.bytes}
        wrong = {"damaged": damaged, "strays": found.strays}
        print_json(counts | wrong | {"whole": whole and generations.number(whole)})
    else:
        for line in [*damaged, *found.strays]:
            say(line)
        if not damaged and not found.strays:
            say(f"{path}: generation {number} is whole: {found.files:,} files, {found.bytes:,} bytes")
        elif whole:
            say(f"generation {whole.name} is as it was written: kg restore {path} publishes it once more")
        elif damaged:
            readable = found.generation and not any(f"{found.generation}/rdf/" in line for line in damaged)
            rest = f'; kg.Store("{path}").dump("facts.nq") still writes what its database holds' if readable else ""
            say(f"no other generation of {path} is whole{rest if _is_store(found.generation) else ''}")
    if damaged or found.strays:
        raise typer.Exit(1)


def _is_store(generation: Path | None) -> bool:
    return generation is not None and (generation / "rdf").is_dir()


def _disagreement(path: Path, generation: Path) -> list[str]:
    """What no checksum sees, of files that are as they were written."""
    from kg.bundle import Bundle
    from kg.manifest import read_manifest
    from kg.store.store import Store

    try:
        if "config.json" in read_manifest(generation)["files"]:
            Bundle.load(path, state=True)
            return []
        with Store(path) as store:
            store.check()
    except UserError as error:
        return [str(error)]
    return []


@command(STORE, "kg restore world.kg", "kg restore model 6")
def restore(
    path: Either,
    generation: Annotated[
        int | None, argument("GENERATION", "Which; otherwise the newest older one that is whole.")
    ] = None,
    json_: Json = False,
) -> None:
    """Publish an older state of a store or model once more.

    Under the next number, after every file was compared with its checksum. It works, too, where the file CURRENT or the
    newest manifest is damaged or lost. Nothing is removed, the replaced state is kept, too: kg history lists them.
    """
    from kg import generations

    with ConsoleProgress() as progress:
        restored = generations.restore(path, generation, noun=NOUN, progress=progress)
    if json_:
        print_json({"path": str(path)} | vars(restored))
    else:
        say(f"{path}: generation {restored.restored} is published once more, as generation {restored.generation}")
