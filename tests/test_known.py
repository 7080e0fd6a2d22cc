"""Known answers: by hand, then against a dictionary of sets."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.graph.known import KnownAnswers

Fact = tuple[int, int, int]


def known(facts: list[Fact], num_relations: int) -> KnownAnswers:
    return KnownAnswers.from_triples(torch.tensor(facts, dtype=torch.long).reshape(-1, 3), num_relations)


def test_questions_by_hand() -> None:
    """Two relations: relation 0 of entity 0 has the answers 1 and 2; keys are head * 4 + relation."""
    answers = known([(0, 0, 2), (0, 0, 1), (1, 1, 1), (0, 0, 1)], 2)
    assert answers.questions.tolist() == [0, 5, 6, 7, 10]  # (0, 0) (1, 1) (1, 0 + 2) (1, 1 + 2) (2, 0 + 2)
    assert answers.offsets.tolist() == [0, 2, 3, 4, 5, 6]
    assert answers.tails.tolist() == [1, 2, 1, 0, 1, 0]
    head, relation = answers.heads_and_relations()
    assert (head.tolist(), relation.tolist()) == ([0, 1, 1, 1, 2], [0, 1, 2, 3, 2])


def test_lookup_by_hand() -> None:
    answers = known([(0, 0, 2), (0, 0, 1), (1, 1, 1)], 2)
    row, tail = answers.lookup(torch.tensor([2, 0, 9, 0]), torch.tensor([2, 0, 3, 0]))
    assert list(zip(row.tolist(), tail.tolist(), strict=True)) == [(0, 0), (1, 1), (1, 2), (3, 1), (3, 2)]


def test_nothing_known() -> None:
    answers = known([], 2)
    assert answers.questions.tolist() == [] and answers.offsets.tolist() == [0]
    row, tail = answers.lookup(torch.tensor([0]), torch.tensor([1]))
    assert len(row) == len(tail) == 0
    assert answers.contains(torch.tensor([0]), torch.tensor([1]), torch.tensor([0])).tolist() == [False]
    assert answers.counts(torch.tensor([0, 3]), torch.tensor([1, 0])).tolist() == [0, 0]


def test_counts_by_hand() -> None:
    answers = known([(0, 0, 2), (0, 0, 1), (1, 1, 1), (0, 0, 1)], 2)
    asked = [(0, 0), (2, 2), (1, 2), (0, 1), (9, 3), (0, 0)]  # an entity that came later has none
    head, relation = torch.tensor(asked).unbind(1)
    assert answers.counts(head, relation).tolist() == [2, 1, 1, 0, 0, 2]
    assert answers.counts(head[:0], relation[:0]).tolist() == []


entity, directed = st.integers(0, 4), st.integers(0, 3)
facts = st.lists(st.tuples(entity, st.integers(0, 1), entity), max_size=20)


@settings(max_examples=40, deadline=None)
@given(facts, st.lists(st.tuples(entity, directed, entity), max_size=10))
def test_against_a_dictionary(given_facts: list[Fact], asked: list[Fact]) -> None:
    expected: dict[tuple[int, int], set[int]] = {}
    for head, relation, tail in given_facts:
        expected.setdefault((head, relation), set()).add(tail)
        expected.setdefault((tail, relation + 2), set()).add(head)
    answers = known(given_facts, 2)
    head, relation, tail = torch.tensor(asked, dtype=torch.long).reshape(-1, 3).unbind(1)
    row, found = answers.lookup(head, relation)
    pairs = [(i, t) for i, (h, r, _) in enumerate(asked) for t in sorted(expected.get((h, r), ()))]
    assert list(zip(row.tolist(), found.tolist(), strict=True)) == pairs
    assert answers.counts(head, relation).tolist() == [len(expected.get((h, r), ())) for h, r, _ in asked]
    hit = [t in expected.get((h, r), ()) for h, r, t in asked]
    assert answers.contains(head, relation, tail).tolist() == hit


def test_many_relations_and_answers_against_sets() -> None:
    """Six relations, whose keys 2 + R would mix up, and questions of up to thirty answers."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([torch.randint(0, high, (900,), generator=generator) for high in (9, 6, 40)], 1)
    answers, expected = KnownAnswers.from_triples(drawn, 6), dict[tuple[int, int], set[int]]()
    of_relation: dict[int, set[int]] = {relation: set() for relation in range(12)}
    for h, r, t in drawn.tolist():
        for question, answer in (((h, r), t), ((t, r + 6), h)):
            expected.setdefault(question, set()).add(answer)
            of_relation[question[1]].add(answer)
    assert len(answers.questions) == len(expected) and max(map(len, expected.values())) > 12
    head, relation = torch.tensor(list(expected)).unbind(1)
    row, found = answers.lookup(head, relation)
    for i, each in enumerate(expected.values()):
        assert found[row == i].tolist() == sorted(each)
    offsets, tails = answers.tails_of_relations
    for relation_, each in of_relation.items():
        assert tails[offsets[relation_] : offsets[relation_ + 1]].tolist() == sorted(each)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(*[st.integers(0, 3), st.integers(0, 1), st.integers(0, 3)])), st.data())
def test_changed_as_if_made_anew(facts: set[Fact], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(facts)))) if facts else set()
    every = {(h, r, t) for h in range(4) for r in range(2) for t in range(4)}
    came = data.draw(st.sets(st.sampled_from(sorted(every - facts)))) if facts != every else set()
    rows = [torch.tensor(sorted(each), dtype=torch.long).reshape(-1, 3) for each in (came, gone)]
    before, wanted = known(sorted(facts), 2), known(sorted(facts - gone | came), 2)
    found = before.changed(rows[0], rows[1], 4)
    assert all(torch.equal(getattr(found, name), getattr(wanted, name)) for name in ("questions", "offsets", "tails"))
    assert set(map(tuple, found.facts().tolist())) == facts - gone | came
    assert set(map(tuple, found.beyond(before).tolist())) == came
