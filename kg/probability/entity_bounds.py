"""Bounds from above of the logits of all facts of one entity, at one product a fact.

What a logit costs is its normalisers: log sum exp of the scores of all A known answers of a question. That of the
entity's own question is the same for all answers t. That of t's, which asks for the entity, counts -w in the logit:
where w is not negative, what it is at least bounds the logit from above, and by Jensen's inequality that is

    log sum_a exp s(t, a) >= log A + mean_a s(t, a) = log A + t^T M (mean of the answers' vectors)

which is one more product: folded into the entity's own vector, a bound costs what a score costs, and all questions are
one product of matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.models.scorer import DotScorer
from kg.probability.calibration import Calibration
from kg.probability.query_scores import LEAST, QueryScores
from kg.search.one_entity import Bounds

_ROWS = 1 << 13  # entities at a time
_UNIT = 2.0**-23  # of rounding: twice that of one operation


@final
@dataclass(frozen=True, eq=False)
class EntityBounds(Bounds):
    """t^T vector + constant a question, and what the known answers of t's question add, whose relation is `answer`."""

    query_scores: QueryScores
    questions: Sequence[int]
    answer: Int[Tensor, " Q"]
    vectors: Float[Tensor, "D Q"]
    constant: Float[Tensor, " Q"]
    log_known: Float[Tensor, " Q"]
    any_known: Float[Tensor, " Q"]

    @torch.no_grad()
    def of(self, block: slice) -> Float[Tensor, "B Q"]:
        scorer, known = self.query_scores.scorer, self.query_scores.known
        assert isinstance(scorer, DotScorer)
        found = torch.addmm(self.constant, scorer.entities(self.query_scores.graph, block), self.vectors)
        column_of = self.answer.new_full((2 * known.num_relations,), -1)
        column_of[self.answer] = torch.arange(len(self.answer))
        entity, relation, count = _asked(self.query_scores, block)
        column = column_of[relation]
        entity, count, column = entity[column >= 0], count[column >= 0], column[column >= 0]
        found[entity, column] += self.log_known[column] * count.float().log1p() + self.any_known[column]
        return found


@torch.no_grad()
def entity_bounds(
    query_scores: QueryScores, calibration: Calibration, entity: int, questions: Sequence[int]
) -> EntityBounds | None:
    """Of those questions about the entity whose answers have bounds; None: none has.

    They have where the scorer is bilinear, the normaliser of the answer's question does not raise a logit, no score of
    the entity can be so low that it is told as a higher one (ScoreBlock), and of the known answers to the answer's
    question one has a vector, if there are any. On a CPU: elsewhere all logits are a matter of seconds.
    """
    scorer, num = query_scores.scorer, query_scores.known.num_relations
    if not isinstance(scorer, DotScorer) or scorer.device.type != "cpu" or scorer.bilinear_form(0) is None:
        return None
    means, count, longest = _heads(query_scores)
    one = torch.tensor([entity])
    own = scorer.entities(query_scores.graph, one)[0]
    columns = []
    for asked in questions:
        answer = (asked + num) % (2 * num)
        weights = calibration.of_relation(asked)
        direction = "backward" if asked < num else "forward"  # of the answer's question
        softmax, log_known, any_known = (weights[f"{direction}_{each}"] for each in _OF_QUESTION)
        there, back = (_form(scorer, each) / query_scores.temperature for each in (asked, answer))
        of_own, of_answer = own @ there, back @ own
        lowest = -longest * max(of_own.norm().item(), of_answer.norm().item())
        if softmax < 0 or lowest <= LEAST or (not count[asked] and len(query_scores.answers(answer))):
            continue
        both = calibration.of_scores(asked)
        ahead, behind = both if asked < num else both[::-1]
        constant = calibration.of_question(asked, query_scores.block(asked, one, one[:0])).item()
        constant += 0.0 if asked < num else weights["constant"]  # else it is part of that of the question
        vector = ahead * of_own + behind * of_answer
        if count[asked]:
            vector = vector - softmax * (back @ means[asked])
            constant -= softmax * count[asked].log().item()
        largest = longest**2 * ((abs(ahead) + softmax) * _norm(there) + (abs(behind) + softmax) * _norm(back))
        others = abs(constant) + 20 * abs(log_known) + abs(any_known)
        # What sums in another order may differ by: of D products, and of as many rows as are added up at once.
        constant += _UNIT * ((len(own) + 256) * largest + 64 * others)
        columns.append((asked, answer, vector, constant, log_known, any_known))
    if not columns:
        return None
    asked_, answer_, vector_, *numbers = zip(*columns, strict=True)
    vectors = torch.stack(vector_, 1)
    return EntityBounds(query_scores, asked_, torch.tensor(answer_), vectors, *(torch.tensor(each) for each in numbers))


_OF_QUESTION = "log_softmax", "log_known", "any_known"


def _heads(query_scores: QueryScores) -> tuple[Float[Tensor, "R2 D"], Float[Tensor, " R2"], float]:
    """Of each directed relation the mean of the vectors of its known heads, which are the known answers of its inverse,
    and how many there are; the length of the longest vector of all. One pass through the table."""
    scorer, num = query_scores.scorer, 2 * query_scores.known.num_relations
    assert isinstance(scorer, DotScorer)
    total, count, longest = torch.zeros(0), torch.zeros(num), 0.0
    for start in range(0, scorer.num_entities, _ROWS):
        block = slice(start, min(start + _ROWS, scorer.num_entities))
        rows = scorer.entities(query_scores.graph, block)
        entity, relation, _ = _asked(query_scores, block)
        stands = torch.zeros(len(rows), num)
        stands[entity, relation] = 1
        total = stands.T @ rows if not start else total.addmm_(stands.T, rows)
        count += torch.bincount(relation, minlength=num)
        longest = max(longest, rows.norm(dim=1).max().item())
    return total / count.clamp(min=1)[:, None], count, longest


def _asked(query_scores: QueryScores, block: slice) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Int[Tensor, " M"]]:
    """(place in the block, directed relation, known answers) of all questions about these entities that have any."""
    known = query_scores.known
    num = 2 * known.num_relations
    begin, end = torch.searchsorted(known.questions, torch.tensor([block.start * num, block.stop * num])).tolist()
    questions = known.questions[begin:end]
    return questions // num - block.start, questions % num, known.offsets[begin : end + 1].diff()


def _form(scorer: DotScorer, relation: int) -> Float[Tensor, "D D"]:
    found = scorer.bilinear_form(relation)
    assert found is not None
    return found


def _norm(matrix: Float[Tensor, "D D"]) -> float:
    """At least its largest singular value."""
    sums = matrix.abs()
    return float((sums.sum(0).max() * sums.sum(1).max()).sqrt())
