"""What a store held before: its generations, and in which facts they differ."""

from pathlib import Path
from typing import Annotated

from kg.cli.command import STORE, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import OUTPUT, Json, StorePath, argument, option
from kg.cli.progress_bar import ConsoleProgress
from kg.cli.tables import history_table


@command(STORE, "kg history world.kg", "kg history world.kg --keep 3")
def history(
    store: StorePath,
    keep: Annotated[
        int | None, option("What stays", "N", "Remove all but the newest N, the published one among them.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the states a store has had: when, and what made each.

    Ten are kept, and fewer where the old ones would take more disk than the store itself (or 64 MB), but two always.
    They share files: the disk that is shown is what each takes beside the newer ones.
    """
    from kg import generations
    from kg.store.history import history as kept

    dropped = [] if keep is None else generations.drop(store, keep)
    found = kept(store)
    if json_:
        print_json({"path": str(store), "generations": [vars(each) for each in found], "dropped": dropped})
        return
    out.print(history_table(found))
    if keep is not None:
        say(f"{store}: {len(dropped):,} generations are gone")


@command(STORE, "kg diff world.kg 3", "kg diff world.kg 3 5 --removed gone.nq --added new.nq")
def diff(
    store: StorePath,
    old: Annotated[int, argument("OLD", "A generation, by the number that kg history shows.")],
    new: Annotated[int | None, argument("NEW", "Another; otherwise the published one.")] = None,
    added: Annotated[
        Path | None, option(OUTPUT, "FILE", "Write the facts that came, in the syntax of its suffix.")
    ] = None,
    removed: Annotated[
        Path | None, option(OUTPUT, "FILE", "Write the facts that went, in the syntax of its suffix.")
    ] = None,
    json_: Json = False,
) -> None:
    """Say which facts came and went between two states of a store.

    How many, and the first ten of each; all of them go into files where these are named.
    """
    from kg.store.history import compare

    with ConsoleProgress() as progress:
        found = compare(store, old, new, added=added, removed=removed, progress=progress)
    if json_:
        print_json({"path": str(store)} | vars(found))
        return
    say(
        f"{store}: from generation {found.old} to {found.new} {found.added:,} facts came, {found.removed:,} went and "
        f"{found.unchanged:,} stayed"
    )
    for sign, lines, count in (("+", found.first_added, found.added), ("-", found.first_removed, found.removed)):
        for line in lines:
            say(f"{sign} {line}")
        if count > len(lines):
            note(f"{sign} {count - len(lines):,} more")
