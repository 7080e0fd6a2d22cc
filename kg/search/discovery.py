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
    progress: Progress = SILENT,
) -> tuple[Int[Tensor, "K 3"], Float[Tensor, " K"]]:
    """What `searched` finds, and the logits of these facts."""
    best = searched(search, logits, eligible, floor, checkpoint, progress)
    if not best.are_exact and len(best.hrt):
        return best.hrt, logits.of_facts(best.hrt.to(eligible.answerable.device)).cpu()
    return best.hrt, best.logits


@interruptible()
@torch.no_grad()
def searched(
    search: Search,
    logits: PairLogits,
    eligible: Eligibility,
    floor: float = -math.inf,
    checkpoint: "Checkpoint | None" = None,
    progress: Progress = SILENT,
) -> "Best":
    """The facts of the highest logits of all (head, relation, tail) that are candidates; in no order.

    The best facts of one entity are found by bounds, in a pass or two, of all its questions that have any.
    floor: what has no more than this is left out. checkpoint: takes what was found so far. A search that was killed
    goes on from there; its file is gone when it is done. UserError where that is of another search.
    """
    bounds = _bounds(search, logits, eligible)
    blocks = _blocks(search, eligible, logits.is_bilinear, () if bounds is None else bounds.questions)
    total = sum(block.size for block in blocks)
    best = Best(search, floor)
    begun = 0 if checkpoint is None else checkpoint.read(best, search, blocks)
    done = sum(block.size for block in blocks[:begun])
    number = begun
    if search.entity is not None and bounds is not None and not begun:
        of_it = search.entity, bounds, logits.of_facts, eligible, search.types, search.top, floor, progress
        best.hrt, best.logits = best_facts_of(*of_it)
    try:
        for of_relation in _by_relation(blocks[begun:]):
            logits_of = logits.of_relation(of_relation[0].relation, of_relation[0].tails)
            for block in of_relation:
                found = logits_of(block.heads)
                found[eligible.no_candidates(block.relation, block.heads, block.tails)] = -torch.inf
                with finishing():
                    best.take(found, block)
                    number, done = number + 1, done + block.size
                if checkpoint is not None and checkpoint.is_due():
                    checkpoint.write(best, number)
                progress.at("candidates", done, total)
    except Interrupted:
        if checkpoint is not None:
            checkpoint.write(best, number)
        raise
    best.are_exact = not blocks
    if checkpoint is not None:
        checkpoint.remove()
    return best


@final
@dataclass(frozen=True, eq=False)
class _Block:
    """Every pair of these heads and tails."""

    relation: int
    heads: Int[Tensor, " H"]
    tails: Int[Tensor, " T"]

    @property
    def size(self) -> int:
        return len(self.heads) * len(self.tails)


def _blocks(search: Search, eligible: Eligibility, is_bilinear: bool, without: Collection[int]) -> list[_Block]:
    """All candidates, those of a relation with the same tails one after the other, but for the answers to these
    questions about the entity."""
    num_relations = eligible.known.num_relations
    blocks = []
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
            height = max(1, _PAIRS // max(1, len(some_tails)))
            height = min(_HEADS, max(_LEAST_HEADS, height)) if is_bilinear else height
            if len(some_heads) and len(some_tails):
                blocks += [_Block(relation, part, some_tails) for part in torch.split(some_heads, height)]
    return blocks


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
    of PairLogits.of_facts; what blocks of pairs give is summed in another order."""

    are_exact = False

    def __init__(self, search: Search, floor: float) -> None:
        self._apart = search.per_relation is not None
        self._most = search.per_relation or search.top
        self._floor = floor
        self.logits, self.hrt = torch.zeros(0), torch.zeros(0, 3, dtype=torch.long)

    def take(self, logits: Float[Tensor, "H T"], block: _Block) -> None:
        rivals = self._rivals(block.relation)
        bar = self._floor if int(rivals.sum()) < self._most else self.logits[rivals].min().item()
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
