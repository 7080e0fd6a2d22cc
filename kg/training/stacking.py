"""Stacking: how much each trained part of a combination counts, by directed relation, fitted on the valid facts."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from rich.console import Console
from torch import Tensor

from kg import bundle
from kg.errors import UserError
from kg.evaluation.ranking import Ranking
from kg.graph.dataset import Dataset
from kg.graph.graph import with_inverses
from kg.models import SCORERS, from_description
from kg.models.combined import Combined, level_and_reach
from kg.models.scorer import Queries, Scorer
from kg.training.defaults import defaults
from kg.training.fit import Epoch, Fitting
from kg.training.run import Procedure, Run
from kg.training.train import resume, train, trained_on

_STRENGTHS = (100.0, 10.0, 1.0, 0.1)  # of the pull towards the weights of all relations, from firm to loose
_BATCH = 128  # questions scored at once
_ROWS = 1024  # questions whose rivals are held in float64 at once
_NEWTON = 50  # steps at most; some six are taken
_NEAR = 1e-6  # nats that another step could gain at most


@final
@dataclass(frozen=True)
class Stacking(Procedure):
    """A multinomial logit a directed relation r, over the filtered candidates c of each valid fact (h, r, t):

        minimise sum_t -log softmax_c(w_r . x_c)[t] + strength / 2 ||w_r - w||^2

    x holds the levels, in units of their spread, and the reaches of all parts (kg.models.combined), and w is the same
    fit over all relations together. So an answer competes with its rivals, where plain logistic regression (Dong et
    al., 2014) would tell true from false over all questions. Known answers of train and valid are nobody's rivals.

    Each half of the valid facts, drawn by the run's seed, is ranked with weights that the other half gave: the strength
    is that of 0.1, 1, 10 and 100 with the best MRR, and these ranks are the figures that are reported, since those of
    the final weights would be measured on the facts they were fitted on. (That choice saw all of valid, as did the
    parts' choice of an epoch.)

    candidates: rivals kept of each part's best a question; as many are drawn from the others and stand for them all.
    """

    candidates: int = 128
    is_calibrated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise UserError(f"candidates must be at least 1: got {self.candidates}")

    def fit(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str) -> Fitting:
        """UserError for anything but a Combined, without valid facts, and for what descends a gradient."""
        if not isinstance(scorer, Combined):
            raise UserError(f"stacking fits a combination of trained models, not {type(scorer).__name__}")
        self.check_unused(run)
        if not len(dataset.valid):
            raise UserError("stacking fits its weights on valid facts, and there are none")
        return Stacked(scorer, dataset, run, device, self)


def combination(
    parts: Sequence[str],
    out: Path | str,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    quiet: bool = False,
) -> Callable[[Dataset], Run]:
    """From a dataset to the Run that combines these parts: folders of trained models, or names of models.

    A model that is only named is trained with its default settings into a folder beside `out`, <out>-<name>; or gone on
    with there, or taken as it is where it was finished. UserError where a part is neither, now; and where a folder
    holds another model or one of other facts, before anything is trained. (A folder called complex is ./complex.)
    """
    named = {part: defaults(part) for part in parts if not part or part in SCORERS or not bundle.exists(part)}

    def made(dataset: Dataset) -> Run:
        folders = {part: Path(f"{out}-{part}" if part in named else part) for part in parts}
        found = {
            part: trained_on(dataset, folder, "part") for part, folder in folders.items() if bundle.exists(folder)
        }
        for part, settings in named.items():
            if part in found and (name := found[part].run["scorer"]["name"]) != part:
                raise UserError(f"{folders[part]} holds a model {name}, not {part}: move it, or name it as the part")
            if part in found and found[part].metrics["finished"]:
                continue
            if not quiet:
                (console or Console(stderr=True)).print(f"{part}: trained first, in {folders[part]}", soft_wrap=True)
            if part in found:
                found[part] = resume(folders[part], device=device, console=console, quiet=quiet)
            else:
                run = replace(settings(dataset), seed=seed)
                found[part] = train(dataset, run, folders[part], device=device, console=console, quiet=quiet)
        scorers = [from_description(found[part].run["scorer"]) for part in parts]
        return Run(
            partial(Combined, parts=scorers),
            procedure=Stacking(),
            epochs=1,
            valid_every=1,
            hide="exact",
            seed=seed,
            parts=tuple(str(folders[part]) for part in parts),
        )

    return made


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the parts say in Q questions of T answers and of C rivals a question: F numbers each, levels then reaches.

    weight: how many candidates a rival stands for, 0 where for none. question: the row of each answer.
    """

    rivals: Float[Tensor, "Q C F"]
    weight: Float[Tensor, "Q C"]
    question: Int[Tensor, " T"]
    answers: Float[Tensor, "T F"]

    def of(self, chosen: Bool[Tensor, " T"]) -> "Evidence":
        """These answers, and their questions alone."""
        rows, question = torch.unique(self.question[chosen], return_inverse=True)
        return Evidence(self.rivals[rows], self.weight[rows], question, self.answers[chosen])

    def blocks(self) -> Iterator["Evidence"]:
        """The same in pieces, in float64. Answers must come in order of their questions."""
        for first in range(0, len(self.rivals), _ROWS):
            rows = slice(first, first + _ROWS)
            low, high = torch.searchsorted(self.question, torch.tensor([first, first + _ROWS])).tolist()
            rivals, weight = self.rivals[rows].double(), self.weight[rows].double()
            yield Evidence(rivals, weight, self.question[low:high] - first, self.answers[low:high].double())


def derivatives(
    evidence: Evidence, weights: Float[Tensor, " F"]
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
    evidence: Sequence[Evidence], towards: Float[Tensor, " F"], strength: float, start: Float[Tensor, " F"]
) -> Float[Tensor, " F"]:
    """The weights that minimise the loss over all of it + strength / 2 ||weights - towards||^2: Newton, which is safe
    here, as the loss is convex and a step that overshoots is halved.
    """

    def at(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        away = weights - towards
        loss, gradient, hessian = strength / 2 * away @ away, strength * away, strength * torch.eye(len(away)).double()
        for each in evidence:
            more = derivatives(each, weights)
            loss, gradient, hessian = loss + more[0], gradient + more[1], hessian + more[2]
        return loss, gradient, hessian

    weights, (loss, gradient, hessian) = start, at(start)
    for _ in range(_NEWTON):
        step = torch.linalg.solve(hessian, gradient)
        if gradient @ step < _NEAR:
            break
        following = at(weights - step)
        while following[0] > loss and gradient @ step > _NEAR:
            step = step / 2
            following = at(weights - step)
        weights, (loss, gradient, hessian) = weights - step, following
    return weights


def of_relations(
    evidence: dict[int, Evidence], overall: Float[Tensor, " F"], strength: float, start: Float[Tensor, "R2 F"]
) -> Float[Tensor, "R2 F"]:
    """The weights of each directed relation, drawn towards those of all; of one without evidence, just these."""
    weights = overall.repeat(len(start), 1)
    for relation, each in evidence.items():
        weights[relation] = fitted([each], overall, strength, start[relation])
    return weights


def ranked(evidence: Evidence, weights: Float[Tensor, " F"]) -> tuple[Float[Tensor, " T"], Float[Tensor, " T"]]:
    """The rank of each answer, ties counting half, and -log of its softmax: exact where all rivals are there."""
    ranks, losses = [torch.zeros(0).double()], [torch.zeros(0).double()]
    for block in evidence.blocks():
        rivals, own = (_weighted(x, weights) for x in (block.rivals, block.answers))
        against, weight = rivals[block.question], block.weight[block.question]
        ranks.append(1 + (weight * ((against > own[:, None]).double() + (against == own[:, None]) / 2)).sum(1))
        total = (rivals + block.weight.log()).logsumexp(1)
        losses.append(torch.logaddexp(own, total[block.question]) - own)
    return torch.cat(ranks), torch.cat(losses)


def _weighted(x: Float[Tensor, "*shape F"], weights: Float[Tensor, " F"]) -> Float[Tensor, "*shape"]:
    """x @ weights in one order of sums whatever the shape: what ties must come out the same to the last bit."""
    total = torch.zeros_like(x[..., 0])
    for column, weight in zip(x.unbind(-1), weights, strict=True):
        total = total + column * weight
    return total


@final
class Stacked(Fitting):
    """A step scores a batch of questions, once; the end of the epoch fits the weights.

    Memory: (P + 1) candidates * 2 P numbers a question. loss: the mean of -log softmax of the valid answers, each half
    of the facts by the weights of the other, in nats. What a paused epoch has scored is not stored: a resumed one
    begins anew.
    """

    is_cross_fitted: ClassVar[bool] = True

    def __init__(
        self, scorer: Combined, dataset: Dataset, run: Run, device: torch.device | str, procedure: Stacking
    ) -> None:
        super().__init__(scorer, dataset, run, device)
        self._combined, self._width = scorer, min(procedure.candidates, dataset.num_entities)
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
                self._take_step()
            if self.step < self.num_steps:
                self._paused = False
                yield Epoch(self.epoch + 1, self.loss(), self.step * _BATCH, complete=False)
                continue
            self._fit()
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)

    def valid_ranking(self, dataset: Dataset, temperature: float | None) -> Ranking:
        """Each half of the facts by the weights of the other, as Stacking says, whatever weights the scorer has now."""
        head, relation, tail = self._directed.unbind(1)
        losses = self._losses[:0] if temperature is None else self._losses
        row, _ = dataset.known("train", "valid").lookup(head, relation)
        candidates = dataset.num_entities + 1 - torch.bincount(row, minlength=len(head))
        return Ranking(head, relation, tail, self._ranks, candidates, losses, dataset.num_relations)

    def _begin(self) -> None:
        num_parts = self._combined.weight.shape[1]
        rows, columns = len(self._keys), (num_parts + 1) * self._width
        self._generator = torch.Generator().manual_seed(self.run.seed)
        self._half = torch.randperm(len(self._order) // 2, generator=self._generator).repeat(2)[self._order] % 2
        self._rivals = torch.zeros(rows, columns, 2 * num_parts)
        self._weight = torch.zeros(rows, columns)
        self._answers = torch.zeros(len(self._order), 2 * num_parts)

    @torch.no_grad()
    def _take_step(self) -> None:
        """Keep what the parts say of the answers to a batch of questions, of their best rivals, and of some others."""
        rows = slice(self.step * _BATCH, (self.step + 1) * _BATCH)
        keys, num_entities = self._keys[rows].to(self.device), self._graph.num_entities
        queries = Queries(keys % num_entities, keys // num_entities, self._graph)
        is_taken = torch.zeros(len(keys), num_entities, dtype=torch.bool, device=self.device)
        is_taken[self._known.lookup(queries.head, queries.relation)] = True
        opinions = list(self._combined.opinions(queries))
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
        said = [level_and_reach(opinion) for opinion in opinions]
        columns = [*(level for level, _ in said), *(reached.float() for _, reached in said)]
        self._rivals[rows] = torch.stack([column.gather(1, rivals) for column in columns], 2).cpu()
        self._answers[here] = torch.stack([column[asked, answer] for column in columns], 1).cpu()
        self.step += 1

    def _fit(self) -> None:
        spread = self._in_units_of_spread()
        relation = self._directed[:, 1]
        firsts, counts = torch.unique_consecutive(relation, return_counts=True)
        ends = counts.cumsum(0).tolist()
        evidence = {}
        for number, first, last in zip(firsts.tolist(), [0, *ends], ends, strict=False):
            low, high = int(self._question[first]), int(self._question[last - 1]) + 1
            evidence[number] = Evidence(
                self._rivals[low:high],
                self._weight[low:high],
                self._question[first:last] - low,
                self._answers[first:last],
            )
        strength = self._cross_fitted(evidence)
        overall = self._of_all_relations(evidence)
        weights = of_relations(evidence, overall, strength, overall.expand(len(self._combined.weight), -1))
        levels, reaches = weights.chunk(2, 1)
        self._combined.weight.copy_(levels / spread)
        self._combined.reach.copy_(reaches)
        del self._rivals, self._weight, self._answers

    def _in_units_of_spread(self) -> Float[Tensor, " P"]:
        """Divide the levels by their mean standard deviation within a question, which is returned."""
        num_parts = self._rivals.shape[2] // 2
        variances = []
        for first in range(0, len(self._rivals), _ROWS):
            rows = slice(first, first + _ROWS)
            is_rival, levels = (self._weight[rows] > 0).double()[:, :, None], self._rivals[rows, :, :num_parts].double()
            count = is_rival.sum(1).clamp(min=1)
            away = (levels - (levels * is_rival).sum(1, keepdim=True) / count[:, None]) * is_rival
            variances.append(away.square().sum(1) / count)
        spread = torch.cat(variances).mean(0).sqrt()
        spread[spread == 0] = 1.0
        self._rivals[:, :, :num_parts] /= spread
        self._answers[:, :num_parts] /= spread
        return spread

    def _of_all_relations(self, evidence: dict[int, Evidence]) -> Float[Tensor, " F"]:
        num_parts = self._combined.weight.shape[1]
        equal = torch.cat([torch.ones(num_parts), torch.zeros(num_parts)]).double()
        return fitted(list(evidence.values()), equal, 1.0, equal)

    def _cross_fitted(self, evidence: dict[int, Evidence]) -> float:
        """The strength with the best MRR; what each half is ranked with it is kept."""
        relation = self._directed[:, 1]
        halves = [{number: self._half[relation == number] == half for number in evidence} for half in (0, 1)]
        given = [{number: each.of(~half[number]) for number, each in evidence.items()} for half in halves]
        overall = [self._of_all_relations(each) for each in given]
        weights = [each.expand(len(self._combined.weight), -1) for each in overall]
        best, chosen = 0.0, _STRENGTHS[0]
        for strength in _STRENGTHS:
            weights = [of_relations(given[half], overall[half], strength, weights[half]) for half in (0, 1)]
            ranks, losses = torch.zeros(len(relation)).double(), torch.zeros(len(relation)).double()
            for half, (asked, fit) in enumerate(zip(halves, weights, strict=True)):
                for number, each in evidence.items():
                    mine = (relation == number) & (self._half == half)
                    ranks[mine], losses[mine] = ranked(each.of(asked[number]), fit[number])
            mrr = float(ranks.reciprocal().mean())
            if mrr > best:
                best, chosen, self._ranks, self._losses = mrr, strength, ranks, losses
        return chosen

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "ranks": self._ranks, "losses": self._losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.step = 0
        self._ranks, self._losses = state["ranks"], state["losses"]
