"""Whether what people decide makes the next candidates better: facts are taken out of a graph, and an oracle that has
them decides in the order of the queue.

    python experiments/quality/decisions_loop.py [--hidden 0.2] [--decisions 500] [--model rescal] [--seed 0]

Over the world that ships with kg. A fifth of its facts between entities are hidden; a model is trained on the rest, and
the oracle accepts what is hidden and rejects all else, 500 times. Of the next 500 candidates, none of which was decided
on, the share that is hidden, and the sum of their probabilities:

    without       by the model as it was
    calibrated    by the same model, its probabilities fitted anew, on the decisions too
    trained       by a model that was trained anew, on what was accepted too
    control       by a model that was trained anew, without any decision, but for the accepted facts being known

Also: after how many decisions half of the hidden facts that 1,000 candidates hold were found, by order of the queue.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyoxigraph as ox

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

import kg
from kg.api import said_of
from kg.bundle import Bundle
from kg.decisions.folding import fold
from kg.decisions.journal import Fact, Journal
from kg.files import shipped
from kg.graph.from_store import dataset_from_store
from kg.probability.fitting import calibrate
from kg.query.candidates.candidate import Candidate
from kg.query.predictor import Predictor
from kg.query.review import ORDERS, Review, Wanted, fact_of
from kg.store.store import Store

NEXT = 500


def hide(store: Path, share: float, seed: int) -> set[Fact]:
    """Takes so many facts out of the store, none of which is the only one of an entity: which."""
    with Store(store) as opened:
        data = dataset_from_store(opened, valid=0, test=share, seed=seed)
        names = data.vocabulary
        hidden = {
            (names.entities[head], names.relations[relation], names.entities[tail])
            for head, relation, tail in data.test.tolist()
        }
        opened.remove(ox.Triple(*map(ox.NamedNode, fact)) for fact in hidden)  # type: ignore[arg-type]
    return hidden


def next_ones(predictor: Predictor, decided: set[Fact]) -> list[Candidate]:
    found = predictor.complete(NEXT + len(decided), order="probability")
    return [each for each in found if fact_of(each) not in decided][:NEXT]


def figures(found: list[Candidate], hidden: set[Fact]) -> dict[str, Any]:
    return {
        "candidates": len(found),
        "hidden": sum(fact_of(each) in hidden for each in found),
        "expected": round(sum(each.probability or 0 for each in found), 1),
    }


def half_found(review: Review, hidden: set[Fact]) -> dict[str, int]:
    """By order, the decisions after which half of the hidden facts among all candidates were met."""
    of = {}
    for order in ORDERS:
        met = [fact_of(each) in hidden for each in review.queue("Oracle", Wanted(order=order))]
        places = [i for i, is_hidden in enumerate(met, 1) if is_hidden]
        of[order] = places[len(places) // 2] if places else 0
    return of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=float, default=0.2)
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--model", default="rescal")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "world.kg"
        kg.load([str(shipped("world.ttl"))], store)
        hidden = hide(store, asked.hidden, asked.seed)
        kg.train(store, folder / "before", asked.model, seed=asked.seed)
        predictor = Predictor.load(folder / "before", store)
        review, journal = Review(predictor), Journal(store)
        found: dict[str, Any] = {"hidden_facts": len(hidden), "half_found_after": half_found(review, hidden)}
        queue = review.queue("Oracle", Wanted(order="surest"))[: asked.decisions]
        verdicts = ["accept" if fact_of(each) in hidden else "reject" for each in queue]
        made = [
            review.decision(each, verdict, "Oracle", str(i))  # type: ignore[arg-type]
            for i, (each, verdict) in enumerate(zip(queue, verdicts, strict=True))
        ]
        decided = {fact_of(each) for each in queue}
        found["decided"] = figures(queue, hidden)
        found["without"] = figures(next_ones(predictor, decided), hidden)
        kg.train(store, folder / "control", asked.model, seed=asked.seed + 1)
        journal.append(made)
        found["control"] = figures(next_ones(Predictor.load(folder / "control", store), decided), hidden)
        before = Bundle.load(folder / "before")
        calibrate(before, said=said_of(before))
        found["calibrated"] = figures(next_ones(Predictor.load(folder / "before", store), decided), hidden)
        with Store(store) as opened:
            found["accepted"] = fold(opened)
        kg.train(store, folder / "after", asked.model, seed=asked.seed + 1)
        found["trained"] = figures(next_ones(Predictor.load(folder / "after", store), decided), hidden)
    print(found)
    print(report.write(__file__, asked.seed, asked.model, **found))


if __name__ == "__main__":
    main()
