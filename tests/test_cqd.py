"""Questions of several facts: against every assignment there is, and by hand."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import with_inverses
from kg.graph.known import KnownAnswers
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.query.complex import cqd as module
from kg.query.complex.conjunctive_query import SHAPES, Conjunction, Shape, parse_question
from kg.query.complex.cqd import AnswerFact, ConjunctiveAnswer, Norm, Reasoner, answers
from kg.query.knowledge import Knowledge
from kg.query.plausibility import Plausibility

N, R = 7, 2


class Table:
    """Hand-made probabilities: a number for every directed fact."""

    def __init__(self, values: Tensor) -> None:
        self.values = values  # (N, 2R, N)
        self.most = 0

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        self.most = max(self.most, len(head))
        return self.values[head, relation]


@pytest.fixture
def table() -> Table:
    return Table(torch.rand(N, 2 * R, N, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def facts() -> Tensor:
    return torch.tensor([[0, 0, 1], [0, 0, 2], [1, 1, 3], [4, 1, 5], [6, 0, 6]])


def edges(shape: Shape, target: int, count: Iterator[int]) -> list[tuple[int, int]]:
    """(variable that each fact leaves, -1 an entity; variable it leads to), numbered as in the shape."""
    found = []
    for source in shape.sources:
        variable = -1 if source is None else next(count)
        found += [] if source is None else edges(source, variable, count)
        found.append((variable, target))
    return found


def brute_force(shape: Shape, hops: Tensor, truth: Tensor, norm: Norm) -> list[float]:
    """The best of all N ** variables assignments, for each answer."""
    pairs = edges(shape, 0, iter(range(1, 9)))
    best = [0.0] * N
    for values in product(range(N), repeat=1 + max(max(pair) for pair in pairs)):
        each = [
            truth[hop[0] if left < 0 else values[left], hop[1], values[right]].item()
            for (left, right), hop in zip(pairs, hops.tolist(), strict=True)
        ]
        best[values[0]] = max(best[values[0]], math.prod(each) if norm == "product" else min(each))
    return best


def random_hops(shape: Shape, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    heads = [-1 if left >= 0 else 0 for left, _ in edges(shape, 0, iter(range(1, 9)))]
    relation = torch.randint(0, 2 * R, (len(heads),), generator=generator)
    drawn = torch.randint(0, N, (len(heads),), generator=generator)
    return torch.stack([torch.where(torch.tensor(heads) < 0, -1, drawn), relation], 1)


@pytest.mark.parametrize("norm", ["product", "minimum"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_beam_of_all_entities_is_exact(name: str, norm: Norm, table: Table, facts: Tensor) -> None:
    truth = table.values.double()
    truth[with_inverses(facts, R).unbind(1)] = 1.0
    for seed in range(5):
        hops = random_hops(SHAPES[name], seed)
        for known, values in ((None, table.values.double()), (KnownAnswers.from_triples(facts, R), truth)):
            reached = Reasoner(table, known, norm=norm, beam=N).reach(SHAPES[name], hops)
            assert reached.truth.tolist() == pytest.approx(brute_force(SHAPES[name], hops, values, norm), rel=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_the_facts_shown_are_those_that_count(name: str, table: Table, facts: Tensor) -> None:
    shape = SHAPES[name]
    pairs = edges(shape, 0, iter(range(1, 9)))
    known = {tuple(fact) for fact in with_inverses(facts, R).tolist()}
    for seed in range(5):
        hops = random_hops(shape, seed)
        reached = Reasoner(table, KnownAnswers.from_triples(facts, R), beam=2).reach(shape, hops)
        for entity in range(N):
            found = list(reached.facts(entity))
            assert math.prod(truth for *_, truth in found) == pytest.approx(reached.truth[entity].item(), rel=1e-12)
            assert [relation for _, relation, _, _ in found] == hops[:, 1].tolist()
            assert all((truth == 1) == ((head, r, tail) in known) for head, r, tail, truth in found)
            values = {0: entity}
            for (left, right), (head, _, tail, _), (given, _) in zip(pairs, found, hops.tolist(), strict=True):
                assert values.setdefault(right, tail) == tail  # one entity a variable
                assert head == (given if left < 0 else values.setdefault(left, head))


def test_a_narrower_beam_finds_no_more(table: Table) -> None:
    missed = 0
    for seed in range(20):
        hops = random_hops(SHAPES["2p"], seed)
        narrow, wide = (Reasoner(table, None, beam=beam).reach(SHAPES["2p"], hops).truth for beam in (1, N))
        assert bool((narrow <= wide).all())
        missed += int((narrow < wide).sum())
    assert missed > 0


def test_by_hand() -> None:
    """0 -r-> x -s-> y: over 1 by 0.5 and 0.9, over 2 by 0.8 and 0.4; the least of them is greater over 1."""
    table = Table(torch.zeros(N, 2 * R, N))
    table.values[0, 0, 1], table.values[0, 0, 2] = 0.5, 0.8
    table.values[1, 1, 3], table.values[2, 1, 3], table.values[2, 1, 4] = 0.9, 0.4, 1.0
    hops = torch.tensor([[0, 0], [-1, 1]])
    by = {norm: Reasoner(table, None, norm=norm).reach(SHAPES["2p"], hops) for norm in ("product", "minimum")}
    assert by["product"].truth[3].item() == pytest.approx(0.45)
    assert by["minimum"].truth[3].item() == pytest.approx(0.5)
    assert [fact[:3] for fact in by["product"].facts(3)] == [(0, 0, 1), (1, 1, 3)]
    assert by["product"].truth[4].item() == pytest.approx(0.8)
    assert by["product"].truth[0].item() == 0


def test_what_a_model_is_certain_of_is_not_known() -> None:
    table = Table(torch.ones(N, 2 * R, N))
    facts = torch.tensor([[0, 0, 1], [1, 1, 3]])
    hops = torch.tensor([[0, 0], [-1, 1]])
    truth = Reasoner(table, KnownAnswers.from_triples(facts, R)).reach(SHAPES["2p"], hops).truth
    assert [entity for entity in range(N) if truth[entity] == 1] == [3]


def test_known_answers_are_found_however_narrow_the_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five known assignments, of which two are asked about; each of the others has a known answer of its own."""
    monkeypatch.setattr(module, "_MOST_KNOWN", 2)
    facts = torch.tensor([[0, 0, x] for x in range(1, 6)] + [[5, 1, 6], [4, 1, 0]])
    table = Table(torch.full((N, 2 * R, N), 0.1))
    hops = torch.tensor([[0, 0], [-1, 1]])
    reached = Reasoner(table, KnownAnswers.from_triples(facts, R), beam=1).reach(SHAPES["2p"], hops)
    assert reached.truth.tolist() == pytest.approx([1, 0.1, 0.1, 0.1, 0.1, 0.1, 1])
    assert list(reached.facts(6)) == [(0, 0, 5, 1.0), (5, 1, 6, 1.0)]
    assert table.most == 3  # two known, one new


def test_rows_are_asked_about_a_few_at_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    hops = random_hops(SHAPES["3p"], 0)
    whole = Reasoner(table, None, beam=N).reach(SHAPES["3p"], hops)
    monkeypatch.setattr(module, "_CELLS", 2 * N)
    table.most = 0
    parts = Reasoner(table, None, beam=N).reach(SHAPES["3p"], hops)
    assert table.most == 2
    assert torch.equal(whole.truth, parts.truth)
    assert [list(whole.facts(e)) for e in range(N)] == [list(parts.facts(e)) for e in range(N)]


def test_from_an_entity_that_came_after_training_only_known_facts_lead_on() -> None:
    class Trained(Table):
        def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
            assert bool((head < N - 1).all()), "asked about an entity that it knows nothing of"
            return super().__call__(head, relation)

    facts = torch.tensor([[0, 0, N - 1], [N - 1, 1, 2]])
    reasoner = Reasoner(Trained(torch.full((N, 2 * R, N), 0.5)), KnownAnswers.from_triples(facts, R), trained=N - 1)
    truth = reasoner.reach(SHAPES["2p"], torch.tensor([[0, 0], [-1, 1]])).truth
    assert truth.tolist() == [0.25, 0.25, 1.0, 0.25, 0.25, 0.25, 0.25]


def test_no_entity_has_a_fact_with_itself_where_the_relation_has_none_such() -> None:
    facts = torch.tensor([[6, 0, 6], [1, 0, 2]])
    known = KnownAnswers.from_triples(facts, R)
    reflexive = torch.tensor([True, False])
    reasoner = Reasoner(Table(torch.full((N, 2 * R, N), 0.5)), known, reflexive)
    for relation, own in ((0, 0.5), (2, 0.5), (1, 0.0), (3, 0.0)):
        truth = reasoner.reach(SHAPES["1p"], torch.tensor([[3, relation]])).truth
        assert truth.tolist() == [own if entity == 3 else 0.5 for entity in range(N)]


# In terms

NAMES = Vocabulary([f"e{i}" for i in range(N)], ["r", "s"])


@pytest.fixture
def model(table: Table, facts: Tensor, monkeypatch: pytest.MonkeyPatch) -> Plausibility:
    monkeypatch.setattr(Plausibility, "of_answers", lambda self, head, relation: table(head, relation))
    data = Dataset(facts, facts[:0], facts[:0], NAMES, source="these")
    bundle = Bundle(Path("model"), ComplEx(N, R, dim=2).eval(), data, {}, 1.0, {}, {}, {})
    return Plausibility(bundle, Knowledge.of_facts(NAMES, facts, data.schema, "these"))


def asked(text: str) -> Conjunction:
    found = parse_question(text)
    assert isinstance(found, Conjunction)
    return found


def test_answers_in_terms(model: Plausibility, table: Table) -> None:
    found = answers(model, asked("(e0, r, ?x) & (?x, s, ?y)"), top=3)
    known = AnswerFact("e0", "r", "e1", 1.0, True), AnswerFact("e1", "s", "e3", 1.0, True)
    assert found[0] == ConjunctiveAnswer("e3", 1, 1.0, True, known)
    assert [each.rank for each in found] == [1, 2, 3]
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    assert not found[1].known and found[1].probability < 1
    (first, second) = found[1].facts
    assert (first.subject, first.object) == ("e0", second.subject) and second.object == found[1].term
    assert json.loads(json.dumps(found[1].to_json()))["facts"][0] == asdict(first)


def test_inverse_facts_are_shown_as_they_are_written(model: Plausibility, table: Table) -> None:
    (found,) = answers(model, asked("(?x, s, e3)"), top=1)
    assert found == ConjunctiveAnswer("e1", 1, 1.0, True, (AnswerFact("e1", "s", "e3", 1.0, True),))
    new = answers(model, asked("(?x, s, e3)"), new_only=True)
    assert {each.term for each in new} == {"e0", "e2", "e4", "e5", "e6"}  # not e1, known; not e3 itself
    for each in new:
        value = table.values[3, 1 + R, NAMES.entity_ids[each.term]].item()
        assert each.probability == value and each.facts == (AnswerFact(each.term, "s", "e3", value, False),)


def test_the_minimum(model: Plausibility) -> None:
    for each in answers(model, asked("(e0, r, ?x) & (e4, s, ?x)"), norm="minimum"):
        assert each.probability == min(fact.probability for fact in each.facts)


def test_users_errors(model: Plausibility) -> None:
    with pytest.raises(UserError, match="top must be at least 1"):
        answers(model, asked("(e0, r, ?x)"), top=0)
    with pytest.raises(UserError, match="no entity 'e9'"):
        answers(model, asked("(e9, r, ?x)"))
    with pytest.raises(UserError, match="no relation 'q'"):
        answers(model, asked("(e0, q, ?x)"))
