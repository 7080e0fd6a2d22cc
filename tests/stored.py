"""Small stores, and their facts in words."""

from pathlib import Path

from kg.graph.dataset import Dataset
from kg.store.store import Store

Named = tuple[str, str, str]

PREFIXES = """
@prefix : <http://x.example/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
"""


def named(data: Dataset, part: str) -> set[Named]:
    """The facts of a part in words; IRIs by their last letters."""
    entities, relations = data.vocabulary.entities, data.vocabulary.relations
    triples = ((entities[h], relations[r], entities[t]) for h, r, t in data.part(part).tolist())
    return {(short(h), short(r), short(t)) for h, r, t in triples}


def short(term: str) -> str:
    return term.removeprefix("http://x.example/").removeprefix("http://world.example/")


def store_of(folder: Path, trig: str) -> Store:
    file = folder / "facts.trig"
    file.write_text(PREFIXES + trig, encoding="utf-8")
    store = Store(folder / "facts.kg", create=True)
    store.load(file)
    return store
