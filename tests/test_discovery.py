"""The best new facts of a graph, against every candidate looked at one by one; killed, and gone on with."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from tabled import Tabled
from test_models import Largest
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.interruption import Interrupted
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.path_network import PathNetwork
from kg.models.rescal import RESCAL
from kg.models.scorer import WORST, Queries, Scorer
from kg.models.transe import TransE
from kg.probability.calibration import Calibration
from kg.probability.fitting import fit_calibration
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidates
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.search import discovery
from kg.search.discovery import Search, best_new_facts

N, R = 12, 3
SCHEMA = Schema(
    types={**{f"e{i}": ("Even",) for i in range(0, 10, 2)}, **{f"e{i}": ("Odd",) for i in range(1, 10, 2)}},
    domain={"r0": ("Even",)},
    range={"r0": ("Odd",), "r2": ("Even",)},
    functional=("r1",),
)
SCORERS = {
    "complex": partial(ComplEx, dim=4, init=1.0),
    "complex-tied": partial(ComplEx, dim=4, init=1.0, tied=True),
    "distmult": partial(DistMult, dim=6, init=1.0, tied=True),
    "rescal": partial(RESCAL, dim=5, init=0.7),
    "rescal-tied": partial(RESCAL, dim=5, init=0.7, tied=True),
    "transe": partial(TransE, dim=5),
    "neighbourhood": partial(NeighbourhoodTransformer, dim=4, width=8),
    "frequency": Frequency,
    "paths": partial(PathNetwork, dim=4, num_layers=2, attention_dim=4, prior_dim=4),  # asked one way
}


def data(entities: int = N, relations: int = R, facts: int = 110) -> Dataset:
    """Random facts; of r1 none is a loop."""
    generator = torch.Generator().manual_seed(5)
    every = torch.cartesian_prod(torch.arange(entities), torch.arange(relations), torch.arange(entities))
    every = every[(every[:, 0] != every[:, 2]) | (every[:, 1] != 1)]
    chosen = every[torch.randperm(len(every), generator=generator)[:facts]]
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    tenth = facts // 10
    return Dataset(chosen[2 * tenth :], chosen[:tenth], chosen[tenth : 2 * tenth], names, SCHEMA, "random")


@cache
def predictor(kind: str = "complex", calibrated: bool = True) -> Predictor:
    torch.manual_seed(1)
    dataset = data()
    scorer = SCORERS[kind](N, R).eval()
    if isinstance(scorer, Frequency):
        scorer.count(dataset.graph())
    return asked(scorer, dataset, calibrated)


def asked(scorer: Scorer, dataset: Dataset, calibrated: bool = True) -> Predictor:
    calibration = fit_calibration(scorer, dataset, 1.3) if calibrated else None
    bundle = Bundle(Path("model"), scorer, dataset, {}, 1.3, {}, {}, {}, calibration and calibration.to_json())
    facts = torch.cat([dataset.train, dataset.valid, dataset.test])
    return Predictor(bundle, Knowledge.of_facts(dataset.vocabulary, facts, dataset.schema, "these"))


def knowing(given: Predictor, facts: Tensor, schema: Schema) -> Predictor:
    """The same model with other facts, or another schema."""
    return Predictor(given.bundle, Knowledge.of_facts(given.knowledge.vocabulary, facts, schema, "these"))


def best(given: Predictor, search: Search, checkpoint: Path | None = None, progress: Progress = SILENT) -> Candidates:
    """As `complete` finds them, by ids."""
    names = given.knowledge.vocabulary
    return given.complete(
        search.top,
        relations=None if search.relations is None else [names.relations[r] for r in search.relations],
        entity=None if search.entity is None else names.entities[search.entity],
        per_relation=search.per_relation,
        types=search.types,
        min_probability=search.min_probability,
        checkpoint=checkpoint,
        progress=progress,
    )


@final
class Calls(Progress):
    """Hands on how far a search is."""

    def __init__(self, heard: Callable[[int, int], None]) -> None:
        self._heard = heard

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        assert what == "candidates" and total is not None
        self._heard(done, total)


def candidates(given: Predictor, search: Search) -> Tensor:
    """Every new fact that the search may find, by the book."""
    known = {tuple(fact) for fact in given.knowledge.facts.tolist()}
    reflexive = {r for h, r, t in known if h == t}
    num = len(given.knowledge.vocabulary.relations)
    may = [given.plausibility.eligible.allowed(directed, search.types).tolist() for directed in range(2 * num)]
    every = product(given.plausibility.answerable.tolist(), range(num), given.plausibility.answerable.tolist())
    found = [
        (h, r, t)
        for h, r, t in every
        if (h, r, t) not in known
        and (h != t or r in reflexive)
        and may[r][h]
        and may[r + num][t]
        and (search.relations is None or r in search.relations)
        and (search.entity is None or search.entity in (h, t))
    ]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 3)


@cache
def logit(given: Predictor, *fact: int) -> float:
    return given.plausibility.logits.of_facts(torch.tensor([fact])).item()


def logits(given: Predictor, facts: Tensor) -> list[float]:
    """One by one."""
    return [logit(given, *fact) for fact in facts.tolist()]


def numbers(given: Predictor, found: Candidates) -> Tensor:
    ids, relations = given.knowledge.vocabulary.entity_ids, given.knowledge.vocabulary.relation_ids
    rows = [[ids[each.subject], relations[each.predicate], ids[each.object]] for each in found]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 3)


def same_as_by_hand(given: Predictor, search: Search) -> None:
    every = candidates(given, search)
    scored = logits(given, every)
    order = sorted(range(len(every)), key=lambda i: -scored[i])
    if search.per_relation is None:
        order = order[: search.top]
    else:
        of_each = [[i for i in order if int(every[i, 1]) == r][: search.per_relation] for r in range(R)]
        order = sorted((i for group in of_each for i in group), key=lambda i: -scored[i])
    found = best(given, search)
    facts = numbers(given, found)
    told = logits(given, facts)
    if search.min_probability:
        lowest = given.plausibility.lowest_logit(search.min_probability)
        order = [i for i in order if scored[i] > lowest]
    assert len(found) == len(order)
    assert told == pytest.approx([scored[i] for i in order], abs=1e-4)
    allowed = {tuple(fact) for fact in every.tolist()}
    assert {tuple(fact) for fact in facts.tolist()} <= allowed and len(torch.unique(facts, dim=0)) == len(facts)
    assert [each.rank for each in found] == list(range(1, len(found) + 1)) and not any(each.known for each in found)
    scores = [given.score(each.subject, each.predicate, each.object) for each in found[:9]]
    assert [each.score for each in found[:9]] == pytest.approx(scores, abs=1e-4)
    if given.bundle.calibration is None:
        assert {each.probability for each in found} <= {None}
    else:
        expected = given.plausibility.of_facts(facts).tolist()
        assert [each.probability for each in found] == pytest.approx(expected, abs=1e-6)
        said = [each.probability or 0 for each in found]
        assert said == sorted(said, reverse=True) and all(p >= search.min_probability for p in said)


@pytest.mark.parametrize("kind", SCORERS)
def test_the_best_of_all(kind: str) -> None:
    same_as_by_hand(predictor(kind), Search(top=40, types="off"))


@pytest.mark.parametrize("kind", ["complex", "rescal-tied", "transe", "paths"])
def test_the_best_of_all_without_probabilities(kind: str) -> None:
    same_as_by_hand(predictor(kind, calibrated=False), Search(top=40, types="off"))


SEARCHES = {
    "all there are": Search(top=10_000, types="off"),
    "observed": Search(top=30),
    "declared": Search(top=1000, types="declared"),
    "per relation": Search(per_relation=7, types="off"),
    "two relations": Search(top=50, relations=(2, 0), types="off"),
    "a relation twice": Search(top=500, relations=(1, 1), types="off"),
    "entity": Search(top=500, entity=3, types="off"),
    "entity, declared": Search(top=500, entity=4, types="declared"),
    "entity of a relation": Search(per_relation=5, entity=0, relations=(0,), types="off"),
    "probable": Search(top=500, types="off", min_probability=0.06),
    "certain": Search(top=500, types="off", min_probability=1.0),
}


@pytest.mark.parametrize("kind", ["complex", "transe", "paths"])
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_every_search(search: Search, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in blocks of a few rows as in one."""
    given = predictor(kind)
    same_as_by_hand(given, search)
    monkeypatch.setattr(discovery, "_HEADS", 3)
    monkeypatch.setattr(discovery, "_PAIRS", 5)
    same_as_by_hand(given, search)


def test_some_are_probable_and_some_are_not() -> None:
    """So that the tests above say something."""
    given = predictor()
    of_all = best(given, SEARCHES["all there are"])
    probable = best(given, SEARCHES["probable"])
    assert 0 < len(probable) < len(of_all)
    assert {
        type(given.bundle.scorer.bilinear_form(0)) for given in (predictor("complex"), predictor("rescal-tied"))
    } == {Tensor}


def test_nothing_is_left() -> None:
    dataset = data(facts=10_000)  # all but the reflexive of r1
    given = asked(ComplEx(N, R, dim=2), dataset)
    assert len(best(given, Search(types="off"))) == 0
    assert len(best(predictor(), Search(relations=(), types="off"))) == 0


def test_progress_counts_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_HEADS", 5)
    seen: list[tuple[int, int]] = []
    best(predictor(), Search(types="off"), progress=Calls(lambda done, total: seen.append((done, total))))
    assert [done for done, _ in seen[:4]] == [60, 120, 144, 204]  # five rows of 12, the last two of a relation
    assert seen[-1] == (3 * 12 * 12, 3 * 12 * 12) and len(seen) == 9


def test_an_entity_without_a_vector_is_no_candidate() -> None:
    """It came later, and stands in a known fact. A scorer that has no need of vectors answers for it."""
    before = predictor()
    names = Vocabulary([*before.knowledge.vocabulary.entities, "new"], before.knowledge.vocabulary.relations)
    facts = torch.cat([before.knowledge.facts, torch.tensor([[N, 0, 1], [2, 1, N]])])
    grown = Knowledge.of_facts(names, facts, SCHEMA, "these")
    later = Predictor(before.bundle, grown)
    assert later.plausibility.answerable.tolist() == list(range(N))
    same_as_by_hand(later, Search(top=60, types="off"))
    found = best(later, Search(top=10_000, types="observed"))
    assert "new" not in {term for each in found for term in (each.subject, each.object)}
    with pytest.raises(UserError, match="cannot be asked about new"):
        best(later, Search(entity=N, types="off"))
    counts = Predictor(predictor("frequency").bundle, grown)
    assert counts.plausibility.answerable.tolist() == list(range(N + 1))
    same_as_by_hand(counts, Search(top=10_000, entity=N, types="off"))


def test_a_candidate_of_the_lowest_score_is_a_candidate_all_the_same() -> None:
    scores = torch.randn(2 * R, N, N, generator=torch.Generator().manual_seed(0))
    scores[:, :, 3] = WORST
    given = asked(Tabled(scores), data())
    same_as_by_hand(given, Search(top=10_000, types="off"))


def test_a_functional_predicate_has_a_note() -> None:
    found = best(predictor(), Search(top=10_000, types="off"))
    known = predictor().knowledge.facts.tolist()
    for each in found:
        values = sorted({t for h, r, t in known if r == 1 and f"e{h}" == each.subject})
        clashes = each.predicate == "r1" and values
        said = f"r1 has one object for each subject, and {', '.join(f'e{value}' for value in values[:3])}"
        assert (said in (each.note or "")) == bool(clashes)
    assert any(each.note for each in found)


@pytest.mark.parametrize("kind", ["folded", "both ways"])
def test_no_matrix_of_all_pairs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 400 entities, each of which is a known head and a known tail: no tensor of 400 x 400 scores."""
    from kg.probability import query_scores

    monkeypatch.setattr(discovery, "_HEADS", 16)
    monkeypatch.setattr(discovery, "_PAIRS", 16 * 400)
    monkeypatch.setattr(query_scores, "BATCH", 16)
    ring = torch.stack([torch.arange(400), torch.zeros(400, dtype=torch.long), (torch.arange(400) + 1) % 400], 1)
    names = Vocabulary([f"e{i}" for i in range(400)], ["r"])
    dataset = Dataset(ring, ring[:0], ring[:0], names)
    scorer = ComplEx(400, 1, dim=2) if kind == "folded" else TransE(400, 1, dim=2)
    given = asked(scorer, dataset)
    with Largest() as largest:
        found = best(given, Search(top=20, types="observed"))
    assert len(found) == 20 and largest.numel <= 40 * 400


def test_facts_are_asked_about_in_parts() -> None:
    """To tell the logits of 1,500 facts with as many heads takes no 1,500 x 1,500 scores."""
    ring = torch.stack([torch.arange(1500), torch.zeros(1500, dtype=torch.long), (torch.arange(1500) + 1) % 1500], 1)
    names = Vocabulary([f"e{i}" for i in range(1500)], ["r"])
    given = asked(TransE(1500, 1, dim=2), Dataset(ring[:40], ring[:0], ring[:0], names))
    facts = ring.flip(1).flip(0)
    with Largest() as largest:
        found = given.plausibility.logits.of_facts(facts)
    assert largest.numel <= 500 * 500
    assert found[:7].tolist() == pytest.approx(logits(given, facts[:7]), abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"top": 0}, "top must be at least 1: got 0"),
        ({"per_relation": -1}, "per_relation must be at least 1: got -1"),
        ({"min_probability": 1.5}, "min_probability is a probability, 0 to 1: got 1.5"),
        ({"min_probability": float("nan")}, "min_probability is a probability"),
    ],
)
def test_what_cannot_be_searched_for(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        predictor().complete(**wrong)


def test_no_least_probability_without_probabilities() -> None:
    with pytest.raises(UserError, match="model gives no probabilities"):
        predictor(calibrated=False).complete(min_probability=0.5)


def test_complete_goes_by_names() -> None:
    given = predictor()
    found = given.complete(5, relations=["r2", "r2"], entity="e3", types="off")
    assert found == best(given, Search(5, relations=(2,), entity=3, types="off"))
    assert {each.predicate for each in found} == {"r2"}
    with pytest.raises(UserError, match="no relation 'r9'"):
        given.complete(relations=["r9"])
    with pytest.raises(UserError, match="no entity 'nobody'"):
        given.complete(entity="nobody")


# Where each question takes its time


def one_way() -> Predictor:
    """A scorer that reads its answers off the graph, whose every score is drawn: r0 and r1 are asked about heads."""
    scorer = Tabled(4 * torch.randn(2 * R, N, N, generator=torch.Generator().manual_seed(0)))
    scorer.hides = scorer.reads_graph = True
    given = asked(scorer, data())
    weights = {"asked_log_softmax": 1.0, "asked_log_known": -2.0, "other_any_known": 3.0, "other_log_fit": 1.0}
    stored = Calibration.shared(R, weights, asked=(0, 1, 2 + R)).to_json()
    return Predictor(replace(given.bundle, calibration=stored), given.knowledge)


def test_the_likeliest_questions_are_asked_first_and_some_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_QUESTIONS", 1)
    given = one_way()
    same_as_by_hand(given, Search(top=9, types="off"))
    questions: list[tuple[int, int]] = []
    encode = Tabled.encode

    def counted(self: Tabled, queries: Queries) -> Queries:
        questions.extend(zip(queries.relation.tolist(), queries.head.tolist(), strict=True))
        return encode(self, queries)

    monkeypatch.setattr(Tabled, "encode", counted)
    logits, eligible = given.plausibility.logits, given.plausibility.eligible
    found = best_new_facts(Search(top=9, types="off"), logits, eligible)
    assert {relation for relation, _ in questions} <= {0, 1, 2 + R} and found.unasked == 0
    assert len(set(questions)) == len(questions) < 3 * N
    every = best_new_facts(Search(top=10_000, types="off"), logits, eligible)
    order = every.logits.argsort(descending=True)
    assert found.logits.sort(descending=True).values.tolist() == pytest.approx(every.logits[order[:9]].tolist())


def test_a_search_that_is_ended_has_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock, or by Ctrl-C where nothing is to be gone on with; and says how much is left."""
    monkeypatch.setattr(discovery, "_QUESTIONS", 1)
    given = one_way()
    whole = given.complete(9, types="off")
    at_once = given.complete(9, types="off", seconds=1e-9)
    assert whole.unasked == 0 < at_once.unasked < 3 * N and len(at_once) == 9  # one question of 12 answers
    assert len({(each.predicate, each.subject) for each in at_once}) == 1 or len({e.object for e in at_once}) == 1

    def stop(done: int, total: int) -> None:
        if done >= 2 * N:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = given.complete(9, types="off", progress=Calls(stop))
    assert len(stopped) == 9 and 0 < stopped.unasked < at_once.unasked
    with pytest.raises(UserError, match="minutes: the search asks the likeliest questions first, which is a path"):
        predictor().complete(9, seconds=5.0)


def test_a_search_that_goes_on_later_is_stopped_by_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_QUESTIONS", 1)
    given, file = one_way(), tmp_path / "found"

    def stop(done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        best(given, Search(top=9, types="off"), file, Calls(stop))
    assert file.exists()
    assert best(given, Search(top=9, types="off"), file) == best(given, Search(top=9, types="off"))


# Killed

SEARCH = Search(top=25, types="off")
KILLED = """
import sys
sys.path.insert(0, {tests!r})
import os, signal
from pathlib import Path
import torch
torch.set_num_threads(1)
import test_discovery as here
from kg.probability import fitting
from kg.search import discovery

fitting._Fit._tried = lambda self, calibration, shown: calibration  # as conftest.py has it
discovery._SAVE_EVERY_SECONDS = 0.0
discovery._HEADS, discovery._PAIRS = 3, 36

def progress(done, total):
    if done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

here.best(here.predictor({kind!r}), here.SEARCH, Path({file!r}), here.Calls(progress))
"""


def test_killed_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = "transe"
    monkeypatch.setattr(discovery, "_HEADS", 3)
    monkeypatch.setattr(discovery, "_PAIRS", 36)
    whole = best(predictor(kind), SEARCH)
    file = tmp_path / ".found.tsv.search"
    program = KILLED.format(tests=str(Path(__file__).parent), kind=kind, file=str(file))
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert file.exists()
    (tmp_path / f".123.{file.name}").write_bytes(b"half of")  # as if it had been killed while it wrote
    seen: list[int] = []
    again = best(predictor(kind), SEARCH, file, Calls(lambda done, total: seen.append(done)))
    assert again == whole
    assert 3 * 12 * 12 / 2 <= seen[0] < seen[-1] == 3 * 12 * 12  # it did not begin anew
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a search leaves that was stopped in the middle."""
    monkeypatch.setattr(discovery, "_SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(discovery, "_HEADS", 3)

    def progress(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    file = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        best(predictor(), SEARCH, file, Calls(progress))
    assert file.exists()
    return file


def test_what_is_left_is_looked_at_whole(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block that was not looked at is, and none twice."""
    taken: list[int] = []
    take = discovery.Best.take

    def counted(self: discovery.Best, logits: Tensor, block: discovery._Block) -> None:
        taken.append(block.size)
        take(self, logits, block)

    monkeypatch.setattr(discovery.Best, "take", counted)
    with np.load(stopped) as stored:
        begun = int(stored["blocks"])
    best(predictor(), SEARCH, stopped)
    again, taken[:] = taken.copy(), []
    best(predictor(), SEARCH)
    assert 0 < begun < len(taken) and again == taken[begun:]


def test_what_was_found_of_another_search_is_not_mixed_in(stopped: Path) -> None:
    kept = stopped.read_bytes()
    model = predictor()
    with np.load(stopped) as stored:
        assert 0 < stored["blocks"] < 15
    other = {
        "settings": (model, Search(top=26, types="off")),
        "types": (model, Search(top=25, types="observed")),
        "facts": (knowing(model, model.knowledge.facts[1:], SCHEMA), SEARCH),
    }
    for given, search in other.values():
        with pytest.raises(UserError, match="stopped is of another search: remove it to begin anew"):
            best(given, search, stopped)
    assert stopped.read_bytes() == kept
    assert best(model, SEARCH, stopped) == best(model, SEARCH) and not stopped.exists()


def test_another_ontology_is_another_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts are not trained on, and yet they say who is a candidate."""
    monkeypatch.setattr(discovery, "_SAVE_EVERY_SECONDS", 0.0)
    model = predictor()
    search = Search(types="declared")

    def progress(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        best(model, search, tmp_path / "stopped", Calls(progress))
    free = knowing(model, model.knowledge.facts, Schema())
    with pytest.raises(UserError, match="another search"):
        best(free, search, tmp_path / "stopped")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_file_that_is_damaged(stopped: Path, kept: float) -> None:
    content = stopped.read_bytes()
    stopped.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match="stopped is damaged, or not what a search leaves: remove it to begin anew"):
        best(predictor(), SEARCH, stopped)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    np.savez(tmp_path / "other.npz", of="that")
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", of=np.array([{}], dtype=object), blocks=1)
    for name in ("text", "array.npy", "objects.npz", "other.npz"):
        with pytest.raises(UserError, match="is damaged, or not what a search leaves"):
            best(predictor(), SEARCH, tmp_path / name)
    with pytest.raises(UserError, match="No such file"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "_SAVE_EVERY_SECONDS", 0.0)
        best(predictor(), SEARCH, tmp_path / "nowhere" / "file")
