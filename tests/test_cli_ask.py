"""`kg ask`."""

import json
from dataclasses import fields
from pathlib import Path

from commands import EX, PREFIXES, PRESET, done, refused, run

from kg.query.candidates.candidate import Candidate


def test_ask(country_model: Path, country_store: Path) -> None:
    found = json.loads(done("ask", country_model, "(Country 3, borders, ?)", "--top", 4, "--json"))
    assert [candidate["rank"] for candidate in found] == [1, 2, 3, 4]
    assert all(set(each) == {field.name for field in fields(Candidate)} for each in found)
    assert all(each["subject"] == EX + "c3" and each["object"] != EX + "c3" for each in found)
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    new = json.loads(done("ask", country_model, "(?, ex:borders, Country 3)", "--new-only", "--json", "--top", 100))
    assert not any(each["known"] for each in new)
    neighbours = {EX + f"c{i}" for i in (1, 2, 4, 5)}  # known in the store, held out of training or not
    assert not neighbours & {each["subject"] for each in new}
    relations = json.loads(done("ask", country_model, "(Country 3, ?, Country 4)", "--json"))
    assert {each["predicate"]: each["known"] for each in relations} == {EX + "borders": True, EX + "memberOf": False}
    table = run("ask", country_model, "(Country 3, borders, ?)")
    assert "Country" in table.stdout and f"the store {country_store}" in table.stderr.replace("\n", "")


def test_ask_about_several_facts(country_model: Path) -> None:
    chain = "(Country 3, borders, ?x) & (?x, ex:memberOf, ?union)"
    found = json.loads(done("ask", country_model, chain, "--json", "--top", 3))
    assert [each["rank"] for each in found] == [1, 2, 3] and found[0]["known"] and found[0]["probability"] == 1
    assert found[0]["term"] == EX + "union0"
    first, second = found[0]["facts"]
    assert first["subject"] == EX + "c3" and first["object"] == second["subject"] and first["known"]
    both = "(?x, borders, Country 3) & (?x, borders, Country 5)"
    new = done("ask", country_model, both, "--new-only", "--tnorm", "minimum", "--json")
    assert not {EX + "c4"} & {each["term"] for each in json.loads(new)}
    for each in json.loads(new):
        assert each["probability"] == min(fact["probability"] for fact in each["facts"]) < 1
    table = run("ask", country_model, both, "--top", 1)
    assert "Country 4" in table.stdout and "borders" in table.stdout and "(known)" in table.stdout
    assert "the store" in table.stderr


def test_what_several_facts_are_not_asked_for(country_model: Path) -> None:
    chain = "(Country 3, borders, ?x) & (?x, memberOf, ?y)"
    plain = ("ask", country_model, "(Country 3, borders, ?)")
    assert "answered are chains" in refused("ask", country_model, f"{chain} -> ?x")
    assert "at most 10,000" in refused("ask", country_model, "(a, b, ?x) & " * 10**6)
    assert "--uncertainty is for one fact" in refused("ask", country_model, chain, "--uncertainty", 8)
    assert "--tnorm is for questions with variables" in refused(*plain, "--tnorm", "minimum")
    assert "no entity 'Country 99'" in refused("ask", country_model, "(Country 99, borders, ?x)")
    assert "--top must be at least 1" in refused("ask", country_model, chain, "--top", 0)


def test_ask_how_sure_it_is(country_model: Path, country_store: Path) -> None:
    asked = ("ask", country_model, "(Country 3, borders, ?)", "--uncertainty")
    assert "trained without dropout: there is nothing to sample" in refused(*asked, 8)
    (country_store.parent / "drop.py").write_text(PRESET.replace("dim=4", "dim=4, entity_dropout=0.3"))
    unsure = country_store.parent / "unsure"
    done("train", country_store, unsure, "--preset", f"{country_store.parent / 'drop.py'}:small")
    asked = ("ask", unsure, "(Country 3, borders, ?)", "--uncertainty")
    found = json.loads(done(*asked, 8, "--top", 2, "--json"))
    assert [each["rank"] for each in found] == [1, 2] and found[0]["uncertainty"] == found[1]["uncertainty"]
    figures = found[0]["uncertainty"]
    assert figures["epistemic"] > 0 and (figures["samples"], figures["candidates"]) == (8, 25)  # 26, less itself
    line = done(*asked, 8).splitlines()[-1]
    total = figures["aleatoric"] + figures["epistemic"]
    assert line.startswith(f"uncertainty {total:.2f} nats of at most 3.22: ") and "the 8 samples disagree" in line


def test_ask_without_the_store(country_model: Path, country_store: Path) -> None:
    hidden = country_store.with_name("hidden.kg")
    country_store.rename(hidden)
    try:
        assert "own copy" in run("ask", country_model, "(Country 3, borders, ?)").stderr
        assert "hidden.kg" in run("ask", country_model, "(Country 3, borders, ?)", "--store", hidden).stderr
        refused("ask", country_model, "(Country 3, borders, ?)", "--store", country_store)
    finally:
        hidden.rename(country_store)


def test_ask_about_the_unknown(country_model: Path) -> None:
    assert "the nearest are Country" in refused("ask", country_model, "(Countri 3, borders, ?)")
    assert "no relation" in refused("ask", country_model, "(Country 3, likes, ?)")
    assert "expected (subject, predicate, object)" in refused("ask", country_model, "(Country 3, borders)")
    for command, rest in (("ask", "?"), ("explain", "b")):
        line = refused(command, country_model, f"({'x' * 10_000_000}, borders, {rest})")
        assert line.endswith("characters: at most 10,000 are read") and len(line) < 100


def test_ask_about_an_entity_that_came_later(country_model: Path, country_store: Path, tmp_path: Path) -> None:
    (tmp_path / "more.ttl").write_text(PREFIXES + 'ex:new rdfs:label "Newland" ; ex:borders ex:c0 .')
    grown = tmp_path / "grown.kg"
    done("load", grown, country_store.parent / "graph.ttl", tmp_path / "more.ttl")
    assert "no vector" in refused("ask", country_model, "(Newland, borders, ?)", "--store", grown)
    found = json.loads(done("ask", country_model, "(?, borders, Country 0)", "--store", grown, "--top", 100, "--json"))
    assert found[-1]["subject"] == EX + "new" and found[-1]["known"]  # known, but without a vector it ranks last


def test_ask_says_where_it_looked_with_json_too(country_model: Path, country_store: Path) -> None:
    asked = run("ask", country_model, "(Country 3, borders, ?)", "--json")
    assert json.loads(asked.stdout) and f"the store {country_store}" in asked.stderr


def test_names_of_a_table_are_asked_as_they_were_written(tmp_path: Path) -> None:
    facts = [f'/m/{i}\t/film/genre\tAn odd, "näme" [{i % 3}]' for i in range(9)]
    (tmp_path / "facts.tsv").write_text("\n".join(facts), encoding="utf-8")
    done("load", tmp_path / "t.kg", tmp_path / "facts.tsv")
    done("train", tmp_path / "t.kg", tmp_path / "m", "--dim", 4, "--epochs", 1)
    done("ask", tmp_path / "m", "(/m/1, /film/genre, ?)", "--json")
    (tmp_path / "plain.tsv").write_text("An [odd] näme\tr\tb\n", encoding="utf-8")
    done("load", tmp_path / "p.kg", tmp_path / "plain.tsv")
    done("train", tmp_path / "p.kg", tmp_path / "p", "--dim", 4, "--epochs", 1)
    found = run("ask", tmp_path / "p", "(An [odd] näme, r, ?)")
    assert "An [odd] näme" in found.stdout, found.stderr
