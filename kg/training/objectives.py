"""What training asks of a scorer: frozen values that turn a batch into a loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from kg.errors import UserError, check_at_least_one, check_choice
from kg.graph.graph import Graph, spans
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer
from kg.training import losses

_MOST_SCORES = 1 << 27  # held at once, half a gigabyte of fp32: a softmax over more is taken block by block


@dataclass(frozen=True, eq=False)
class Batch:
    """B questions, P >= B answers to them, and all the answers known in training.

    tail[i] is an answer to question row[i]; rows come in order, and each has one.
    rivals: the tails that answers are told from, the same for all or each its own; None: all entities.
    """

    queries: Queries
    row: Int[Tensor, " P"]
    tail: Int[Tensor, " P"]
    known: KnownAnswers
    rivals: Int[Tensor, " K"] | Int[Tensor, "P K"] | None = None

    def entities(self) -> Int[Tensor, " M"]:
        """Those that stand in it, as heads, answers or rivals; some several times."""
        named = [self.queries.head, self.tail]
        return torch.cat(named if self.rivals is None else [*named, self.rivals.flatten()])

    def facts(self) -> Queries:
        """The answers' questions: P of them."""
        queries = self.queries
        return replace(queries, head=queries.head[self.row], relation=queries.relation[self.row])


class Objective(ABC):
    """objective(scorer, batch) -> mean loss in nats (softmax losses) or in the loss's own unit."""

    @property
    def max_answers(self) -> int | None:
        """How many answers to one question a row of scores serves at most; None: all it has in training."""
        return 1

    @property
    def is_full_softmax(self) -> bool:
        """Trained so that softmax(scores) over all entities is the probability: no temperature need be fitted."""
        return False

    def most_rows(self, batch_size: int) -> int | None:
        """How many entities at most a batch of so many rows asks for; None: all."""
        return None

    def with_rivals(self, batch: Batch) -> Batch:
        """The batch with its rivals drawn, where they are drawn: the same object where that was done."""
        return batch

    @abstractmethod
    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]: ...


@final
@dataclass(frozen=True)
class OneVsAll(Objective):
    """Softmax cross-entropy of each fact's tail against all entities (Lacroix et al., 2018; LibKGE's 1vsAll).

    label_smoothing: the share of the target spread over all entities.
    max_answers: answers to one question that share a row of scores. Each fact is still asked once, and the loss is the
    mean over a batch's facts; but there are fewer rows, with 8 on fb15k-237 a third.
    """

    label_smoothing: float = 0.0
    max_answers: int = 1

    def __post_init__(self) -> None:
        check_at_least_one(max_answers=self.max_answers)

    @property
    def is_full_softmax(self) -> bool:
        return self.label_smoothing == 0

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        weight = torch.ones(len(batch.tail), device=batch.tail.device)
        return _cross_entropy(scorer, batch, weight, self.label_smoothing)


@final
@dataclass(frozen=True)
class OneVsUnknown(Objective):
    """Softmax cross-entropy of each fact's tail among itself and all entities that are no known answers.

    As ranks are filtered: no answer is pushed below another. max_answers: as in OneVsAll.
    """

    max_answers: int = 1

    def __post_init__(self) -> None:
        check_at_least_one(max_answers=self.max_answers)

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        queries = batch.queries
        scores = scorer.score_tails(queries).float()
        row, tail = batch.known.lookup(queries.head, queries.relation)
        is_known = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
        is_known[row, tail] = True
        rivals = scores.masked_fill(is_known, -torch.inf).logsumexp(1)[batch.row]
        answer = scores[batch.row, batch.tail]
        return (torch.logaddexp(rivals, answer) - answer).mean()


@final
@dataclass(frozen=True)
class KvsAll(Objective):
    """Each distinct question against all entities, its K answers true at once (Dettmers et al., 2018).

    loss: 'softmax': cross-entropy with 1 / K on each answer; 'bce': a logistic loss an entity.
    label_smoothing: the share of the target spread over all entities.
    """

    loss: Literal["softmax", "bce"] = "softmax"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, ("softmax", "bce"))

    @property
    def max_answers(self) -> None:
        return None

    @property
    def is_full_softmax(self) -> bool:
        return self.loss == "softmax" and self.label_smoothing == 0

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        if self.loss == "bce":
            scores = scorer.score_tails(batch.queries)
            return losses.binary_cross_entropy(scores, batch.row, batch.tail, self.label_smoothing)
        weight = torch.bincount(batch.row, minlength=len(batch.queries)).float().reciprocal()[batch.row]
        return _cross_entropy(scorer, batch, weight, self.label_smoothing)


def _cross_entropy(scorer: Scorer, batch: Batch, weight: Float[Tensor, " P"], smoothing: float) -> Float[Tensor, ""]:
    queries = batch.queries
    size, num_entities = len(queries), queries.graph.num_entities
    if size * num_entities <= _MOST_SCORES:
        scores = scorer.score_tails(queries)
        return losses.softmax_cross_entropy(scores, batch.row, batch.tail, weight, smoothing)
    state = scorer.encode(queries)
    return losses.chunked_softmax_cross_entropy(
        lambda part: scorer.compare(state, part),
        (size, num_entities),
        batch.row,
        batch.tail,
        weight,
        smoothing,
        width=max(1, _MOST_SCORES // size),
    )


@final
@dataclass(frozen=True)
class NegativeSampling(Objective):
    """Each fact against tails drawn at random.

    num_negatives: how many. shared: one pool for the whole batch (a matrix product), else each fact its own.
    loss: 'softmax'; 'corrected_softmax': a negative drawn with probability q counts as 1 / (num_negatives q) entities,
    and the answer never as its own negative, so that the sum of exponentials is OneVsAll's on average (sampled softmax;
    Jean et al., 2015; the loss, its logarithm, is a little less on average); 'margin': max(0, margin - s+ + s-);
    'logistic': self-adversarial logistic loss with `adversarial_temperature` (0: all negatives alike) and `margin`.
    exclude_known: negatives that are known answers do not count; else they do, as in most papers.
    candidates: 'all' entities alike; 'by_degree': each with a chance that grows as (its facts)^.75; or the 'typed':
    those that stand in the relation's range (asked for a head, in its domain) in training (Krompass et al., 2015).
    sides: 'both' alike, or 'bernoulli': of a fact, the sides weigh as tails per head : heads per tail, so that the side
    with the fewer true answers is corrupted more (Wang et al., 2014; there drawn, here its expectation).
    """

    num_negatives: int = 256
    shared: bool = True
    loss: Literal["softmax", "corrected_softmax", "margin", "logistic"] = "softmax"
    margin: float = 1.0
    adversarial_temperature: float = 1.0
    exclude_known: bool = False
    candidates: Literal["all", "by_degree", "typed"] = "all"
    sides: Literal["both", "bernoulli"] = "both"

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, ("softmax", "corrected_softmax", "margin", "logistic"))
        check_choice("candidates", self.candidates, ("all", "by_degree", "typed"))
        check_choice("sides", self.sides, ("both", "bernoulli"))
        if self.candidates == "typed" and self.shared:
            raise UserError("typed negatives differ from relation to relation: they need shared=False")

    def most_rows(self, batch_size: int) -> int:
        return 2 * batch_size + self.num_negatives * (1 if self.shared else batch_size)

    def with_rivals(self, batch: Batch) -> Batch:
        return batch if batch.rivals is not None else replace(batch, rivals=self._drawn(batch))

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        positive, negative = self._scores(scorer, batch)
        if self.loss == "margin":
            lost = losses.margin_ranking(positive, negative, self.margin)
        elif self.loss == "logistic":
            lost = losses.adversarial_logistic(positive, negative, self.margin, self.adversarial_temperature)
        else:
            lost = losses.sampled_softmax(positive, negative)
        return (lost * _bernoulli(batch)).mean() if self.sides == "bernoulli" else lost.mean()

    def _scores(self, scorer: Scorer, batch: Batch) -> tuple[Float[Tensor, " B"], Float[Tensor, "B K"]]:
        """Positives and negatives from one encoding: two would see different dropout."""
        drawn = self._drawn(batch) if batch.rivals is None else batch.rivals
        state = scorer.encode(batch.queries)
        positive = scorer.compare(state, batch.tail[:, None])[:, 0].float()
        negative = scorer.compare(state, drawn).float()
        if self.loss == "corrected_softmax":
            negative = negative - self._log_counts(batch, drawn)
            negative.index_put_(self._answers(batch, drawn), negative.new_tensor(-torch.inf))
        if self.exclude_known:
            negative = negative.index_put(self._known(batch, drawn), negative.new_tensor(-torch.inf))
        return positive, negative

    def _drawn(self, batch: Batch) -> Int[Tensor, " K"] | Int[Tensor, "B K"]:
        queries, own = batch.queries, (len(batch.tail), self.num_negatives)
        num, shape, device = queries.graph.num_entities, own[1:] if self.shared else own, batch.tail.device
        if self.candidates == "all":
            return torch.randint(0, num, shape, generator=queries.generator, device=device)
        share = torch.rand(shape, generator=queries.generator, device=device, dtype=torch.float64)
        if self.candidates == "by_degree":
            chances = queries.graph.popularity
            return torch.searchsorted(chances, share * chances[-1], right=True).clamp_(max=num - 1)
        offsets, tails = batch.known.tails_of_relations
        start, count = offsets[queries.relation], offsets.diff()[queries.relation]
        return tails[start[:, None] + (share * count[:, None]).long()]

    def _log_counts(self, batch: Batch, drawn: Tensor) -> Tensor:
        """log(num_negatives * q) of each negative, (K,) or (B, K) or (B, 1): how often it is drawn on average."""
        if self.candidates == "all":
            chance = torch.full((1,), 1 / batch.queries.graph.num_entities, device=drawn.device)
        elif self.candidates == "by_degree":
            chances = batch.queries.graph.popularity
            chance = chances.diff(prepend=chances.new_zeros(1))[drawn] / chances[-1]
        else:
            chance = batch.known.tails_of_relations[0].diff()[batch.queries.relation].reciprocal()[:, None]
        return (self.num_negatives * chance).log().float()

    def _answers(self, batch: Batch, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """(row, column) of negatives that are the fact's own answer."""
        if not self.shared:
            return _places(drawn == batch.tail[:, None])
        return _found(torch.arange(len(batch.tail), device=drawn.device), batch.tail, drawn)

    def _known(self, batch: Batch, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """(row, column) of negatives that are known answers."""
        head, relation = batch.queries.head, batch.queries.relation
        if self.shared:
            return _found(*batch.known.lookup(head, relation), drawn)
        head, relation = (each[:, None].expand_as(drawn).reshape(-1) for each in (head, relation))
        return _places(batch.known.contains(head, relation, drawn.reshape(-1)).view(drawn.shape))


def _places(chosen: Bool[Tensor, "B K"]) -> tuple[Tensor, Tensor]:
    row, column = chosen.nonzero(as_tuple=True)
    return row, column


def _found(row: Int[Tensor, " P"], tail: Int[Tensor, " P"], drawn: Int[Tensor, " K"]) -> tuple[Tensor, Tensor]:
    """(row, column) of each column whose entity is a tail of that row. O((K + P) log K)."""
    (ordered, column), tail = drawn.sort(), tail.contiguous()
    first = torch.searchsorted(ordered, tail)
    which, place = spans(first, torch.searchsorted(ordered, tail, right=True) - first)
    return row[which], column[place]


def _bernoulli(batch: Batch) -> Float[Tensor, " B"]:
    """The weight of each fact's side, 1 on average over the two sides of a fact."""
    per_question, relation = batch.known.answers_a_question, batch.queries.relation
    here, there = per_question[relation], per_question.roll(batch.known.num_relations)[relation]
    return 2 * there / (here + there)


@final
@dataclass(frozen=True)
class RelationPrediction(Objective):
    """weight * softmax cross-entropy of each fact's relation among all 2R, given its two ends (Chen et al., 2021).

    To be added to another objective. A scorer that looks at the graph must not see any edge between the two ends.
    """

    weight: float

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        facts = batch.facts()
        scores = scorer.score_relations(facts.head, batch.tail, facts.graph)
        return self.weight * functional.cross_entropy(scores.float(), facts.relation)


OBJECTIVES: dict[str, type[Objective]] = {
    "one_vs_all": OneVsAll,
    "one_vs_unknown": OneVsUnknown,
    "k_vs_all": KvsAll,
    "negative_sampling": NegativeSampling,
}


@runtime_checkable
class Identifies(Protocol):
    """A scorer that can tell an entity by its neighbours."""

    def identify(
        self, ids: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None
    ) -> Float[Tensor, "B N"]: ...


@final
@dataclass(frozen=True)
class MaskedEntity(Objective):
    """weight * softmax cross-entropy of each fact's head among all entities, given its neighbours without itself.

    To be added to another objective (HittER's masked entity prediction; Chen et al., 2021). UserError for a scorer that
    cannot tell an entity by its neighbours.
    """

    weight: float

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        if not isinstance(scorer, Identifies):
            raise UserError(f"{type(scorer).__name__} cannot tell an entity by its neighbours: no masked-entity loss")
        queries = batch.queries
        head, place = torch.unique(batch.facts().head, return_inverse=True)  # each once, however many its facts
        scores = scorer.identify(head, queries.graph, queries.generator)
        lost = functional.cross_entropy(scores.float(), head, reduction="none")
        return self.weight * lost[place].mean()


AUXILIARIES: dict[str, type[Objective]] = {"relation_prediction": RelationPrediction, "masked_entity": MaskedEntity}
