"""`kg demo`: the whole path on real facts, in a few minutes."""

import json
import shutil
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table

from kg.cli.command import MODELS, command
from kg.cli.console import note, out, print_json, say
from kg.cli.options import HOW, Json, argument, option
from kg.cli.progress_bar import ConsoleProgress

if TYPE_CHECKING:
    from kg.graph.dataset import Dataset
    from kg.query.candidates.candidate import Candidates
    from kg.query.explain.evidence import Evidence

_TRAINED = ("rescal", "transe", "complex")


@command(MODELS, "kg demo", "kg demo my/demo --serve")
def demo(
    folder: Annotated[Path, argument("FOLDER", "Where the store, the models and the candidates go (demo).")] = Path(
        "demo"
    ),
    serve: Annotated[
        bool, option(HOW, None, "Then show pages to decide on the new facts, until Ctrl-C.", "--serve")
    ] = False,
    json_: Json = False,
) -> None:
    """All of it in a few minutes, on a graph of the world.

    Load, see what a pretrained network says, train three models, compare them, show the best new facts and the
    evidence for them. Run again, it loads nothing twice and trains anew.
    """
    from importlib.resources import as_file

    from kg import bundle as bundles
    from kg.files import shipped, write_lines
    from kg.graph.from_store import dataset_from_store
    from kg.query.predictor import Predictor
    from kg.store.store import Store

    for name in _TRAINED:
        bundles.exists(folder / name)  # a UserError where it holds other files, which training would have to delete
    tell = note if json_ else say
    with Store(folder / "world.kg", create=True) as store, as_file(shipped("world.ttl")) as world:
        loaded = store.load(world)
        tell(f"{world.name}: {loaded.read:,} facts loaded, {loaded.added:,} of them new to {folder / 'world.kg'}")
        dataset = dataset_from_store(store)
    tell(dataset.describe())
    first = _before_training(folder / "world.kg")
    if not json_:
        say("With nothing trained, the pretrained network says of this graph:")
        _list(first)
    scores = {name: _trained(name, dataset, folder / name) for name in _TRAINED}
    best = max(scores, key=lambda name: scores[name]["valid mrr"])
    predictor = Predictor.load(folder / best)
    candidates = predictor.complete(10)
    reasons = [predictor.explain(each.subject, each.predicate, each.object) for each in candidates]
    rows = _rows(candidates, reasons)
    written = folder / "candidates.jsonl"
    write_lines(written, (json.dumps(row, ensure_ascii=False) for row in rows))
    if json_:
        before = [each.to_json() for each in first]
        print_json({"before training": before, "models": scores, "best": best, "candidates": rows})
        return
    out.print(_leaderboard(scores))
    say(f"The ten best new facts, says {best}, how probable they are, and why:")
    _list(candidates, [why.because for why in reasons])
    say(f'written to {written}; ask more with: kg ask {folder / best} "(Germany, borders, ?)"')
    if serve:
        from kg.cli.serve import serve as shown

        shown(folder / "world.kg", folder / best)


def _before_training(store: Path) -> "Candidates":
    from kg.api import suggest

    with ConsoleProgress() as progress:
        return suggest(store, 5, progress=progress)


def _list(candidates: "Candidates", reasons: Sequence[str] = ()) -> None:
    for row, why in zip_longest(candidates.rows(), reasons):
        rank, subject, predicate, object_, probability, *_ = row
        say(f"{rank:>2}  {probability}  {subject}, {predicate}, {object_}")
        if why is not None:
            say(f"           {why}")


def _trained(name: str, dataset: "Dataset", folder: Path) -> dict[str, float]:
    """Figures of a model newly trained into the folder."""
    from kg import bundle as bundles
    from kg.api import trained
    from kg.evaluation.ranking import evaluate
    from kg.training.recipes import default_run

    if bundles.exists(folder):
        shutil.rmtree(folder)
    began = time.perf_counter()
    with ConsoleProgress() as progress:
        bundle = trained(dataset, default_run(name)(dataset), folder, progress=progress)
        seconds = time.perf_counter() - began
        ranking = evaluate(bundle.scorer, dataset, "test", temperature=bundle.temperature, progress=progress)
    test = ranking.metrics()
    return {
        "valid mrr": bundle.metrics["valid"]["mrr"],
        "test mrr": test.mrr,
        "hits@10": test.hits_at_10,
        "perplexity": test.perplexity,
        "seconds": seconds,
    }


def _leaderboard(scores: dict[str, dict[str, float]]) -> Table:
    table = Table("model", *next(iter(scores.values())), title="Held-out facts, filtered, both directions")
    for name, figures in sorted(scores.items(), key=lambda item: -item[1]["valid mrr"]):
        table.add_row(name, *(f"{value:.3f}" if value < 1 else f"{value:,.1f}" for value in figures.values()))
    return table


def _rows(candidates: "Candidates", reasons: "list[Evidence]") -> list[dict[str, Any]]:
    """Each candidate with its labels and its evidence."""
    return [
        {
            **found.to_json(),
            "labels": found.names,
            "evidence": why.to_json(),
        }
        for found, why in zip(candidates, reasons, strict=True)
    ]
