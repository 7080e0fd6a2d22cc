"""The most probable new facts of the whole graph, exactly, in memory that does not grow with the candidates."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast, final
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg import files
from kg.errors import UserError
from kg.models.scorer import DotScorer
from kg.probability.query_scores import ScoreBlock
from kg.query.candidates.candidate import Candidates
from kg.search.type_constraints import CONSTRAINTS, Constraint

if TYPE_CHECKING:
    from kg.query.predictor import Predictor

Progress = Callable[[int, int], None]  # (candidates so far, in all)

_HEADS = 256  # rows of a block where a relation is one matrix
_PAIRS = 1 << 24  # of a block elsewhere
_SAVE_EVERY_SECONDS = 5.0


@final
@dataclass(frozen=True)
class Search:
    """Which candidates are looked at, and how many are kept.

    top: the best of all. per_relation: the best of each relation instead. relations: ids; None: all. entity: an id that
    is one end of each. types: who may stand where, see kg.search.type_constraints. min_probability: what is less
    probable is left out.
    """

    top: int = 1000
    per_relation: int | None = None
    relations: tuple[int, ...] | None = None
    entity: int | None = None
    types: Constraint = "observed"
    min_probability: float = 0.0

    def __post_init__(self) -> None:
        for name, count in (("--top", self.top), ("--per-relation", self.per_relation)):
            if count is not None and count < 1:
                raise UserError(f"{name} must be at least 1: got {count}")
        if self.types not in CONSTRAINTS:
            raise UserError(f"--types {self.types}: expected one of {', '.join(CONSTRAINTS)}")
        if not 0 <= self.min_probability <= 1:
            raise UserError(f"--min-probability is a probability, 0 to 1: got {self.min_probability:g}")


@torch.no_grad()
def best_new_facts(
    predictor: "Predictor", search: Search, checkpoint: Path | None = None, progress: Progress | None = None
) -> Candidates:
    """The best of all (head, relation, tail) that are not known: by probability, then by the logit it is made of.

    (h, r, h) is a candidate only where the relation is known to have such facts. Where the model gives no probability,
    the order is that of the mean log-softmax of both directions. Of a bilinear scorer all candidates of a relation are
    one product of matrices; of any other the scores of both directions are computed.

    checkpoint: a file that takes what was found so far. A search that was killed goes on from there; the file is gone
    when it is done. UserError where it is of another search, and for an entity that the model cannot be
    asked about.
    """
    if search.entity is not None and search.entity >= len(predictor.answerable):
        name = predictor.label(predictor.vocabulary.entities[search.entity])
        raise UserError(f"the model cannot be asked about {name}, which came after its training: train again")
    blocks = _blocks(predictor, search)
    total = sum(block.size for block in blocks)
    best = _Best(search, predictor.lowest_logit(search.min_probability))
    saved = None if checkpoint is None else _Checkpoint(checkpoint, predictor, search, blocks)
    begun = 0 if saved is None else saved.read(best)
    done = sum(block.size for block in blocks[:begun])
    number = begun
    for of_relation in _by_relation(blocks[begun:]):
        logits_of = _scoring(predictor, of_relation[0])
        for block in of_relation:
            logits = logits_of(block.heads)
            _forbid(logits, predictor, block)
            best.take(logits, block)
            number, done = number + 1, done + block.size
            if saved is not None:
                saved.write(best, number)
            if progress is not None:
                progress(done, total)
    found = predictor.ranked(best.hrt).at_least(search.min_probability)
    if saved is not None:
        saved.remove()
    return found


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


def _blocks(predictor: "Predictor", search: Search) -> list[_Block]:
    """All candidates, those of a relation with the same tails one after the other."""
    num_relations = len(predictor.vocabulary.relations)
    blocks = []
    for relation in range(num_relations) if search.relations is None else dict.fromkeys(search.relations):
        heads, tails = (
            predictor.answerable[predictor.allowed(directed, search.types)[predictor.answerable]]
            for directed in (relation, relation + num_relations)
        )
        sides = [(heads, tails)]
        if search.entity is not None:
            is_it, others = heads == search.entity, heads != search.entity
            sides = [(heads[is_it], tails), (heads[others], tails[tails == search.entity])]
        for some_heads, some_tails in sides:
            height = _HEADS if _is_form(predictor) else max(1, _PAIRS // max(1, len(some_tails)))
            if len(some_heads) and len(some_tails):
                blocks += [_Block(relation, part, some_tails) for part in torch.split(some_heads, height)]
    return blocks


def _by_relation(blocks: list[_Block]) -> Iterator[list[_Block]]:
    for _, group in groupby(blocks, key=lambda block: (block.relation, id(block.tails))):
        yield list(group)


def _is_form(predictor: "Predictor") -> bool:
    return isinstance(predictor.scorer, DotScorer) and predictor.scorer.bilinear_form(0) is not None


def _scoring(predictor: "Predictor", block: _Block) -> Callable[[Tensor], Tensor]:
    """The logits of a relation's facts with the tails of this block."""
    if _is_form(predictor):
        return _Folded(predictor, block.relation, block.tails)
    return _BothWays(predictor, block.relation, block.tails)


@final
class _Folded:
    """Both directions in one product, with what the two questions add by themselves:

    a h^T M_r t + b t^T M_(r+R) h + of(h) + of(t) = [h^T (a M_r + b M_(r+R)^T), of(h), 1] . [t, 1, of(t)]
    """

    def __init__(self, predictor: "Predictor", relation: int, tails: Int[Tensor, " T"]) -> None:
        scorer = predictor.scorer
        assert isinstance(scorer, DotScorer)
        self._scores, self._calibration, self._relation = predictor.query_scores, predictor.order, relation
        inverse = relation + len(predictor.vocabulary.relations)
        forward, backward = (each / self._scores.temperature for each in self._calibration.of_scores(relation))
        there, back = scorer.bilinear_form(relation), scorer.bilinear_form(inverse)
        assert there is not None and back is not None
        self._form = forward * there + backward * back.T
        self._entities = scorer.entities(self._scores.graph)
        of_tails = self._calibration.of_question(inverse, self._scores.block(inverse, tails, tails[:0]))
        one = torch.ones_like(of_tails)
        self._tails = torch.cat([self._entities[tails], one[:, None], of_tails[:, None]], 1).T.contiguous()

    def __call__(self, heads: Int[Tensor, " H"]) -> Float[Tensor, "H T"]:
        of_heads = self._calibration.of_question(self._relation, self._scores.block(self._relation, heads, heads[:0]))
        one = torch.ones_like(of_heads)
        rows = torch.cat([self._entities[heads] @ self._form, of_heads[:, None], one[:, None]], 1)
        return rows @ self._tails


@final
class _BothWays:
    """The scores of (head, r, ?) and those of (tail, r + R, ?)."""

    def __init__(self, predictor: "Predictor", relation: int, tails: Int[Tensor, " T"]) -> None:
        self._scores, self._calibration, self._relation = predictor.query_scores, predictor.order, relation
        self._inverse = relation + len(predictor.vocabulary.relations)
        self._tails = tails
        self._ends: ScoreBlock | None = None

    def __call__(self, heads: Int[Tensor, " H"]) -> Float[Tensor, "H T"]:
        forward = self._scores.block(self._relation, heads, self._tails)
        if self._ends is None:
            backward = self._ends = self._scores.block(self._inverse, self._tails, heads)
        else:
            scores = self._scores.scores(self._inverse, self._tails, heads)
            backward = ScoreBlock(scores, self._ends.normaliser, self._ends.count)
        return self._calibration.logits(self._relation, forward, backward)


def _forbid(logits: Float[Tensor, "H T"], predictor: "Predictor", block: _Block) -> None:
    """-inf for what is known, and for an entity's fact with itself where the relation has none such."""
    column_of = block.tails.new_full((predictor.graph.num_entities,), -1)
    column_of[block.tails] = torch.arange(len(block.tails), device=block.tails.device)
    row, tail = predictor.known.lookup(block.heads, torch.full_like(block.heads, block.relation))
    if not predictor.reflexive[block.relation]:
        row = torch.cat([row, torch.arange(len(block.heads), device=row.device)])
        tail = torch.cat([tail, block.heads])
    column = column_of[tail]
    logits[row[column >= 0], column[column >= 0]] = -torch.inf


@final
class _Best:
    """The best so far, and the bar that a candidate must pass to be among them."""

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
class _Checkpoint:
    """What was found in the first blocks, on disk, whole or not at all."""

    def __init__(self, path: Path, predictor: "Predictor", search: Search, blocks: Sequence[_Block]) -> None:
        self._path = path
        facts = hashlib.sha256(predictor.facts.cpu().numpy().tobytes()).hexdigest()
        model = predictor.bundle.manifest.get("files", {})
        # Of the schema nothing but who may stand where counts, and that shows in the sizes.
        sizes = hashlib.sha256(json.dumps([block.size for block in blocks]).encode()).hexdigest()
        self._of = json.dumps([asdict(search), facts, model, sizes], sort_keys=True)
        self._saved = time.monotonic()

    def read(self, best: _Best) -> int:
        """Fill in what is the best of the first blocks; how many these are."""
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

    def write(self, best: _Best, blocks: int) -> None:
        """At most every five seconds."""
        if time.monotonic() - self._saved < _SAVE_EVERY_SECONDS:
            return
        self._saved = time.monotonic()
        with files.replacing(self._path) as stream:
            file = cast("IO[bytes]", stream)
            np.savez(file, of=self._of, blocks=blocks, logits=best.logits.numpy(), hrt=best.hrt.numpy())

    def remove(self) -> None:
        files.remove(self._path)
