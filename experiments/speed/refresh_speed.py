"""How long Knowledge.refresh takes where a thousand facts of a million changed, beside reading all of them again.

    python experiments/speed/refresh_speed.py [--facts 1000000] [--changed 1000] [--rounds 5] [--seed 0]

A store of random facts about facts / 5 entities, each with a label, and 50 properties. In each round half of the
changed facts are new ones, a tenth of them about entities that are new as well and have a label; the other half is
taken away. Then the same generation is read by `refresh` and from nothing, and both must be equal. Names are looked up
before and after, so that to group them counts on both sides. The median of the rounds is told.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyoxigraph as ox
import torch
from pyoxigraph import Literal, NamedNode, Quad

from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.namespaces import RDFS
from kg.query.knowledge import Knowledge
from kg.store.store import Store

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

EX = "http://example.org/"
LABEL = NamedNode(RDFS + "label")
PROPERTIES = 50
Result = TypeVar("Result")


def entity(number: int) -> NamedNode:
    return NamedNode(f"{EX}resource/{number}")


def labelled(number: int) -> Quad:
    return Quad(entity(number), LABEL, Literal(f"Resource {number}"))


def fact(generator: random.Random, entities: int, head: int | None = None) -> Quad:
    subject = generator.randrange(entities) if head is None else head
    relation = NamedNode(f"{EX}property/{generator.randrange(PROPERTIES)}")
    return Quad(entity(subject), relation, entity(generator.randrange(entities)))


def model(entities: int) -> Bundle:
    """One that was trained with all but a hundredth of the entities, who came later."""
    names = Vocabulary(
        [entity(number).value for number in range(entities - entities // 100)],
        [f"{EX}property/{number}" for number in range(PROPERTIES)],
    )
    none = torch.zeros(0, 3, dtype=torch.long)
    data = Dataset(none, none, none, names, source="random")
    return Bundle(Path("model"), DistMult(len(names.entities), PROPERTIES, dim=1), data, {}, 1.0, {}, {}, {})


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def read(bundle: Bundle, path: Path) -> Knowledge:
    with Store(path) as store:
        return with_names(Knowledge.of_store(bundle, store))


def with_names(known: Knowledge) -> Knowledge:
    known.entity("Resource 1")
    return known


def same(left: Knowledge, right: Knowledge) -> bool:
    return (
        left.vocabulary == right.vocabulary
        and left.schema == right.schema
        and torch.equal(left.facts, right.facts)
        and torch.equal(left.known.tails, right.known.tails)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = random.Random(given.seed)
    entities, half = given.facts // 5, given.changed // 2
    with tempfile.TemporaryDirectory() as folder:
        path, file = Path(folder) / "random.kg", Path(folder) / "random.nt"
        facts = [fact(generator, entities) for _ in range(given.facts)]
        with file.open("wb") as out:
            ox.serialize((quad.triple for quad in facts), out, format=ox.RdfFormat.N_TRIPLES)
            ox.serialize((labelled(n).triple for n in range(entities)), out, format=ox.RdfFormat.N_TRIPLES)
        store, bundle = Store(path, create=True), model(entities)
        store.load(file)
        known = read(bundle, path)
        refreshed, anew = [], []
        for number in range(given.rounds):
            new = [entities + number * (half // 10) + i for i in range(half // 10)]
            heads = [*new, *[None] * (half - len(new))]
            store.add([*(fact(generator, entities, head) for head in heads), *map(labelled, new)])
            store.remove(generator.sample(facts, half))
            seconds, (known, change) = timed(lambda before=known: before.refresh())
            assert not change.read_anew
            seconds += timed(lambda now=known: with_names(now))[0]
            refreshed.append(seconds)
            seconds, right = timed(lambda: read(bundle, path))
            anew.append(seconds)
            assert same(known, right), change
            print(f"{change}: {refreshed[-1]:.3f} s, read anew {anew[-1]:.3f} s")
        store.close()
    times = {"refresh_seconds": refreshed, "read_anew_seconds": anew}
    rounded = {name: [round(seconds, 3) for seconds in each] for name, each in times.items()}
    ratio = statistics.median(a / b for a, b in zip(refreshed, anew, strict=True))
    sizes = {"facts": given.facts, "entities": entities, "changed": given.changed}
    print(report.write(__file__, given.seed, **sizes, **rounded, ratio=round(ratio, 4)))


if __name__ == "__main__":
    main()
