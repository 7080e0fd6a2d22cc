"""Which new facts are the most plausible in the whole graph?"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.models.scorer import Queries
from kg.query.candidate import Candidate
from kg.query.predictor import Predictor

_BATCH = 256


@torch.no_grad()
def best_new_facts(predictor: Predictor, top: int = 10) -> list[Candidate]:
    """The `top` facts not known, over all relations, best first.

    Candidates of a relation are the pairs of a known subject of it and a known object of it. Their score is the mean of
    log softmax over all entities, at the model's temperature, in both directions, (h, r, ?) and (?, r, t): raw scores
    do not compare across questions. Costs 2 R scorings of the N entities; memory is a matrix of a relation's subjects
    by its objects. Entities that came after training are left out.
    """
    num_relations = len(predictor.vocabulary.relations)
    found: list[tuple[float, int, int, int]] = []
    for relation in range(num_relations):
        heads, tails = _seen(predictor, relation)
        forward = _log_probabilities(predictor, heads, relation, tails)
        backward = _log_probabilities(predictor, tails, relation + num_relations, heads)
        scores = (forward + backward.T) / 2  # (heads, tails)
        scores[_not_candidates(predictor, heads, tails, relation)] = -torch.inf
        best = scores.flatten().topk(min(top, scores.numel()))
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if score > -torch.inf:
                head, tail = divmod(place, len(tails))
                found.append((score, int(heads[head]), relation, int(tails[tail])))
    found.sort(key=lambda row: -row[0])
    names = predictor.vocabulary
    return [
        Candidate(names.entities[head], names.relations[relation], names.entities[tail], rank, score, known=False)
        for rank, (score, head, relation, tail) in enumerate(found[:top], 1)
    ]


def _seen(predictor: Predictor, relation: int) -> tuple[Int[Tensor, " H"], Int[Tensor, " T"]]:
    """The trained subjects and objects of a relation."""
    of_relation = predictor.facts[predictor.facts[:, 1] == relation]
    heads, tails = (torch.unique(of_relation[:, place]) for place in (0, 2))
    trained = predictor.scorer.num_entities
    return heads[heads < trained], tails[tails < trained]


def _log_probabilities(
    predictor: Predictor, heads: Int[Tensor, " H"], relation: int, tails: Int[Tensor, " T"]
) -> Float[Tensor, "H T"]:
    """log softmax over all entities of (head, relation, ?), for these tails."""
    queries = Queries(heads, torch.full_like(heads, relation), predictor.graph)
    temperature = predictor.bundle.temperature or 1.0
    rows = [
        torch.log_softmax(predictor.scorer.score_tails(queries[start : start + _BATCH]) / temperature, 1)[:, tails]
        for start in range(0, max(len(heads), 1), _BATCH)
    ]
    return torch.cat(rows)


def _not_candidates(
    predictor: Predictor, heads: Int[Tensor, " H"], tails: Int[Tensor, " T"], relation: int
) -> Bool[Tensor, "H T"]:
    """Known facts; and an entity's fact with itself, where the relation has none such."""
    row, tail = predictor.known.lookup(heads, torch.full_like(heads, relation))
    row, tail = (x[tail < predictor.scorer.num_entities] for x in (row, tail))
    gone = torch.zeros(len(heads), len(tails), dtype=torch.bool, device=heads.device)
    gone[row, torch.searchsorted(tails, tail)] = True
    if not predictor.loops[relation]:
        gone |= heads[:, None] == tails
    return gone
