"""`kg demo`: the whole path on real facts, in three minutes."""

import json
import shutil
import time
from importlib.resources import as_file
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kg import bundle as bundles
from kg.evaluation.ranking import evaluate
from kg.files import shipped
from kg.graph.dataset import Dataset
from kg.graph.from_store import dataset_from_store
from kg.query.candidates.candidate import Candidates
from kg.query.explain.evidence import Evidence
from kg.query.predictor import Predictor
from kg.store.store import Store
from kg.training.recipes import default_run
from kg.training.train import train

_MODELS = ("rescal", "transe", "complex")


def run_demo(folder: Path, out: Console, err: Console) -> None:
    """Load data/world.ttl into folder/world.kg, train each model into folder/<model>, show the best and what it says.

    Run again, it loads nothing twice and trains anew. UserError where a model's folder holds something else.
    """
    with Store(folder / "world.kg", create=True) as store, as_file(shipped("world.ttl")) as world:
        loaded = store.load(world)
        out.print(f"{world.name}: {loaded.read:,} facts loaded, {loaded.added:,} of them new to {folder / 'world.kg'}")
        dataset = dataset_from_store(store)
    out.print(dataset.describe())
    scores = {name: _trained(name, dataset, folder / name, err) for name in _MODELS}
    out.print(_leaderboard(scores))
    best = max(scores, key=lambda name: scores[name]["valid mrr"])
    predictor = Predictor.load(folder / best)
    candidates = predictor.complete(10)
    reasons = [predictor.explain(each.subject, each.predicate, each.object) for each in candidates]
    _print_facts(candidates, reasons, best, out)
    written = _write(candidates, reasons, folder / "candidates.jsonl")
    out.print(f'written to {written}; ask more with: kg ask {folder / best} "(Germany, borders, ?)"', soft_wrap=True)


def _trained(name: str, dataset: Dataset, folder: Path, err: Console) -> dict[str, float]:
    if bundles.exists(folder):  # UserError where the folder holds something else
        shutil.rmtree(folder)
    began = time.perf_counter()
    bundle = train(dataset, default_run(name)(dataset), folder, console=err)
    seconds = time.perf_counter() - began
    test = evaluate(bundle.scorer, dataset, "test", temperature=bundle.temperature).metrics()
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


def _print_facts(candidates: Candidates, reasons: list[Evidence], model: str, out: Console) -> None:
    """Each with its probability, then the surest path for it, else the known fact that is most like it."""
    out.print(f"The ten best new facts, says {model}, how probable they are, and why:")
    for row, why in zip(candidates.rows(), reasons, strict=True):
        rank, subject, predicate, object_, probability, *_ = row
        out.print(Text(f"{rank:>2}  {probability}  {subject}, {predicate}, {object_}"), soft_wrap=True)
        out.print(Text(f"           {_because(why)}"), soft_wrap=True)


def _because(why: Evidence) -> str:
    if why.paths:
        return f"{why.paths[0].text} ({why.paths[0].confidence:.2f})"
    if why.nearest:
        nearest = max(why.nearest, key=lambda near: near.similarity)
        return f"like {', '.join(why.label(term) for term in nearest.fact)} ({nearest.similarity:.2f})"
    return "none found"


def _write(candidates: Candidates, reasons: list[Evidence], path: Path) -> Path:
    """A JSON line a candidate, with its labels and its evidence."""
    with path.open("w", encoding="utf-8") as file:
        for found, why in zip(candidates, reasons, strict=True):
            labels = [candidates.label(term) for term in (found.subject, found.predicate, found.object)]
            row = {**found.to_json(), "labels": labels, "evidence": why.to_json()}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
