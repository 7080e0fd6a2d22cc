"""The most probable new facts of the whole graph, exactly, in memory that does not grow with the candidates."""

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, cast, final
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg import files
from kg.errors import UserError, check_choice
from kg.interruption import Interrupted, finishing, interruptible
from kg.progress import SILENT, Progress
from kg.search.eligibility import Eligibility
from kg.search.one_entity import Bounds, best_facts_of
from kg.search.type_constraints import CONSTRAINTS, Constraint

_HEADS, _LEAST_HEADS = 256, 16  # rows of a block where a relation is one matrix, the fewer the more tails there are
_PAIRS = 1 << 24  # of a block
_QUESTIONS = 64  # of a block where each takes its time
_SAVE_EVERY_SECONDS = 5.0


@final
@dataclass(frozen=True)
class Search:
    """Which candidates are looked at, and how many are kept.

    top: the best of all. per_relation: the best of each relation instead. relations: ids; None: those that the policy
    offers. entity: an id that is one end of each, offered or not. types: who may stand where, see
    kg.search.type_constraints. min_probability: what is less probable is left out.
    """

    top: int = 1000
    per_relation: int | None = None
    relations: tuple[int, ...] | None = None
    entity: int | None = None
    types: Constraint = "observed"
    min_probability: float = 0.0

    def __post_init__(self) -> None:
        for name, count in (("top", self.top), ("per_relation", self.per_relation)):
            if count is not None and count < 1:
                raise UserError(f"{name} must be at least 1: got {count}", name)
        check_choice("types", self.types, CONSTRAINTS)
        if not 0 <= self.min_probability <= 1:
            raise UserError(
                f"min_probability is a probability, 0 to 1: got {self.min_probability:g}", "min_probability"
            )


class PairLogits(ABC):
    """What orders candidates: a logit for every fact, a relation's at a time."""

    @abstractmethod
    def of_facts(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """The logit of each of these facts."""

    def bounds(self, entity: int, questions: Sequence[int]) -> Bounds | None:
        """Of all facts that answer those of these questions about an entity that have cheap bounds; None: none has."""
        return None

    def highest(
        self, relation: int, heads: Int[Tensor, " H"], tails: Int[Tensor, " T"]
    ) -> tuple[bool, Float[Tensor, " Q"]] | None:
        """Where each question takes its time, and a relation's facts are those of one question each, that of the tail
        if the first says so: for each that may be asked what no logit of its facts is above. Else None."""
        return None

    @property
    @abstractmethod
    def is_bilinear(self) -> bool:
        """Whether a relation's logits are one product of matrices: then few rows make a block, else many pairs do."""

    @abstractmethod
    def of_relation(
        self, relation: int, tails: Int[Tensor, " T"]
    ) -> Callable[[Int[Tensor, " H"]], Float[Tensor, "H T"]]:
        """From heads to the logits of their facts with these tails."""


@torch.no_grad()
def best_new_facts(
    search: Search,
    logits: PairLogits,
    eligible: Eligibility,
    floor: float = -math.inf,
    checkpoint: "Checkpoint | None" = None,
    until: float = math.inf,
    progress: Progress = SILENT,
) -> "Best":
    """What `searched` finds, with the logits that `logits.of_facts` has of these facts."""
    best = searched(search, logits, eligible, floor, checkpoint, until, progress)
    if not best.are_exact and len(best.hrt):
        best.logits = logits.of_facts(best.hrt.to(eligible.answerable.device)).cpu()
    return best


@interruptible()
@torch.no_grad()
def searched(
    search: Search,
    logits: PairLogits,
    eligible: Eligibility,
    floor: float = -math.inf,
    checkpoint: "Checkpoint | None" = None,
    until: float = math.inf,
    progress: Progress = SILENT,
) -> "Best":
    """The facts of the highest logits of all (head, relation, tail) that are candidates; in no order.

    The best facts of one entity are found by bounds, in a pass or two, of all its questions that have any. Where each
    question takes its time (PairLogits.highest), those that may have the best facts are asked first, and those that
    cannot have any are not asked. floor: what has no more than this is left out. checkpoint: takes what was found so
    far. A search that was killed goes on from there; its file is gone when it is done. UserError where that is of
    another search. until: the search ends then (time.monotonic), as it does when it is interrupted where there is no
    checkpoint and the questions are asked in that order: the best so far, which says how many questions are left.
    """
    bounds = _bounds(search, logits, eligible)
    blocks = _blocks(search, eligible, logits, () if bounds is None else bounds.questions)
    total = sum(block.size for block in blocks)
    best = Best(search, floor)
    begun = 0 if checkpoint is None else checkpoint.read(best, search, blocks)
    done = sum(block.size for block in blocks[:begun])
    number = begun
    if search.entity is not None and bounds is not None and not begun:
        of_it = search.entity, bounds, logits.of_facts, eligible, search.types, search.top, floor, progress
        best.hrt, best.logits = best_facts_of(*of_it)
    best_first = any(block.highest < math.inf for block in blocks)
    best.are_exact = best_first or not blocks
    try:
        for of_relation in _by_relation(blocks[begun:]):
            logits_of = None
            for block in of_relation:
                found = None
                if block.highest > best.bar(block.relation):
                    logits_of = logits_of or logits.of_relation(block.relation, block.tails)
                    found = logits_of(block.heads)
                    found[eligible.no_candidates(block.relation, block.heads, block.tails)] = -torch.inf
                with finishing():
                    if found is not None:
                        best.take(found, block)
                    number, done = number + 1, done + block.size
                if checkpoint is not None and checkpoint.is_due():
                    checkpoint.write(best, number)
                progress.at("candidates", done, total)
                if time.monotonic() >= until:
                    raise _TimeIsUp
    except Interrupted:
        if checkpoint is not None:
            checkpoint.write(best, number)
        if checkpoint is not None or not best_first:
            raise
    except _TimeIsUp:
        pass
    best.unasked = sum(block.questions for block in blocks[number:] if block.highest > best.bar(block.relation))
    if checkpoint is not None:
        checkpoint.remove()
    return best


class _TimeIsUp(Exception):
    """Of a search."""


@final
@dataclass(frozen=True, eq=False)
class _Block:
    """Every pair of these heads and tails. highest: no logit is above. questions: how many are asked about them."""

    relation: int
    heads: Int[Tensor, " H"]
    tails: Int[Tensor, " T"]
    highest: float = math.inf
    questions: int = 0

    @property
    def size(self) -> int:
        return len(self.heads) * len(self.tails)


def _blocks(search: Search, eligible: Eligibility, logits: PairLogits, without: Collection[int]) -> list[_Block]:
    """All candidates, those that may be the best first where that is known, else those of a relation with the same
    tails one after the other; but for the answers to these questions about the entity."""
    num_relations = eligible.known.num_relations
    blocks: list[_Block] = []
    for relation in _relations(search, eligible):
        both_ways = relation, relation + num_relations
        if all(each in without for each in both_ways):
            continue
        heads, tails = (eligible.heads(each, search.types, search.entity) for each in both_ways)
        sides = [(heads, tails)]
        if search.entity is not None:
            is_it, others = heads == search.entity, heads != search.entity
            of_it = (heads[is_it], tails), (heads[others], tails[tails == search.entity])
            sides = [side for asked, side in zip(both_ways, of_it, strict=True) if asked not in without]
        for some_heads, some_tails in sides:
            if not len(some_heads) or not len(some_tails):
                continue
            if (highest := logits.highest(relation, some_heads, some_tails)) is not None:
                blocks += _best_first(relation, some_heads, some_tails, *highest)
                continue
            height = max(1, _PAIRS // len(some_tails))
            height = min(_HEADS, max(_LEAST_HEADS, height)) if logits.is_bilinear else height
            blocks += [_Block(relation, part, some_tails) for part in torch.split(some_heads, height)]
    return sorted(blocks, key=lambda block: -block.highest)


def _best_first(
    relation: int, heads: Int[Tensor, " H"], tails: Int[Tensor, " T"], of_tails: bool, highest: Float[Tensor, " Q"]
) -> Iterator[_Block]:
    """A few questions each, those that may have the best facts together."""
    asked, others = (tails, heads) if of_tails else (heads, tails)
    order = highest.argsort(descending=True, stable=True)
    for some in torch.split(order, max(1, min(_QUESTIONS, _PAIRS // len(others)))):
        sides = (others, asked[some]) if of_tails else (asked[some], others)
        yield _Block(relation, *sides, highest[some[0]].item(), len(some))


def _bounds(search: Search, logits: PairLogits, eligible: Eligibility) -> Bounds | None:
    if search.entity is None or search.per_relation is not None:
        return None
    num = eligible.known.num_relations
    asked = [each for relation in _relations(search, eligible) for each in (relation, relation + num)]
    may = eligible.allowed_of(slice(search.entity, search.entity + 1), search.types, torch.tensor(asked))[0]
    return logits.bounds(search.entity, [each for each, stands in zip(asked, may.tolist(), strict=True) if stands])


def _relations(search: Search, eligible: Eligibility) -> list[int]:
    """Those that are looked at."""
    offered: list[int] = eligible.policy.relations.nonzero()[:, 0].tolist()
    return offered if search.relations is None else list(dict.fromkeys(search.relations))


def _by_relation(blocks: list[_Block]) -> Iterator[list[_Block]]:
    for _, group in groupby(blocks, key=lambda block: (block.relation, id(block.tails))):
        yield list(group)


@final
class Best:
    """The best so far, and the bar that a candidate must pass to be among them. are_exact: whether the logits are those
    of PairLogits.of_facts; what blocks of pairs give is summed in another order. unasked: questions that were not
    reached, and may have some of the best."""

    are_exact = False
    unasked = 0

    def __init__(self, search: Search, floor: float) -> None:
        self._apart = search.per_relation is not None
        self._most = search.per_relation or search.top
        self._floor = floor
        self.logits, self.hrt = torch.zeros(0), torch.zeros(0, 3, dtype=torch.long)

    def take(self, logits: Float[Tensor, "H T"], block: _Block) -> None:
        rivals, bar = self._rivals(block.relation), self.bar(block.relation)
        if logits.max().item() <= bar:
            return
        flat = logits.flatten()
        passed = (flat > bar).nonzero()[:, 0]
        if len(passed) > self._most:
            passed = passed[flat[passed].topk(self._most).indices]
        head, tail = block.heads[passed // len(block.tails)], block.tails[passed % len(block.tails)]
        fresh = torch.stack([head, torch.full_like(head, block.relation), tail], 1).cpu()
        found = torch.cat([self.logits[rivals], flat[passed].cpu()])
        facts = torch.cat([self.hrt[rivals], fresh])
        kept = found.topk(min(self._most, len(found))).indices
        self.logits = torch.cat([self.logits[~rivals], found[kept]])
        self.hrt = torch.cat([self.hrt[~rivals], facts[kept]])

    def bar(self, relation: int) -> float:
        rivals = self._rivals(relation)
        return self._floor if int(rivals.sum()) < self._most else self.logits[rivals].min().item()

    def _rivals(self, relation: int) -> Bool[Tensor, " K"]:
        return self.hrt[:, 1] == relation if self._apart else torch.ones(len(self.hrt), dtype=torch.bool)


@final
class Checkpoint:
    """What was found in the first blocks of a search, on disk, whole or not at all.

    what: the facts and the model, so that what was found of others is not taken for this.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what, self._of = what, ""
        self._saved = time.monotonic()

    def read(self, best: Best, search: Search, blocks: Sequence[_Block]) -> int:
        """Fill in what is the best of the first blocks of this search; how many these are."""
        # Of the schema nothing but who may stand where counts, and that shows in the sizes.
        sizes = hashlib.sha256(json.dumps([block.size for block in blocks]).encode()).hexdigest()
        self._of = json.dumps([asdict(search), self._what, sizes], sort_keys=True)
        if not self._path.exists():
            return 0
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                found = {name: stored[name] for name in ("of", "blocks", "logits", "hrt")}
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile):  # np.load has no error of its own
            raise UserError(f"{self._path} is damaged, or not what a search leaves: remove it to begin anew") from None
        if str(found["of"]) != self._of:
            raise UserError(f"{self._path} is of another search: remove it to begin anew, or ask what was asked then")
        best.logits, best.hrt = torch.from_numpy(found["logits"]), torch.from_numpy(found["hrt"])
        return int(found["blocks"])

    def is_due(self) -> bool:
        """Every five seconds."""
        return time.monotonic() - self._saved >= _SAVE_EVERY_SECONDS

    def write(self, best: Best, blocks: int) -> None:
        with files.replacing(self._path) as stream:
            file = cast("IO[bytes]", stream)
            np.savez(file, of=self._of, blocks=blocks, logits=best.logits.numpy(), hrt=best.hrt.numpy())
        self._saved = time.monotonic()

    def remove(self) -> None:
        files.remove(self._path)
