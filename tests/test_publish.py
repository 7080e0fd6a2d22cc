"""Predictions in the store: in their own graph, replaced whole, taken out whole, and never learnt from."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.cli.app import app
from kg.errors import UserError
from kg.graph.from_folder import dataset_from_folder
from kg.graph.from_store import dataset_from_store, schema_from_store
from kg.models.distmult import DistMult
from kg.namespaces import KG, PREDICTIONS
from kg.query.candidates.annotations import Origin
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.files import read_with_origin, write_candidates
from kg.query.candidates.publish import publish, retract
from kg.query.predictor import Predictor
from kg.store.sparql import Solutions
from kg.store.store import Store

EX = "http://example.org/"
TRIG = """
@prefix ex: <http://example.org/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:a ex:p ex:b ; rdfs:label "A" . ex:b ex:p ex:c . ex:c ex:p _:x . _:x ex:p ex:a . ex:a ex:q ex:c .
ex:own { ex:b ex:q ex:a }
"""
TIME = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
ORIGIN = Origin("m", "ab" * 32, "graph.kg", 1, TIME, TIME, {"top": 2})
QUERY = """SELECT ?s ?p ?o ?probability ?score ?rank WHERE { GRAPH <urn:kg:predictions> {
    ?r rdf:reifies <<( ?s ?p ?o )>> ; kg:probability ?probability ; kg:score ?score ; kg:rank ?rank . ?s ?p ?o } }"""


def candidate(terms: str, rank: int = 1, known: bool = False) -> Candidate:
    subject, predicate, object_ = (EX + name for name in terms.split())
    return Candidate(subject, predicate, object_, rank, 1.5 / rank, known, 0.1 + 0.2)


FOUND = Candidates((candidate("a p c", 1), candidate("c q a", 2), candidate("a p b", 3, known=True)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "graph.trig").write_text(TRIG)
    with Store(tmp_path / "graph.kg", create=True) as store:
        store.load(tmp_path / "graph.trig")
        yield store


@pytest.fixture
def model(tmp_path: Path, store: Store) -> Path:
    dataset = dataset_from_store(store, valid=0, test=0)
    scorer = DistMult(dataset.num_entities, dataset.num_relations, dim=2)
    run = {
        "seed": 0,
        "scorer": {"name": "distmult", "arguments": {"dim": 2}},
        "algorithm": {"name": "counting", "arguments": {}},
    }
    metrics = {"valid": None, "finished": True, "epochs": 0, "best_epoch": 0, "history": []}
    path = tmp_path / "model"
    bundles.save(path, dataset=dataset, run=run, weights=scorer.state_dict(), state={}, metrics=metrics)
    return path


def elsewhere(store: Store) -> set[Any]:
    return {quad for quad in store.match() if str(quad.graph_name) != f"<{PREDICTIONS}>"}


def selected(store: Store) -> set[tuple[Any, ...]]:
    found = store.sparql(QUERY)
    assert isinstance(found, Solutions)
    return {
        (s.value, p.value, o.value, float(probability.value), float(score.value), int(rank.value))
        for s, p, o, probability, score, rank in found.rows
    }


def rows_of(candidates: Candidates) -> set[tuple[Any, ...]]:
    return {(each.subject, each.predicate, each.object, each.probability, each.score, each.rank) for each in candidates}


# In the store


def test_published_asked_for_and_retracted(store: Store) -> None:
    before, counts = set(store.match()), store.counts()
    rows, terms = store.facts().tolist(), store.terms()
    published = publish(FOUND, ORIGIN, store)
    assert (published.candidates, published.replaced, published.generation) == (3, 0, 2)
    assert selected(store) == rows_of(FOUND)  # its prefixes are the store's now
    assert elsewhere(store) == before
    assert store.counts() == counts | {"predictions": 3}
    assert store.facts().tolist() == rows and store.terms()[: len(terms)] == terms
    gone = retract(store)
    assert (gone.candidates, gone.replaced, gone.generation) == (0, 3, 3)
    assert set(store.match()) == before and store.counts() == counts and store.facts().tolist() == rows
    assert (retract(store).replaced, store.generation) == (0, 3)  # nothing to take out: nothing is written
    store.verify()


def test_publishing_again_replaces_in_one_generation(store: Store) -> None:
    publish(FOUND, ORIGIN, store)
    before = elsewhere(store)
    later = Candidates((candidate("a p c", 1), candidate("b p a", 2)))
    published = publish(later, replace(ORIGIN, generation=2), store)
    assert (published.candidates, published.replaced, published.generation) == (2, 3, 3)
    assert selected(store) == rows_of(later) and store.counts()["predictions"] == 2
    assert elsewhere(store) == before
    once = publish(later, ORIGIN, store)
    again = set(store.match())
    assert publish(later, ORIGIN, store).replaced == 2 and set(store.match()) == again
    assert store.generation == once.generation + 1
    assert publish(Candidates(()), ORIGIN, store).candidates == 0 and selected(store) == set()


def test_a_blank_node_is_that_of_the_store(store: Store) -> None:
    blank = next(term for term in store.terms() if term.startswith("_:"))
    publish(Candidates((Candidate(blank, EX + "p", EX + "b", 1, 0.0, False, 0.5),)), ORIGIN, store)
    assert store.count(blank, "ex:p", "ex:b", PREDICTIONS) == 1
    assert store.count(blank, "ex:p", "ex:a") == 1


def test_a_bad_term_changes_nothing(store: Store) -> None:
    before = set(store.match())
    with pytest.raises(UserError, match=r"^the candidate \(Berlin, "):
        publish(Candidates((*FOUND, Candidate("Berlin", EX + "p", EX + "a", 4, 0.0, False))), ORIGIN, store)
    assert (set(store.match()), store.generation) == (before, 1)


# Nobody learns from it


def test_no_training_reads_it(store: Store) -> None:
    def learnt(**chosen: Any) -> tuple[Any, ...]:
        found = dataset_from_store(store, valid=0, test=0, **chosen)
        return found.train.tolist(), found.vocabulary.entities, found.vocabulary.relations, found.schema

    plain, own = learnt(), learnt(graphs=["", EX + "own"])
    publish(FOUND, ORIGIN, store)
    with pytest.raises(
        UserError, match=rf"^{PREDICTIONS} holds what was predicted, or said of that: nothing is trained on it$"
    ):
        learnt(graphs=["", PREDICTIONS])
    for found, before in ((learnt(), plain), (learnt(graphs=["", EX + "own"]), own)):
        assert found[:3] == before[:3]
        assert replace(found[3], prefixes={}) == replace(before[3], prefixes={})


def test_no_schema_is_read_of_it(store: Store) -> None:
    """A predicted type is no type, and a predicted mirror makes no relation symmetric."""
    rdf, owl = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://www.w3.org/2002/07/owl#"
    types = Candidate(EX + "p", rdf + "type", owl + "SymmetricProperty", 1, 0.0, False, 0.5)
    before = schema_from_store(store)
    publish(Candidates((types, *FOUND)), ORIGIN, store)
    assert replace(schema_from_store(store), prefixes={}) == replace(before, prefixes={})


def test_no_predictor_knows_it(store: Store, model: Path) -> None:
    publish(FOUND, ORIGIN, store)
    predictor = Predictor.load(model)
    known = {each.object: each.known for each in predictor.tails("A", EX + "p", top=9)}
    assert known == {EX + "b": True, EX + "c": False} | {each: False for each in known if each.startswith("_:")}
    now = predictor.knowledge
    assert now.facts_left_out == 0 and not any("urn:kg:" in term for term in now.vocabulary.entities)
    assert (now.data, now.generation) == ("graph.kg", 2)
    store.add([next(store.match("ex:a", "ex:p", "ex:c", PREDICTIONS)).triple])  # stated as well: then it is known
    assert {each.object: each.known for each in Predictor.load(model).tails("A", EX + "p", top=9)}[EX + "c"]


def test_no_network_is_made_of_it(store: Store) -> None:
    before = set(store.to_networkx().edges(keys=True))
    publish(FOUND, ORIGIN, store)
    assert set(store.to_networkx().edges(keys=True)) == before


def test_a_graph_of_nothing_but_literals(store: Store) -> None:
    store.replace({PREDICTIONS: [next(iter(store.match("ex:a", "rdfs:label")))]})
    assert len(store.facts()) == 6 and store.counts()["facts"] == 7 and store.counts()["literals"] == 1


# The commands


def run(*arguments: str | int | Path) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments: str | int | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


@pytest.mark.parametrize("suffix", [".tsv", ".trig"])
def test_a_file_is_published(tmp_path: Path, store: Store, model: Path, suffix: str) -> None:
    file = tmp_path / f"found{suffix}"
    origin = Origin.of(Bundle.load(model), "graph.kg", 1, TIME, {"top": 3})
    write_candidates(FOUND, file, origin)
    told = run("publish", model, file)
    assert told == {
        "store": str(store.path.resolve()),
        "graph": PREDICTIONS,
        "candidates": 3,
        "replaced": 0,
        "generation": 2,
    }
    with Store(store.path) as now:
        assert selected(now) == rows_of(FOUND)
        now.dump(tmp_path / "out.nq", graph=PREDICTIONS)
    found, told_origin = read_with_origin(tmp_path / "out.nq")
    assert set(found) == set(FOUND)
    if suffix == ".trig":
        assert told_origin == origin  # the file's own account
    else:
        assert told_origin and (told_origin.model, told_origin.model_sha256) == ("model", origin.model_sha256)
        assert told_origin.settings == {"file": "found.tsv"}
    gone = run("retract", store.path)
    assert (gone["candidates"], gone["replaced"], gone["generation"]) == (0, 3, 3)
    assert run("info", store.path)["predictions"] == 0


# Which store


def moved(tmp_path: Path, *names: str) -> Path:
    """A folder elsewhere with copies of these."""
    for name in names:
        shutil.copytree(tmp_path / name, tmp_path / "deeper" / "there" / name)
    return tmp_path / "deeper" / "there"


def publishing(tmp_path: Path, model: Path) -> list[str | int | Path]:
    write_candidates(FOUND, tmp_path / "found.jsonl", replace(ORIGIN, model_sha256=Bundle.load(model).sha256))
    return ["publish", model, tmp_path / "found.jsonl"]


def saved_again(path: Path, loaded: Bundle, **changes: Any) -> None:
    weights = loaded.scorer.state_dict()
    dataset = replace(loaded.dataset, **changes)
    bundles.save(path, dataset=dataset, run=loaded.run, weights=weights, state={}, metrics=loaded.metrics)


def test_a_copied_model_does_not_write_into_the_store_it_left(tmp_path: Path, store: Store, model: Path) -> None:
    copy = moved(tmp_path, "model") / "model"
    said = refused(*publishing(tmp_path, copy))
    assert said.startswith("error: --store must be named: what ") and "is not where it was" in said
    with Store(copy.parent / "graph.kg", create=True) as other:  # another lies where it should
        other.load(tmp_path / "graph.trig")
    assert f"{copy.parent}/graph.kg is not the store that" in refused(*publishing(tmp_path, copy))
    assert "own copy" in Predictor.load(copy).knowledge.facts_from  # nor does it read there
    with Store(store.path) as now, Store(copy.parent / "graph.kg") as other:
        assert (now.generation, other.generation) == (1, 1)
    assert run(*publishing(tmp_path, copy), "--store", store.path)["store"] == str(store.path)


def test_copied_together_they_find_each_other(tmp_path: Path, store: Store, model: Path) -> None:
    there = moved(tmp_path, "model", "graph.kg")
    assert run(*publishing(tmp_path, there / "model"))["store"] == str(there / "graph.kg")
    assert Predictor.load(there / "model").knowledge.facts_from.startswith("the store ")
    saved_again(there / "model", Bundle.load(there / "model"))  # as a resume does
    assert Bundle.load(there / "model").store() == there / "graph.kg"
    with Store(store.path) as now:
        assert now.generation == 1


def test_at_a_terminal_it_is_asked_for(
    tmp_path: Path, store: Store, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = moved(tmp_path, "model") / "model"
    monkeypatch.setattr("kg.cli.publish._is_at_a_terminal", lambda: True)
    asked = [str(argument) for argument in publishing(tmp_path, copy)]
    result = CliRunner().invoke(app, asked, input=f"{store.path}\n")
    assert result.exit_code == 0 and f"\n{store.path}: 3 candidates" in result.stdout, result.stderr
    assert "Store to publish in" in result.stderr
    assert CliRunner().invoke(app, asked, input="").exit_code == 1  # nobody answers


def test_through_a_link_it_is_found_from_where_the_model_lies(tmp_path: Path, store: Store, model: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(model)
    assert Bundle.load(tmp_path / "elsewhere" / "link").store() == store.path.resolve()


def test_no_absolute_path_is_followed(store: Store, model: Path) -> None:
    loaded = Bundle.load(model)
    named = replace(loaded, manifest={**loaded.manifest, "store": {"id": store.id, "path": str(store.path)}})
    with pytest.raises(UserError, match=r"names its store by the absolute path .*, which is not followed"):
        named.store()


def test_a_model_of_before_stores_had_an_identity(tmp_path: Path, store: Store, model: Path) -> None:
    saved_again(tmp_path / "old", Bundle.load(model), store_id=None)
    assert "was not trained on a store that has an identity" in refused(*publishing(tmp_path, tmp_path / "old"))


def test_in_words(tmp_path: Path, store: Store, model: Path) -> None:
    write_candidates(FOUND, tmp_path / "found.jsonl", ORIGIN)
    asked = ["publish", str(model), str(tmp_path / "found.jsonl"), "--store", str(store.path)]
    said = [CliRunner().invoke(app, asked).stdout for _ in range(2)]
    assert said[0] == f"{store.path}: 3 candidates are published in {PREDICTIONS}; generation 2\n"
    assert said[1] == f"{store.path}: 3 candidates are published in {PREDICTIONS}, in place of 3; generation 3\n"
    said = CliRunner().invoke(app, ["retract", str(store.path)])
    assert said.stdout == f"{store.path}: 3 candidates taken out of {PREDICTIONS}; generation 4\n"


def test_the_best_are_published(store: Store, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(self: Predictor, top: int) -> Candidates:
        assert self.knowledge.generation == store.generation
        return FOUND[:top]

    monkeypatch.setattr(Predictor, "complete", complete, raising=False)
    assert run("publish", model, "--top", 2)["candidates"] == 2
    with Store(store.path) as now:
        assert selected(now) == rows_of(FOUND[:2])
        settings = next(iter(now.match(predicate=KG + "settings", graph=PREDICTIONS))).object.value
        assert json.loads(settings) == {"top": 2}


def test_what_is_refused(tmp_path: Path, store: Store, model: Path) -> None:
    write_candidates(FOUND, tmp_path / "found.trig", ORIGIN)
    assert "these are candidates of another model, m, or of another state" in refused(
        "publish", model, tmp_path / "found.trig"
    )
    assert "expected either a FILE of candidates or --top" in refused("publish", model)
    assert "expected either a FILE of candidates or --top" in refused("publish", model, "x.tsv", "--top", 3)
    assert "is no store" in refused("publish", model, tmp_path / "found.trig", "--store", tmp_path / "none")
    assert "is no store" in refused("retract", model)
    assert "nothing is trained on it" in refused("train", store.path, tmp_path / "out", "--graph", PREDICTIONS)
    assert store.generation == 1 and Store(store.path).generation == 1


def test_names_of_a_folder_become_those_of_a_loaded_table(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train.tsv").write_text("a b\tp\tc\nc\tp\ta b\n")
    dataset = dataset_from_folder(tmp_path / "folder")
    made = Bundle(tmp_path / "m", DistMult(2, 1, dim=2), dataset, {}, None, {}, {}, {})
    origin = Origin.of(made, "folder", None, TIME)
    assert origin.plain_names
    with Store(tmp_path / "t.kg", create=True) as store:
        store.load(tmp_path / "folder" / "train.tsv")
        publish(Candidates((Candidate("a b", "p", "a b", 1, 0.0, False, 0.5),)), origin, store)
        assert store.count("urn:kg:a%20b", "urn:kg:p", "urn:kg:a%20b", PREDICTIONS) == 1
        assert "urn:kg:a%20b" in store.terms()[:3]
