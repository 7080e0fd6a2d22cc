"""kg:score, kg:probability and kg:known by hand, in this process: three entities, and one that came later."""

import math
from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest
import torch

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.from_store import dataset_from_store
from kg.models.distmult import DistMult
from kg.models.scorer import Queries
from kg.namespaces import KG
from kg.probability.calibration import Calibration
from kg.query.knowledge import Knowledge
from kg.query.plausibility import Plausibility
from kg.query.sparql.functions import Calls, FactValues
from kg.store.sparql import Term
from kg.store.store import Store

EX = "http://example.org/"
TURTLE = "@prefix ex: <http://example.org/> . ex:a ex:likes ex:b . ex:b ex:likes ex:c . ex:c ex:knows ex:a ."
LATER = "@prefix ex: <http://example.org/> . ex:new ex:likes ex:a ."
VECTORS = {"a": [1.0, 0.0], "b": [0.5, 2.0], "c": [0.0, 3.0]}


@pytest.fixture
def rows(tmp_path: Path) -> FactValues:
    """DistMult of two dimensions: likes weighs them 1 and 0.1, liked-by 2 and 0, knows and known-by 0 and 1."""
    with Store(tmp_path / "graph.kg", create=True) as store:
        store.add(ox.parse(TURTLE, ox.RdfFormat.TURTLE))
        dataset = dataset_from_store(store, valid=0, test=0)
        names = dataset.vocabulary
        likes, knows = names.relation_ids[EX + "likes"], names.relation_ids[EX + "knows"]
        scorer = DistMult(3, 2, dim=2)
        with torch.no_grad():
            for name, vector in VECTORS.items():
                scorer.table.weight[names.entity_ids[EX + name]] = torch.tensor(vector)
            scorer.diagonal.weight[[likes, likes + 2, knows, knows + 2]] = torch.tensor(
                [[1.0, 0.1], [2.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
            )
        store.add(ox.parse(LATER, ox.RdfFormat.TURTLE))
        # the logit is the sum of both directions' scores
        calibration = Calibration.shared(2, {"mean_score": 2.0})
        bundle = Bundle(store.path, scorer.eval(), dataset, {}, 1.0, {}, {}, {}, calibration.to_json())
        return FactValues(Plausibility(bundle, Knowledge.of_store(bundle, store)))


def asked(rows: FactValues, query: str) -> tuple[list[tuple[Term | None, ...]], Calls]:
    calls = Calls(rows)
    prefixes = {"kg": KG, "ex": EX}
    found = ox.Store().query(query, prefixes=prefixes, custom_functions=calls.functions())
    assert isinstance(found, ox.QuerySolutions)
    return [tuple(solution) for solution in found], calls


def value(rows: FactValues, call: str) -> Term | None:
    """Of one call that must not fail."""
    found, calls = asked(rows, f"SELECT ({call} AS ?value) {{}}")
    assert calls.failed is None
    return found[0][0]


def test_scores_by_hand(rows: FactValues) -> None:
    assert value(rows, "kg:score(ex:a, ex:likes, ex:b)") == ox.Literal(0.5)  # 1 * 1 * 0.5 + 0 * 0.1 * 2
    assert value(rows, "kg:score(ex:b, ex:likes, ex:c)") == ox.Literal(0.6)  # and no 0.6000000238418579
    assert value(rows, "kg:score(ex:b, ex:knows, ex:c)") == ox.Literal(6.0)
    assert str(value(rows, "kg:score(ex:b, ex:knows, ex:c)")) == '"6"^^<http://www.w3.org/2001/XMLSchema#double>'


def test_known_by_hand(rows: FactValues) -> None:
    assert value(rows, "kg:known(ex:a, ex:likes, ex:b)") == ox.Literal(True)
    assert value(rows, "kg:known(ex:b, ex:likes, ex:a)") == ox.Literal(False)
    assert value(rows, "kg:known(ex:new, ex:likes, ex:a)") == ox.Literal(True)  # by the store, after the training
    assert value(rows, "kg:known(ex:new, ex:likes, ex:b)") == ox.Literal(False)


def test_they_work_in_filter_bind_and_order(rows: FactValues) -> None:
    query = """SELECT ?x ?score {
        VALUES ?x { ex:a ex:b ex:c } FILTER(!kg:known(ex:a, ex:likes, ?x))
        BIND(kg:score(ex:a, ex:likes, ?x) AS ?score) } ORDER BY DESC(kg:score(ex:a, ex:likes, ?x))"""
    found, calls = asked(rows, query)
    assert found == [(ox.NamedNode(EX + "a"), ox.Literal(1.0)), (ox.NamedNode(EX + "c"), ox.Literal(0.0))]
    assert not calls.notes() and calls.failed is None


def test_a_probability_by_hand(rows: FactValues) -> None:
    there, back = 0.5, 1.0  # 2 * 1 * 0.5 for (b, likes^-1, a)
    found = value(rows, "kg:probability(ex:a, ex:likes, ex:b)")
    assert isinstance(found, ox.Literal) and found.datatype.value.endswith("#double")
    assert float(found.value) == pytest.approx(1 / (1 + math.exp(-there - back)), abs=1e-6)


def test_a_probability_is_that_of_the_predictor(rows: FactValues) -> None:
    names = rows.knowledge.vocabulary
    facts = [(s, p, o) for s in "abc" for p in ("likes", "knows") for o in "abc"]
    ids = [(names.entity_ids[EX + s], names.relation_ids[EX + p], names.entity_ids[EX + o]) for s, p, o in facts]
    expected = rows.plausibility.of_facts(torch.tensor(ids)).tolist()
    assert [rows.probability(*each) for each in ids] == pytest.approx(expected, abs=1e-6)


def test_no_probability_without_a_calibration(rows: FactValues) -> None:
    bundle = replace(rows.plausibility.bundle, calibration=None)
    rows = FactValues(Plausibility(bundle, rows.knowledge))
    _, calls = asked(rows, "SELECT (kg:probability(ex:a, ex:likes, ex:b) AS ?value) {}")
    assert isinstance(calls.failed, UserError) and "gives no probabilities" in str(calls.failed)


UNKNOWN = [
    "kg:score(ex:nobody, ex:likes, ex:a)",
    "kg:score(ex:a, ex:hates, ex:b)",
    "kg:score(ex:a, ex:b, ex:b)",
    "kg:score(ex:a, 'likes', ex:b)",
    "kg:known(ex:a, ex:likes, 'ex:b')",
    "kg:known(ex:a, ex:likes, <<( ex:a ex:likes ex:b )>>)",
    "kg:score(BNODE(), ex:likes, ex:b)",
    "kg:score(ex:new, ex:likes, ex:b)",  # it has no vector, as a head or as a tail
    "kg:score(ex:a, ex:likes, ex:new)",
    "kg:probability(ex:new, ex:likes, ex:b)",
    "kg:probability(ex:a, ex:likes, ex:new)",
]


@pytest.mark.parametrize("call", UNKNOWN)
def test_what_the_model_does_not_know_is_unbound_and_counted(rows: FactValues, call: str) -> None:
    found, calls = asked(rows, f"SELECT ({call} AS ?value) {{ VALUES ?i {{ 1 2 }} }}")
    assert found == [(None,), (None,)]
    assert calls.failed is None and calls.unknown == 2
    assert calls.notes()[0].startswith("2 calls had no value: the first, as ")


def test_the_note_names_the_first(rows: FactValues) -> None:
    _, calls = asked(rows, "SELECT (kg:score(ex:a, ex:b, ?x) AS ?value) { VALUES ?x { 'one' } }")
    assert calls.notes() == ["1 call had no value: the first, as the model does not know <http://example.org/b>"]


def test_an_unbound_argument_is_no_call(rows: FactValues) -> None:
    found, calls = asked(rows, "SELECT (kg:score(ex:a, ex:likes, ?x) AS ?value) {}")
    assert found == [(None,)]
    assert calls.failed is None and not calls.notes()


@pytest.mark.parametrize("arguments", ["", "ex:a, ex:likes", "ex:a, ex:likes, ex:b, ex:c"])
def test_three_arguments(rows: FactValues, arguments: str) -> None:
    _, calls = asked(rows, f"SELECT (kg:score({arguments}) AS ?value) {{}}")
    assert isinstance(calls.failed, UserError)
    assert "kg:score takes a subject, a predicate and an object" in str(calls.failed)


def test_a_defect_is_kept_for_who_asked(rows: FactValues, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(queries: Queries) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(rows.plausibility.scorer, "encode", broken)
    _, calls = asked(rows, "SELECT (kg:score(ex:a, ex:likes, ex:b) AS ?value) { VALUES ?i { 1 2 3 } }")
    assert isinstance(calls.failed, KeyError)


def test_one_row_serves_many_calls(rows: FactValues, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[Queries] = []
    assert len(rows.plausibility.answerable) == 3  # once for all, it asks about the entity that came later
    encode = rows.plausibility.scorer.encode
    monkeypatch.setattr(
        rows.plausibility.scorer, "encode", lambda queries: questions.append(queries) or encode(queries)
    )
    asked(rows, "SELECT (kg:score(?s, ex:likes, ?o) AS ?v) { VALUES ?s { ex:a ex:b } VALUES ?o { ex:a ex:b ex:c } }")
    assert len(questions) == 2
    asked(rows, "SELECT (kg:score(ex:a, ex:likes, ex:c) AS ?v) {}")  # another query
    assert len(questions) == 2
