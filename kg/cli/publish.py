"""Predictions in a store, as facts of their own graph."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from kg.cli.command import STORE, command
from kg.cli.console import ask, note, print_json, say
from kg.cli.options import ANSWERS, Device, Json, ModelPath, StorePath, argument, device_named, option
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.query.candidates.publish import Published


@command(
    STORE,
    "kg publish model best.trig",
    "kg publish model --top 1000 --store world.kg",
)
def publish(
    model: ModelPath,
    file: Annotated[Path | None, argument("FILE", "Its candidates: .tsv, .jsonl or RDF such as .trig.")] = None,
    top: Annotated[
        int | None, option(ANSWERS, "N", "Instead of FILE: find so many of the most probable new facts.")
    ] = None,
    store: Annotated[
        Path | None,
        option(
            ANSWERS, "STORE", "Publish in it; otherwise in the one it was trained on, where that still lies beside it."
        ),
    ] = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Put a model's candidates into its store, as predictions.

    Into the graph urn:kg:predictions, as facts and with probability and origin; they take the place of those published
    before. No other graph changes, no model is trained on them, and `kg retract` takes them out again.
    """
    from kg.query.candidates import publish as publishing

    if (file is None) == (top is None):
        raise UserError("expected either a FILE of candidates or --top, how many to find")
    name = device_named(device)

    def published_in(store: Path | None) -> "Published":
        if file is not None:
            return publishing.publish_file(model, file, store)
        assert top is not None
        return publishing.publish_best(model, top, store, name)

    try:
        published = published_in(store)
    except UserError as error:
        if error.setting != "store" or not _is_at_a_terminal():
            raise
        note(str(error))
        published = published_in(Path(ask("Store to publish in")))
    before = f", in place of {published.replaced:,}" if published.replaced else ""
    what = f"{published.candidates:,} candidates are published in {published.graph}{before}"
    print_published(published, what, json_)


def _is_at_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


@command(STORE, "kg retract world.kg")
def retract(store: StorePath, json_: Json = False) -> None:
    """Take all published predictions out of a store.

    Nothing else in it changes.
    """
    from kg.query.candidates import publish as publishing
    from kg.store.store import Store

    with Store(store) as opened:
        published = publishing.retract(opened)
    print_published(published, f"{published.replaced:,} candidates taken out of {published.graph}", json_)


def print_published(published: "Published", what: str, json_: bool) -> None:
    if json_:
        print_json(published.to_json())
        return
    say(f"{published.store}: {what}; generation {published.generation}")
