"""What training asks of a scorer: frozen values that turn a batch into a loss."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import check_choice
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer
from kg.training import losses


@dataclass(frozen=True, eq=False)
class Batch:
    """B questions with an answer each, and all the answers known in training.

    Where the objective takes whole questions, the answer is one of the question's, drawn at random.
    """

    queries: Queries
    tail: Int[Tensor, " B"]
    known: KnownAnswers


class Objective(ABC):
    """objective(scorer, batch) -> mean loss in nats (softmax losses) or in the loss's own unit.

    whole_questions: a batch is of distinct (head, relation) with all their answers, not of single facts.
    """

    whole_questions: ClassVar[bool] = False

    @property
    def is_full_softmax(self) -> bool:
        """Trained so that softmax(scores) over all entities is the probability: no temperature need be fitted."""
        return False

    @abstractmethod
    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]: ...


@final
@dataclass(frozen=True)
class OneVsAll(Objective):
    """Softmax cross-entropy of each fact's tail against all entities (Lacroix et al., 2018; LibKGE's 1vsAll).

    label_smoothing: the share of the target spread over all entities.
    """

    label_smoothing: float = 0.0

    @property
    def is_full_softmax(self) -> bool:
        return True

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        scores = scorer.score_tails(batch.queries)
        row = torch.arange(len(scores), device=scores.device)
        weight = torch.ones(len(scores), device=scores.device)
        return losses.softmax_cross_entropy(scores, row, batch.tail, weight, self.label_smoothing)


@final
@dataclass(frozen=True)
class KvsAll(Objective):
    """Each distinct question against all entities, its K answers true at once (Dettmers et al., 2018).

    loss: 'softmax': cross-entropy with 1 / K on each answer; 'bce': a logistic loss an entity.
    label_smoothing: the share of the target spread over all entities.
    """

    loss: Literal["softmax", "bce"] = "softmax"
    label_smoothing: float = 0.0
    whole_questions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, ("softmax", "bce"))

    @property
    def is_full_softmax(self) -> bool:
        return self.loss == "softmax"

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        scores = scorer.score_tails(batch.queries)
        row, tail = batch.known.lookup(batch.queries.head, batch.queries.relation)
        if self.loss == "bce":
            return losses.binary_cross_entropy(scores, row, tail, self.label_smoothing)
        weight = torch.bincount(row, minlength=len(scores)).float().reciprocal()[row]
        return losses.softmax_cross_entropy(scores, row, tail, weight, self.label_smoothing)


@final
@dataclass(frozen=True)
class NegativeSampling(Objective):
    """Each fact against tails drawn uniformly.

    num_negatives: how many. shared: one pool for the whole batch (a matrix product), else each fact its own.
    loss: 'softmax'; 'margin': max(0, margin - s+ + s-); 'logistic': self-adversarial logistic loss with
    `adversarial_temperature` (0: all negatives alike) and `margin`.
    exclude_known: negatives that are known answers do not count; else they do, as in most papers.
    """

    num_negatives: int = 256
    shared: bool = True
    loss: Literal["softmax", "margin", "logistic"] = "softmax"
    margin: float = 1.0
    adversarial_temperature: float = 1.0
    exclude_known: bool = False

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, ("softmax", "margin", "logistic"))

    def __call__(self, scorer: Scorer, batch: Batch) -> Float[Tensor, ""]:
        positive, negative = self._scores(scorer, batch)
        if self.loss == "softmax":
            return losses.sampled_softmax(positive, negative)
        if self.loss == "margin":
            return losses.margin_ranking(positive, negative, self.margin)
        return losses.adversarial_logistic(positive, negative, self.margin, self.adversarial_temperature)

    def _scores(self, scorer: Scorer, batch: Batch) -> tuple[Float[Tensor, " B"], Float[Tensor, "B K"]]:
        """Positives and negatives from one encoding: two would see different dropout."""
        queries = batch.queries
        shape = (self.num_negatives,) if self.shared else (len(batch.tail), self.num_negatives)
        drawn = torch.randint(
            0, queries.graph.num_entities, shape, generator=queries.generator, device=batch.tail.device
        )
        state = scorer.encode(queries)
        positive = scorer.compare(state, batch.tail[:, None])[:, 0].float()
        negative = scorer.compare(state, drawn).float()
        if self.exclude_known:
            negative = negative.masked_fill(self._known(batch, drawn), -torch.inf)
        return positive, negative

    def _known(self, batch: Batch, drawn: Tensor) -> Tensor:
        """(B, K): which of the drawn tails are known answers."""
        own = drawn.expand(len(batch.tail), -1)
        head, relation = (x[:, None].expand_as(own).reshape(-1) for x in (batch.queries.head, batch.queries.relation))
        return batch.known.contains(head, relation, own.reshape(-1)).view(own.shape)


OBJECTIVES: dict[str, type[Objective]] = {
    "one_vs_all": OneVsAll,
    "k_vs_all": KvsAll,
    "negative_sampling": NegativeSampling,
}
