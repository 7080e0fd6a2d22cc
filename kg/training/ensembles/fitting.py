"""What parts say of the valid facts: gathered in one pass over them, for the weights of an ensemble to be fitted on."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError, check_at_least_one
from kg.evaluation.ranking import Ranking
from kg.graph.dataset import Dataset
from kg.graph.graph import with_inverses
from kg.interruption import at_once
from kg.models.ensemble import Ensemble
from kg.models.scorer import Queries, Scorer
from kg.newton import minimised
from kg.progress import SILENT, Progress
from kg.training.algorithm import Epoch, Trainer, TrainingAlgorithm, check_kind

_BATCH = 128  # questions scored at once
_ROWS = 1024  # questions whose rivals are held in float64 at once
_NEAR = 1e-6  # nats that another step could gain at most


@dataclass(frozen=True, eq=False)
class Gathered:
    """What the parts say in Q questions of T answers and of C rivals a question: F numbers each: one feature of all
    parts, then the next.

    weight: how many candidates a rival stands for, 0 where for none. question: the row of each answer.
    """

    rivals: Float[Tensor, "Q C F"]
    weight: Float[Tensor, "Q C"]
    question: Int[Tensor, " T"]
    answers: Float[Tensor, "T F"]

    def of(self, chosen: Bool[Tensor, " T"]) -> "Gathered":
        """These answers, and their questions alone."""
        rows, question = torch.unique(self.question[chosen], return_inverse=True)
        return Gathered(self.rivals[rows], self.weight[rows], question, self.answers[chosen])

    def blocks(self) -> Iterator["Gathered"]:
        """The same in pieces, in float64. Answers must come in order of their questions."""
        for first in range(0, len(self.rivals), _ROWS):
            rows = slice(first, first + _ROWS)
            low, high = torch.searchsorted(self.question, torch.tensor([first, first + _ROWS])).tolist()
            rivals, weight = self.rivals[rows].double(), self.weight[rows].double()
            yield Gathered(rivals, weight, self.question[low:high] - first, self.answers[low:high].double())


def derivatives(
    evidence: Gathered, weights: Float[Tensor, " F"]
) -> tuple[Float[Tensor, ""], Float[Tensor, " F"], Float[Tensor, "F F"]]:
    """The sum over all answers of -log softmax(weights . x) among themselves and their rivals; its two derivatives."""
    size = len(weights)
    loss, gradient, hessian = (weights.new_zeros(shape) for shape in ((), (size,), (size, size)))
    for block in evidence.blocks():
        logits = block.rivals @ weights + block.weight.log()
        total = logits.logsumexp(1)
        share = (logits - total.clamp(min=-1e300)[:, None]).exp()  # 0 throughout where there is no rival
        mean = torch.einsum("qc,qcf->qf", share, block.rivals)
        own = block.answers @ weights
        whole = torch.logaddexp(own, total[block.question])
        own_share = (own - whole).exp()[:, None]
        expected = own_share * block.answers + (1 - own_share) * mean[block.question]
        rest = torch.zeros_like(total).index_add_(0, block.question, 1 - own_share[:, 0])
        rivals = block.rivals.flatten(0, 1)
        loss += (whole - own).sum()
        gradient += (expected - block.answers).sum(0)
        hessian += (rivals * (share * rest[:, None]).flatten()[:, None]).T @ rivals
        hessian += (own_share * block.answers).T @ block.answers - expected.T @ expected
    return loss, gradient, hessian


def fitted(
    evidence: Sequence[Gathered], towards: Float[Tensor, " F"], strength: float, start: Float[Tensor, " F"]
) -> Float[Tensor, " F"]:
    """The weights that minimise the loss over all of it + strength / 2 ||weights - towards||^2, by Newton's method."""

    def at(weights: Tensor) -> tuple[float, Tensor, Tensor]:
        away = weights - towards
        loss, gradient, hessian = strength / 2 * away @ away, strength * away, strength * torch.eye(len(away)).double()
        for each in evidence:
            more = derivatives(each, weights)
            loss, gradient, hessian = loss + more[0], gradient + more[1], hessian + more[2]
        return loss.item(), gradient, torch.linalg.solve(hessian, gradient)

    return minimised(at, start, least_gain=_NEAR)


def ranked(evidence: Gathered, weights: Float[Tensor, " F"]) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
    """The rank of each answer, ties counting half, and -log of its softmax: exact where all rivals are there."""
    ranks, losses = [torch.zeros(0).double()], [torch.zeros(0).double()]
    for block in evidence.blocks():
        rivals, own = (weighted(x, weights) for x in (block.rivals, block.answers))
        against, weight = rivals[block.question], block.weight[block.question]
        ranks.append(1 + (weight * ((against > own[:, None]).double() + (against == own[:, None]) / 2)).sum(1))
        total = (rivals + block.weight.log()).logsumexp(1)
        losses.append(torch.logaddexp(own, total[block.question]) - own)
    return torch.cat(ranks), torch.cat(losses)


def weighted(x: Float[Tensor, "*shape F"], weights: Float[Tensor, " F"]) -> Float[Tensor, "*shape"]:
    """x @ weights in one order of sums whatever the shape: what ties must come out the same to the last bit."""
    total = torch.zeros_like(x[..., 0])
    for column, weight in zip(x.unbind(-1), weights, strict=True):
        total = total + column * weight
    return total


@dataclass(frozen=True)
class EnsembleFitting(TrainingAlgorithm, ABC):
    """Fits the weights of an ensemble on the valid facts; known answers of train and valid are nobody's rivals.

    parts: the folders of the trained models that it is made of, of the same facts.
    candidates: rivals kept of each part's best a question; as many are drawn from the others and stand for them all.
    """

    parts: tuple[str, ...]
    candidates: int = 128
    ensemble: ClassVar[type[Ensemble]]  # what it fits

    def __post_init__(self) -> None:
        check_at_least_one(candidates=self.candidates)

    @property
    def is_calibrated(self) -> bool:
        return True

    @property
    def other_models(self) -> tuple[str, ...]:
        return self.parts

    @final
    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:
        """Give the parts the weights of the trained models."""
        parts = list(self._checked(scorer).scorers())
        if len(parts) != len(self.parts):
            has = f"{type(scorer).__name__} has {len(parts)} parts"
            raise UserError(f"{has} that must have been trained before: parts names {len(self.parts)} folders")
        for part, model in zip(parts, self.parts, strict=True):
            Bundle.load_for(dataset, model, "part").start(part, "part")

    @final
    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Gathering":
        """UserError for another scorer than it fits, and without valid facts."""
        checked = self._checked(scorer)
        if not len(dataset.valid):
            raise UserError(f"{type(self).__name__} fits its weights on valid facts, and there are none")
        return self.gathering(checked, dataset, seed, device)

    def _checked(self, scorer: Scorer) -> Ensemble:
        if not isinstance(scorer, self.ensemble):
            name = type(self).__name__
            raise UserError(f"{name} fits the weights of {self.ensemble.__name__}, not of {type(scorer).__name__}")
        return scorer

    @abstractmethod
    def gathering(self, scorer: Any, dataset: Dataset, seed: int, device: torch.device | str) -> "Gathering":
        """The training of what it fits."""


class Gathering(Trainer, ABC):
    """A step scores a batch of questions, once; the end of the epoch fits the weights: the final ones by all valid
    facts, and for the figures that are reported those of each half, drawn by the seed, by the other half.

    Memory: (P + 1) candidates * F numbers a question. loss: the mean of -log softmax of the valid answers, each half
    of the facts by the weights of the other, in nats. What a paused epoch has scored is not stored: a resumed one
    begins anew.
    """

    is_cross_fitted: ClassVar[bool] = True

    def __init__(
        self,
        scorer: Ensemble,
        dataset: Dataset,
        algorithm: EnsembleFitting,
        seed: int,
        device: torch.device | str,
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._ensemble, self._width = scorer, min(algorithm.candidates, dataset.num_entities)
        self._graph = dataset.graph().to(self.device)
        self._known = dataset.known("train", "valid").to(self.device)
        directed = with_inverses(dataset.valid, dataset.num_relations)
        key = directed[:, 1] * dataset.num_entities + directed[:, 0]  # by relation, then by question
        self._order = key.argsort(stable=True)
        self._directed = directed[self._order]
        self._keys, self._question = torch.unique_consecutive(key[self._order], return_inverse=True)
        self._losses = self._ranks = torch.zeros(0).double()
        self.num_queries, self.num_steps = len(directed), -(-len(self._keys) // _BATCH)

    def loss(self) -> float:
        return float(self._losses.mean()) if len(self._losses) else math.nan

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            if not self.step:
                self._begin()
            while self.step < self.num_steps and not self._paused:
                with at_once():  # nothing of an epoch under way is kept
                    self._take_step()
            if self.step < self.num_steps:
                self._paused = False
                yield Epoch(self.epoch + 1, self.loss(), self.step * _BATCH, complete=False)
                continue
            with at_once():
                self._fit(Gathered(self._rivals, self._weight, self._question, self._answers))
            del self._rivals, self._weight, self._answers
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)

    @abstractmethod
    def _fit(self, evidence: Gathered) -> None:
        """Give the scorer its weights; keep the ranks and losses of each half of the facts by those of the other."""

    def valid_ranking(self, dataset: Dataset, temperature: float | None, progress: Progress = SILENT) -> Ranking:
        """Each half of the facts by the weights of the other, whatever weights the scorer has now."""
        head, relation, tail = self._directed.unbind(1)
        losses = self._losses[:0] if temperature is None else self._losses
        row, _ = dataset.known("train", "valid").lookup(head, relation)
        candidates = dataset.num_entities + 1 - torch.bincount(row, minlength=len(head))
        return Ranking(head, relation, tail, self._ranks, candidates, losses, dataset.num_relations)

    def _begin(self) -> None:
        num_parts = len(self._ensemble.parts)
        rows, columns, size = len(self._keys), (num_parts + 1) * self._width, num_parts * self._ensemble.num_features
        self._generator = torch.Generator().manual_seed(self.seed)
        self._half = torch.randperm(len(self._order) // 2, generator=self._generator).repeat(2)[self._order] % 2
        self._rivals = torch.zeros(rows, columns, size)
        self._weight = torch.zeros(rows, columns)
        self._answers = torch.zeros(len(self._order), size)

    @torch.no_grad()
    def _take_step(self) -> None:
        """Keep what the parts say of the answers to a batch of questions, of their best rivals, and of some others."""
        rows = slice(self.step * _BATCH, (self.step + 1) * _BATCH)
        keys, num_entities = self._keys[rows].to(self.device), self._graph.num_entities
        queries = Queries(keys % num_entities, keys // num_entities, self._graph)
        is_taken = torch.zeros(len(keys), num_entities, dtype=torch.bool, device=self.device)
        is_taken[self._known.lookup(queries.head, queries.relation)] = True
        opinions = list(self._ensemble.opinions(queries))
        chosen, weights = [], []
        for opinion in opinions:
            best = opinion.masked_fill(is_taken, -torch.inf).topk(self._width, 1).indices
            chosen.append(best)
            weights.append((~is_taken.gather(1, best)).float())
            is_taken.scatter_(1, best, True)
        drawn = torch.randint(num_entities, (len(keys), self._width), generator=self._generator).to(self.device)
        is_other = ~is_taken.gather(1, drawn)
        others, found = ((~is_taken).sum(1, keepdim=True), is_other.sum(1, keepdim=True))
        rivals = torch.cat([*chosen, drawn], 1)
        self._weight[rows] = torch.cat([*weights, is_other * (others / found.clamp(min=1))], 1).cpu()
        here = (self._question >= rows.start) & (self._question < rows.stop)
        asked, answer = self._question[here].to(self.device) - rows.start, self._directed[here, 2].to(self.device)
        said = zip(*(self._ensemble.features(opinion) for opinion in opinions), strict=True)
        columns = [column for feature in said for column in feature]
        self._rivals[rows] = torch.stack([column.gather(1, rivals) for column in columns], 2).cpu()
        self._answers[here] = torch.stack([column[asked, answer] for column in columns], 1).cpu()
        self._step_taken()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "ranks": self._ranks, "losses": self._losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.step = 0
        for name in ("ranks", "losses"):
            check_kind(name, state[name], torch.zeros(len(self._order) if self.epoch else 0).double())
        self._ranks, self._losses = state["ranks"], state["losses"]
