"""Questions of several facts, answered by calibrated probabilities and by what is not calibrated.

    python experiments/quality/complex_queries.py out/codex-s-complex [--questions 500] [--seed 0]

Questions are drawn as for BetaE (Ren and Leskovec, 2020): an answer at random, then backwards a relation that leads to
it and a subject of that at random, to the entities given; no fact straight back along the one before, no two alike.
Counted are those with 1 to 100 hard answers, that need a fact held out:

    valid   answers over train and valid, but not over train: the settings were chosen by these
    test    answers over train, valid and test, but not over train and valid

They are answered from train alone. Rank of each hard answer among the entities that are no other answer, ties count
half; MRR is the mean over a question's hard answers, then over questions. The search is the same for all
(kg.query.complex.cqd); the truth of a single fact is

    calibrated   the model's probability, whose calibration is fitted on the valid facts
    softmax      softmax(scores / temperature) over the entities, with the model's temperature
    sigmoid      sigmoid(score)
    rescaled     (score - least) / (greatest - least) over the entities

and with `train_is_known` 1 for a fact of train, else what the model says of it, too. `behind` is how much less than
that of the first row an MRR is: the mean difference by question, and its standard error. Results go to
experiments/results/complex_queries_<dataset>.json.
"""

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from kg.bundle import Bundle
from kg.evaluation.ranking import ranks
from kg.graph.graph import with_inverses
from kg.models.scorer import Queries
from kg.probability.calibration import calibration_of
from kg.probability.fitting import fit_calibration
from kg.query.complex.conjunctive_query import SHAPES, Shape
from kg.query.complex.cqd import BEAM, Norm, Probabilities, Reasoner
from kg.query.knowledge import Knowledge
from kg.query.plausibility import Plausibility

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

MOST_HARD = 100
BEAMS = (8, 128)  # beside the default, on valid
Hops = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Way:
    """Of answering."""

    truth: str
    train_is_known: bool
    norm: Norm
    beam: int


class Links:
    """The tails of every (head, directed relation), and the relations that leave every head."""

    def __init__(self, hrt: Tensor, num_relations: int) -> None:
        self.tails: dict[tuple[int, int], list[int]] = defaultdict(list)
        for head, relation, tail in torch.unique(with_inverses(hrt, num_relations), dim=0).tolist():
            self.tails[head, relation].append(tail)
        self.relations: dict[int, list[int]] = defaultdict(list)
        for head, relation in self.tails:
            self.relations[head].append(relation)

    def answers(self, shape: Shape, hops: Hops) -> set[int]:
        """All of them, by these facts alone."""
        first, found = 0, []
        for source in shape.sources:
            at = first if source is None else first + len(source)
            head, relation = hops[at]
            heads = {head} if source is None else self.answers(source, hops[first:at])
            found.append({tail for each in heads for tail in self.tails.get((each, relation), ())})
            first = at + 1
        return set.intersection(*found)


@dataclass(frozen=True)
class Question:
    hops: Hops
    hard: list[int]
    answers: list[int]


def questions(
    name: str, links: Links, easy: Links, num_relations: int, number: int, chance: random.Random
) -> list[Question]:
    """So many that differ, as described above."""
    shape, entities = SHAPES[name], sorted(links.relations)
    found: dict[Hops, Question] = {}
    for _ in range(200 * number):
        if len(found) == number:
            break
        hops = backwards(shape, chance.choice(entities), None, links, num_relations, chance)
        if hops is None or hops in found:
            continue
        answers = links.answers(shape, hops)
        hard = answers - easy.answers(shape, hops)
        if 1 <= len(hard) <= MOST_HARD:
            found[hops] = Question(hops, sorted(hard), sorted(answers))
    return list(found.values())


def backwards(
    shape: Shape, entity: int, came_by: int | None, links: Links, num_relations: int, chance: random.Random
) -> Hops | None:
    """Facts that lead to an entity, to be left by `came_by`; None where there are none but straight back, or alike."""
    parts: list[Hops] = []
    for source in shape.sources:
        away = [relation for relation in links.relations[entity] if relation != came_by]
        if not away:
            return None
        back = chance.choice(away)
        head = chance.choice(links.tails[entity, back])
        relation = (back + num_relations) % (2 * num_relations)
        before = () if source is None else backwards(source, head, relation, links, num_relations, chance)
        if before is None:
            return None
        parts.append((*before, (head if source is None else -1, relation)))
    if any(first == second for first, second in pairwise(sorted(parts))):
        return None
    return tuple(hop for part in parts for hop in part)


def truths(likely: Plausibility) -> dict[str, Probabilities]:
    """What a single fact's truth is taken to be."""

    def of_scores(truth: Callable[[Tensor], Tensor]) -> Probabilities:
        def probabilities(head: Tensor, relation: Tensor) -> Tensor:
            return truth(likely.scorer.score_tails(Queries(head, relation, likely.knowledge.graph)).double())

        return probabilities

    def rescaled(scores: Tensor) -> Tensor:
        least, greatest = scores.aminmax(dim=1, keepdim=True)
        return (scores - least) / (greatest - least)

    temperature = likely.bundle.temperature or 1.0
    return {
        "calibrated": likely.of_answers,
        "softmax": of_scores(lambda scores: (scores / temperature).softmax(1)),
        "sigmoid": of_scores(torch.sigmoid),
        "rescaled": of_scores(rescaled),
    }


def mrrs(reasoner: Reasoner, name: str, asked: list[Question]) -> Tensor:
    """Of each question."""
    found = []
    for question in asked:
        truth = reasoner.reach(SHAPES[name], torch.tensor(question.hops)).truth[None]
        answers = torch.tensor(question.answers)
        known = torch.stack([torch.zeros_like(answers), answers])
        found.append(ranks(truth.clone(), torch.tensor([question.hard]), known).double().reciprocal().mean())
    return torch.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--questions", type=int, default=500, help="of each shape and part")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    bundle = Bundle.load(given.model)
    data = bundle.dataset
    calibration = calibration_of(bundle) or fit_calibration(bundle.scorer, data, bundle.temperature)
    assert calibration is not None, "without valid facts there are no questions either"
    bundle = replace(bundle, calibration=calibration.to_json())
    known_facts = Knowledge.of_facts(data.vocabulary, data.train, data.schema, "the training facts")
    likely = Plausibility(bundle, known_facts)
    parts = {"train": data.train, "valid": torch.cat([data.train, data.valid])}
    parts["test"] = torch.cat([parts["valid"], data.test])
    links = {name: Links(facts, data.num_relations) for name, facts in parts.items()}
    ways = [Way(what, known, "product", BEAM) for known in (True, False) for what in truths(likely)]
    ways.append(Way("calibrated", True, "minimum", BEAM))
    counts: dict[str, dict[str, int]] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    for part, easy in (("valid", "train"), ("test", "valid")):
        chance = random.Random(f"{given.seed} {part}")
        asked = {
            name: questions(name, links[part], links[easy], data.num_relations, given.questions, chance)
            for name in SHAPES
        }
        counts[part] = {name: len(each) for name, each in asked.items()}
        results[part] = []
        first: dict[str, Tensor] = {}
        beams = [Way("calibrated", True, "product", beam) for beam in BEAMS] if part == "valid" else []
        for way in [*ways, *beams]:
            start = perf_counter()
            known = known_facts.known if way.train_is_known else None
            reflexive = known_facts.known.reflexive
            reasoner = Reasoner(truths(likely)[way.truth], known, reflexive, norm=way.norm, beam=way.beam)
            found = {name: mrrs(reasoner, name, each) for name, each in asked.items()}
            first = first or found
            row = {
                **asdict(way),
                "mrr": {name: each.mean().item() for name, each in found.items()},
                "behind": {name: _mean_and_error(first[name] - each) for name, each in found.items()},
                "seconds": perf_counter() - start,
            }
            results[part].append(row)
            print(part, row, flush=True)
    dataset = Path(data.source).name
    report.write(
        __file__,
        given.seed,
        variant=dataset,
        model=given.model.name,
        run=bundle.run,
        calibration={"shape": calibration.shape, "knots": calibration.knots},
        questions=counts,
        results=results,
    )


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), (values.std() / len(values) ** 0.5).item()


if __name__ == "__main__":
    main()
