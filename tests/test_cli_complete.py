"""`kg complete`."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from commands import EX, done, refused, run

from kg.query.candidates.files import read_candidates


@pytest.mark.parametrize("name", ["best.tsv", "best.jsonl", "best.trig", "best.nq.gz"])
def test_complete_writes_what_it_found(country_model: Path, tmp_path: Path, name: str) -> None:
    printed = json.loads(done("complete", country_model, "-o", tmp_path / name, "--top", 12, "--json"))
    assert [each["rank"] for each in printed] == list(range(1, 13))
    assert not any(each["known"] for each in printed) and all(0 <= each["probability"] <= 1 for each in printed)
    assert len({(each["subject"], each["predicate"], each["object"]) for each in printed}) == 12
    written = sorted(read_candidates(tmp_path / name), key=lambda each: each.rank)
    assert [each.to_json() for each in written] == printed
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing of the search is left


def test_complete_asked_for_a_part(country_model: Path) -> None:
    of_each = json.loads(done("complete", country_model, "--per-relation", 3, "--json"))
    assert sorted(each["predicate"] for each in of_each) == [EX + "borders"] * 3 + [EX + "memberOf"] * 3
    entity = json.loads(done("complete", country_model, "--entity", "Country 3", "--relation", "borders", "--json"))
    assert entity and all(EX + "c3" in (each["subject"], each["object"]) for each in entity)
    assert {each["predicate"] for each in entity} == {EX + "borders"}
    least = of_each[1]["probability"]
    surer = json.loads(done("complete", country_model, "--per-relation", 3, "--min-probability", least, "--json"))
    assert surer == [each for each in of_each if each["probability"] >= least] and len(surer) >= 2
    table = done("complete", country_model, "--top", 25, "--order", "probability")
    assert "borders" in table and re.search(r"^\W*20 ", table, re.MULTILINE)
    assert not re.search(r"^\W*21 ", table, re.MULTILINE)
    assert json.loads(done("complete", country_model, "--min-probability", 1, "--json")) == []


def test_a_page_is_varied_and_fits_80_columns(country_model: Path) -> None:
    ran = run("complete", country_model, "--top", 10)
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())
    rows = json.loads(done("complete", country_model, "--top", 10, "--json"))
    for ends in (("predicate", "object"), ("predicate", "subject")):
        assert max(Counter(tuple(each[end] for end in ends) for each in rows).values()) == 1
    assert sum(each["alike"] for each in rows) > 0
    for each, row in zip(rows, done("complete", country_model, "--top", 10, "--plain").splitlines()[1:], strict=True):
        assert each["because"] and each["subject_label"].startswith("Country")
        assert each["because"].split()[0] in ran.stdout and {each["because"], each["subject"]} < set(row.split("\t"))
    bare = json.loads(done("complete", country_model, "--top", 10, "--order", "probability", "--json", "--evidence", 3))
    assert [each["because"] is not None for each in bare] == [i < 3 for i in range(10)]
    assert [each["probability"] for each in bare] == sorted((each["probability"] for each in bare), reverse=True)
    assert "of the first 3 alone: --evidence 10" in run("complete", country_model, "--top", 10, "--evidence", 3).stderr


def test_complete_errors(country_model: Path, country_store: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (("-o", tmp_path / "best.pickle"), "best.pickle"),
        (("-o", tmp_path / "best"), "best"),
        (("-o", tmp_path / "nowhere" / "best.tsv"), "no directory"),
        (("-o", tmp_path / "best.tsv", "--rdf11"), "RDF 1.1 was asked for"),
        (("--top", 0), "--top must be at least 1: got 0"),
        (("--per-relation", 0), "--per-relation must be at least 1: got 0"),
        (("--top", 5, "--per-relation", 5), "choose one"),
        (("--wide", "--plain"), "choose one"),
        (("--evidence", -1), "--evidence must be at least 0: got -1"),
        (("--order", "page", "--per-relation", 3), "--order page is for the best of all"),
        (("--min-probability", 2), "--min-probability is a probability, 0 to 1: got 2"),
        (("--entity", "Atlantis"), "no entity 'Atlantis'"),
        (("--relation", "likes"), "no relation 'likes'"),
    ):
        assert said in refused("complete", country_model, *arguments)
    (tmp_path / ".best.tsv.search").write_text("not of a search")
    assert "remove it to begin anew" in refused("complete", country_model, "-o", tmp_path / "best.tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".best.tsv.search"]


def test_predicates_that_are_not_offered_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ttl").write_text(
        "@prefix : <http://x.example/> . @prefix dcterms: <http://purl.org/dc/terms/> .\n"
        "@prefix owl: <http://www.w3.org/2002/07/owl#> . :near a owl:TransitiveProperty .\n"
        + "\n".join(f":e{i} :near :e{i + 1} ; dcterms:creator :ann . _:b{i} :near :e{i} ." for i in range(8))
    )
    done("load", tmp_path / "a.kg", tmp_path / "a.ttl")
    done("train", tmp_path / "a.kg", tmp_path / "m", "--model", "frequency", "--valid", 0, "--test", 0)
    said = "not offered unless named, as they annotate or build axioms: 1 of 2 predicates (creator)"
    ran = run("complete", tmp_path / "m", "--json")
    assert said in ran.stderr and "so much follows" not in ran.stderr
    found = json.loads(ran.stdout)
    assert found and not any("_:" in each["subject"] + each["object"] for each in found)
    ends = {(each["subject"][-1], each["object"][-1]) for each in found}
    assert all("n" in pair or pair[0] > pair[1] for pair in ends)  # the others follow
    ran = run("complete", tmp_path / "m", "--json", "--relation", "dcterms:creator")
    assert said not in ran.stderr
    monkeypatch.setattr("kg.graph.entailment._MOST", 20)
    assert "of near so much follows from known facts" in run("complete", tmp_path / "m", "--json").stderr
