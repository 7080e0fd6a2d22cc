"""The commands as a person runs them: what they print, where, and how they exit."""

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kg.cli.app import app
from kg.query.candidates.candidate import Candidate
from kg.query.candidates.files import read_candidates

ROOT = Path(__file__).parents[1]
EX = "http://example.org/"
TURTLE = """
@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
ex:borders a owl:SymmetricProperty ; rdfs:label "borders" .
"""


def kg(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def fails(result: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line on stderr of a user's error."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def here(*arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
    """As `kg`, in this process: where nothing is written, to start another takes longer than all the rest."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess([], result.exit_code, result.stdout, result.stderr)


def refused(*arguments: str | int | Path) -> str:
    """The one line of a user's error, in this process."""
    return fails(here(*arguments))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rings of twelve countries that border their neighbours, each in one of two unions."""
    folder = tmp_path_factory.mktemp("cli")
    lines = [TURTLE]
    for i in range(24):
        ring, place = divmod(i, 12)
        lines.append(f'ex:c{i} rdfs:label "Country {i}" ; ex:memberOf ex:union{ring} ; ex:population {i} .')
        for step in (1, 2):
            other = ring * 12 + (place + step) % 12
            lines.append(f"ex:c{i} ex:borders ex:c{other} . ex:c{other} ex:borders ex:c{i} .")
    (folder / "graph.ttl").write_text("\n".join(lines))
    loaded = kg("load", folder / "graph.kg", folder / "graph.ttl")
    assert loaded.returncode == 0, loaded.stderr
    assert "facts read" in loaded.stdout
    return folder / "graph.kg"


@pytest.fixture(scope="module")
def model(store: Path) -> Path:
    out = store.parent / "model"
    trained = kg("train", store, out, "--model", "complex", "--dim", 16, "--epochs", 10, "--seed", 3)
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"complex, 10 epochs, best at \d+, valid MRR 0\.\d+", trained.stdout)
    return out


def test_info(store: Path) -> None:
    info = json.loads(kg("info", store, "--json").stdout)
    counts = {"facts": 24 * 3 + 96 + 2, "entities": 28, "relations": 3, "literals": 49, "predictions": 0}
    assert info == counts | {"generation": 1}
    assert "facts" in kg("info", store).stdout


def test_load_again_adds_nothing(store: Path) -> None:
    again = json.loads(kg("load", store.parent / "again.kg", store.parent / "graph.ttl", "--json").stdout)
    assert again["added"] == again["read"] == 170
    again = json.loads(kg("load", store.parent / "again.kg", store.parent / "graph.ttl", "--json").stdout)
    assert again["added"] == 0


def test_sparql(store: Path) -> None:
    query = "SELECT ?c ?n WHERE { ?c ex:memberOf ex:union0 ; ex:population ?n } ORDER BY ?n LIMIT 2"
    found = json.loads(kg("sparql", store, query, "--format", "json").stdout)
    assert [row["c"]["value"] for row in found["results"]["bindings"]] == [EX + "c0", EX + "c1"]
    assert found["results"]["bindings"][1]["n"]["datatype"].endswith("integer")
    rows = list(csv.reader(io.StringIO(kg("sparql", store, query, "--format", "csv").stdout)))
    assert rows == [["c", "n"], [EX + "c0", "0"], [EX + "c1", "1"]]
    assert "ex:c1" in kg("sparql", store, query).stdout
    asked = kg("sparql", store, "ASK { ex:c0 ex:borders ex:c1 }")
    assert asked.stdout == "true\n"
    query = "CONSTRUCT { ?a ex:near ?b } WHERE { ?a ex:borders ?b }"
    assert len(kg("sparql", store, query, "--format", "csv").stdout.splitlines()) == 97


def test_evaluate(model: Path) -> None:
    result = kg("evaluate", model, "--json")
    figures = json.loads(result.stdout)
    names = {"mrr", "mean_rank", "amri", "hits_at_1", "hits_at_3", "hits_at_10", "perplexity", "num_ranks"}
    assert names | {"by_relation"} <= set(figures)
    assert 0 < figures["mrr"] <= 1 and figures["num_ranks"] % 2 == 0
    assert set(figures["by_relation"]) <= {EX + "borders", EX + "memberOf"}
    probability = figures["probability"]
    assert 0 <= probability["brier"] <= 1 and probability["threshold"] == 0.5
    assert sum(each["facts"] for each in probability["bins"]) == pytest.approx(probability["facts"])
    table = kg("evaluate", model, "--split", "valid").stdout
    assert "MRR" in table and "borders" in table
    assert "probability of being in valid" in table and "Brier score, skill" in table


def test_evaluate_against_negatives(model: Path, tmp_path: Path) -> None:
    lines = [f"{EX}c{i}\t{EX}borders\t{EX}c{(i + 6) % 12}\n" for i in range(12)]
    (tmp_path / "valid_negatives.tsv").write_text("".join(lines[:6]))
    (tmp_path / "test_negatives.tsv").write_text("".join(lines[6:]))
    picture = tmp_path / "reliability.svg"
    result = kg("evaluate", model, "--negatives", tmp_path, "--plot", picture, "--threshold", 0.2)
    assert "best on valid" in result.stdout and "6 negatives" in result.stdout
    assert "precision, recall at 0.2" in result.stdout
    assert "<svg" in picture.read_text()
    assert "no valid_negatives" in refused("evaluate", model, "--negatives", tmp_path / "nowhere", "--json")


def test_evaluate_says_at_once_what_is_wrong(model: Path, tmp_path: Path) -> None:
    assert "above 0 and at most 1: got 1.5" in refused("evaluate", model, "--threshold", "1.5")
    assert "leave --split out" in refused("evaluate", model, "--split", "valid", "--negatives", tmp_path)
    assert "ends in .png or .svg" in refused("evaluate", model, "--plot", tmp_path / "x.pdf")
    assert "no directory" in refused("evaluate", model, "--plot", tmp_path / "nowhere" / "x.png")


def test_evaluate_without_a_calibration(model: Path, tmp_path: Path) -> None:
    from kg import bundle as bundles

    trained = bundles.Bundle.load(model)
    told = {name: getattr(trained, name) for name in ("dataset", "run", "state", "metrics", "temperature")}
    bundles.save(tmp_path / "bare", weights=trained.scorer.state_dict(), **told)
    result = kg("evaluate", tmp_path / "bare", "--json")
    assert json.loads(result.stdout)["probability"] is None
    assert result.stderr == f"{tmp_path / 'bare'} gives no probabilities (kg calibrate)\n"
    assert "Brier" not in kg("evaluate", tmp_path / "bare").stdout
    assert "gives no probabilities" in refused("evaluate", tmp_path / "bare", "--plot", tmp_path / "x.png")


def test_ask(model: Path, store: Path) -> None:
    found = json.loads(kg("ask", model, "(Country 3, borders, ?)", "--top", 4, "--json").stdout)
    assert [candidate["rank"] for candidate in found] == [1, 2, 3, 4]
    assert all(set(each) == {field.name for field in fields(Candidate)} for each in found)
    assert all(each["subject"] == EX + "c3" and each["object"] != EX + "c3" for each in found)
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    new = json.loads(kg("ask", model, "(?, ex:borders, Country 3)", "--new-only", "--json", "--top", 100).stdout)
    assert not any(each["known"] for each in new)
    neighbours = {EX + f"c{i}" for i in (1, 2, 4, 5)}  # known in the store, held out of training or not
    assert not neighbours & {each["subject"] for each in new}
    relations = json.loads(kg("ask", model, "(Country 3, ?, Country 4)", "--json").stdout)
    assert {each["predicate"]: each["known"] for each in relations} == {EX + "borders": True, EX + "memberOf": False}
    table = kg("ask", model, "(Country 3, borders, ?)")
    assert "Country" in table.stdout and f"the store {store}" in table.stderr.replace("\n", "")


def test_ask_about_several_facts(model: Path) -> None:
    chain = "(Country 3, borders, ?x) & (?x, ex:memberOf, ?union)"
    found = json.loads(kg("ask", model, chain, "--json", "--top", 3).stdout)
    assert [each["rank"] for each in found] == [1, 2, 3] and found[0]["known"] and found[0]["probability"] == 1
    assert found[0]["term"] == EX + "union0"
    first, second = found[0]["facts"]
    assert first["subject"] == EX + "c3" and first["object"] == second["subject"] and first["known"]
    both = "(?x, borders, Country 3) & (?x, borders, Country 5)"
    new = kg("ask", model, both, "--new-only", "--tnorm", "minimum", "--json").stdout
    assert not {EX + "c4"} & {each["term"] for each in json.loads(new)}
    for each in json.loads(new):
        assert each["probability"] == min(fact["probability"] for fact in each["facts"]) < 1
    table = kg("ask", model, both, "--top", 1)
    assert "Country 4" in table.stdout and "borders" in table.stdout and "(known)" in table.stdout
    assert "the store" in table.stderr


def test_what_several_facts_are_not_asked_for(model: Path) -> None:
    chain = "(Country 3, borders, ?x) & (?x, memberOf, ?y)"
    plain = ("ask", model, "(Country 3, borders, ?)")
    assert "answered are chains" in refused("ask", model, f"{chain} -> ?x")
    assert "at most 10,000" in refused("ask", model, "(a, b, ?x) & " * 10**6)
    assert "--uncertainty is for one fact" in refused("ask", model, chain, "--uncertainty", 8)
    assert "--tnorm is for questions with variables" in refused(*plain, "--tnorm", "minimum")
    assert "no entity 'Country 99'" in refused("ask", model, "(Country 99, borders, ?x)")
    assert "--top must be at least 1" in refused("ask", model, chain, "--top", 0)


def test_ask_how_sure_it_is(model: Path, store: Path) -> None:
    asked = ("ask", model, "(Country 3, borders, ?)", "--uncertainty")
    assert "trained without dropout: there is nothing to sample" in refused(*asked, 8)
    (store.parent / "drop.py").write_text(PRESET.replace("dim=4", "dim=4, entity_dropout=0.3"))
    unsure = store.parent / "unsure"
    assert kg("train", store, unsure, "--preset", f"{store.parent / 'drop.py'}:small").returncode == 0
    asked = ("ask", unsure, "(Country 3, borders, ?)", "--uncertainty")
    found = json.loads(kg(*asked, 8, "--top", 2, "--json").stdout)
    assert [each["rank"] for each in found] == [1, 2] and found[0]["uncertainty"] == found[1]["uncertainty"]
    figures = found[0]["uncertainty"]
    assert figures["epistemic"] > 0 and (figures["samples"], figures["candidates"]) == (8, 25)  # 26, less itself
    line = kg(*asked, 8).stdout.splitlines()[-1]
    total = figures["aleatoric"] + figures["epistemic"]
    assert line.startswith(f"uncertainty {total:.2f} nats of at most 3.22: ") and "the 8 samples disagree" in line


def test_ask_without_the_store(model: Path, store: Path) -> None:
    hidden = store.with_name("hidden.kg")
    store.rename(hidden)
    try:
        assert "own copy" in kg("ask", model, "(Country 3, borders, ?)").stderr
        assert "hidden.kg" in kg("ask", model, "(Country 3, borders, ?)", "--store", hidden).stderr.replace("\n", "")
        refused("ask", model, "(Country 3, borders, ?)", "--store", store)
    finally:
        hidden.rename(store)


def test_ask_about_the_unknown(model: Path) -> None:
    assert "the nearest are Country" in refused("ask", model, "(Countri 3, borders, ?)")
    assert "no relation" in refused("ask", model, "(Country 3, likes, ?)")
    assert "expected (subject, predicate, object)" in refused("ask", model, "(Country 3, borders)")
    for command, rest in (("ask", "?"), ("explain", "b")):
        line = refused(command, model, f"({'x' * 10_000_000}, borders, {rest})")
        assert line.endswith("characters: at most 10,000 are read") and len(line) < 100


def test_ask_about_an_entity_that_came_later(model: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "more.ttl").write_text(TURTLE + 'ex:new rdfs:label "Newland" ; ex:borders ex:c0 .')
    grown = tmp_path / "grown.kg"
    assert kg("load", grown, store.parent / "graph.ttl", tmp_path / "more.ttl").returncode == 0
    assert "no vector" in refused("ask", model, "(Newland, borders, ?)", "--store", grown)
    found = json.loads(kg("ask", model, "(?, borders, Country 0)", "--store", grown, "--top", 100, "--json").stdout)
    assert found[-1]["subject"] == EX + "new" and found[-1]["known"]  # known, but without a vector it ranks last


def test_ask_says_where_it_looked_with_json_too(model: Path, store: Path) -> None:
    asked = kg("ask", model, "(Country 3, borders, ?)", "--json")
    assert json.loads(asked.stdout) and f"the store {store}" in asked.stderr


def test_names_of_a_table_are_asked_as_they_were_written(tmp_path: Path) -> None:
    facts = [f'/m/{i}\t/film/genre\tAn odd, "näme" [{i % 3}]' for i in range(9)]
    (tmp_path / "facts.tsv").write_text("\n".join(facts), encoding="utf-8")
    assert kg("load", tmp_path / "t.kg", tmp_path / "facts.tsv").returncode == 0
    assert kg("train", tmp_path / "t.kg", tmp_path / "m", "--dim", 4, "--epochs", 1).returncode == 0
    assert kg("ask", tmp_path / "m", "(/m/1, /film/genre, ?)", "--json").returncode == 0
    (tmp_path / "plain.tsv").write_text("An [odd] näme\tr\tb\n", encoding="utf-8")
    assert kg("load", tmp_path / "p.kg", tmp_path / "plain.tsv").returncode == 0
    assert kg("train", tmp_path / "p.kg", tmp_path / "p", "--dim", 4, "--epochs", 1).returncode == 0
    found = kg("ask", tmp_path / "p", "(An [odd] näme, r, ?)")
    assert "An [odd] näme" in found.stdout, found.stderr


def test_export(model: Path, tmp_path: Path) -> None:
    assert kg("export", model, tmp_path / "vectors.npz").returncode == 0
    with np.load(tmp_path / "vectors.npz") as arrays:
        assert arrays["table.weight"].shape == (len(arrays["entity_terms"]), 32)
        assert EX + "c0" in arrays["entity_terms"]
    assert kg("export", model, tmp_path / "vectors.tsv").returncode == 0
    first = (tmp_path / "vectors.tsv").read_text().splitlines()[0].split("\t")
    assert first[0] == "table.weight" and first[1].startswith(EX) and len(first) == 34
    assert ".npz or .tsv" in refused("export", model, tmp_path / "vectors.pickle")
    assert "No such file" in refused("export", model, tmp_path / "nowhere" / "vectors.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.npz", "vectors.tsv"]


def interrupted(seconds: float, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and stderr of a training that gets SIGINT so many seconds after it said what it trains on."""
    command = [sys.executable, "-m", "kg", *map(str, arguments)]
    training = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert training.stderr is not None and "entities" in training.stderr.readline()
        time.sleep(seconds)
        training.send_signal(signal.SIGINT)
        _, stderr = training.communicate(timeout=60)
    finally:
        training.kill()
    return training.returncode, stderr


def test_resume_and_interrupt(store: Path, tmp_path: Path) -> None:
    # A matrix of 512 x 512 a relation and one question a step: long enough to be stopped on any machine.
    arguments = ("train", store, tmp_path / "m", "--model", "rescal", "--dim", "512", "--batch-size", "1", "--epochs")
    for seconds in (3, 10, 30):  # before the first step there is nothing to save, and a busy machine takes its time
        code, stderr = interrupted(seconds, *arguments, "1000000")
        assert code == 130 and "Traceback" not in stderr
        if stderr:
            break
    assert "--resume" in stderr
    assert "already holds a model" in refused(*arguments, 5)
    resumed = kg("train", store, tmp_path / "m", "--resume", "--epochs", 1, "--json")
    assert resumed.returncode == 0 and json.loads(resumed.stdout)["epochs"] >= 1


PRESET = """
from functools import partial
from torch.optim import Adam
from kg.models.distmult import DistMult
from kg.training.run import Run

def small():
    return Run(partial(DistMult, dim=4), partial(Adam, lr=0.01), batch_size=64, epochs=2, seed=7)
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(PRESET)
    return tmp_path / "mine.py"


def test_train_a_preset(store: Path, preset: Path, tmp_path: Path) -> None:
    varied = ("--epochs", 1, "--dim", 8, "--lr", 0.5, "--precision", "bf16")
    trained = kg("train", store, tmp_path / "m", "--preset", f"{preset}:small", *varied)
    assert "distmult, 1 epochs" in trained.stdout, trained.stderr
    config = json.loads((tmp_path / "m" / "2" / "config.json").read_text())["run"]
    assert config["scorer"] == {"name": "distmult", "arguments": {"dim": 8}}
    assert config["optimizer"]["arguments"] == {"lr": 0.5} and config["precision"] == "bf16"
    assert (config["batch_size"], config["seed"]) == (64, 7)  # the preset's own
    resumed = kg("train", store, tmp_path / "m", "--resume", "--preset", f"{preset}:small", "--model", "rescal")
    assert resumed.stderr.splitlines()[-2:] == [
        "--model rescal was not used: the model goes on with distmult",
        f"--preset {preset}:small was not used: the model keeps its own settings",
    ]


def test_a_preset_that_is_none(store: Path, preset: Path, tmp_path: Path) -> None:
    for given, said in (("large", "no preset 'large': it has small"), ("small,small", "name one preset")):
        assert said in refused("train", store, tmp_path / "m", "--preset", f"{preset}:{given}")
    both = ("--preset", f"{preset}:small", "--model", "complex")
    assert "leave --model out" in refused("train", store, tmp_path / "m", *both)
    assert not (tmp_path / "m").exists()


# The best new facts


def done(*arguments: str | int | Path) -> str:
    """What a command that works prints, in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", ["best.tsv", "best.jsonl", "best.trig", "best.nq.gz"])
def test_complete_writes_what_it_found(model: Path, tmp_path: Path, name: str) -> None:
    printed = json.loads(done("complete", model, "-o", tmp_path / name, "--top", 12, "--json"))
    assert [each["rank"] for each in printed] == list(range(1, 13))
    assert not any(each["known"] for each in printed) and all(0 <= each["probability"] <= 1 for each in printed)
    assert len({(each["subject"], each["predicate"], each["object"]) for each in printed}) == 12
    written = sorted(read_candidates(tmp_path / name), key=lambda each: each.rank)
    assert [each.to_json() for each in written] == printed
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing of the search is left


def test_complete_asked_for_a_part(model: Path) -> None:
    of_each = json.loads(done("complete", model, "--per-relation", 3, "--json"))
    assert sorted(each["predicate"] for each in of_each) == [EX + "borders"] * 3 + [EX + "memberOf"] * 3
    entity = json.loads(done("complete", model, "--entity", "Country 3", "--relation", "borders", "--json"))
    assert entity and all(EX + "c3" in (each["subject"], each["object"]) for each in entity)
    assert {each["predicate"] for each in entity} == {EX + "borders"}
    least = of_each[1]["probability"]
    surer = json.loads(done("complete", model, "--per-relation", 3, "--min-probability", least, "--json"))
    assert surer == [each for each in of_each if each["probability"] >= least] and len(surer) >= 2
    table = done("complete", model, "--top", 25)
    assert "borders" in table and re.search(r"^\W*20 ", table, re.MULTILINE)
    assert not re.search(r"^\W*21 ", table, re.MULTILINE)
    assert json.loads(done("complete", model, "--min-probability", 1, "--json")) == []


def test_complete_errors(model: Path, store: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (("-o", tmp_path / "best.pickle"), "best.pickle"),
        (("-o", tmp_path / "best"), "best"),
        (("-o", tmp_path / "nowhere" / "best.tsv"), "no directory"),
        (("-o", tmp_path / "best.tsv", "--rdf11"), "RDF 1.1 was asked for"),
        (("--top", 0), "--top must be at least 1: got 0"),
        (("--per-relation", 0), "--per-relation must be at least 1: got 0"),
        (("--top", 5, "--per-relation", 5), "choose one"),
        (("--min-probability", 2), "--min-probability is a probability, 0 to 1: got 2"),
        (("--entity", "Atlantis"), "no entity 'Atlantis'"),
        (("--relation", "likes"), "no relation 'likes'"),
    ):
        assert said in refused("complete", model, *arguments)
    (tmp_path / ".best.tsv.search").write_text("not of a search")
    assert "remove it to begin anew" in refused("complete", model, "-o", tmp_path / "best.tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".best.tsv.search"]


def test_a_model_without_valid_facts_tells_no_probabilities(store: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    done("train", store, plain, "--valid", 0, "--test", 0, "--dim", 4, "--epochs", 1)
    assert "gives no probabilities" in refused("complete", plain, "--min-probability", 0.5)
    assert "there is nothing to calibrate it on" in refused("calibrate", plain)
    found = kg("complete", plain, "--top", 3, "-o", tmp_path / "best.tsv", "--json")
    assert [each["probability"] for each in json.loads(found.stdout)] == [None] * 3, found.stderr
    assert "without probabilities: it was trained without valid facts" in found.stderr
    assert [each.probability for each in read_candidates(tmp_path / "best.tsv")] == [None] * 3


def test_calibrate_gives_what_training_gave(model: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(model, again)
    before = done("complete", again, "--top", 5, "--json")
    assert re.search(r"calibrated on \d+ valid facts \((temperature|platt|isotonic)\)", done("calibrate", again))
    assert done("complete", again, "--top", 5, "--json") == before


def test_train_a_combination(model: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.tsv").write_text("\n".join(f"a{i}\tr\tb{i % 3}" for i in range(30)))
    other = tmp_path / "other.kg"
    assert kg("load", other, tmp_path / "facts.tsv").returncode == 0
    arguments = ("train", store, tmp_path / "m", "--seed", 3)
    together = "--model combine or --model rank_ensemble and --parts go together"
    assert together in refused(*arguments, "--parts", "frequency")
    assert together in refused(*arguments, "--model", "rank_ensemble")
    combine = (*arguments, "--model", "combine", "--parts")
    assert "--lr: Stacking has no use for it" in refused(*combine, "frequency", "--lr", 0.1)
    foreign = kg("train", other, tmp_path / "m", "--model", "combine", "--parts", model)
    assert f"{model} was trained on other facts: it cannot be the part here" in fails(foreign)
    assert not (tmp_path / "m").exists() and not (tmp_path / "m-frequency").exists()
    trained = kg(*combine, f"{model},frequency")
    said = r"m: combine, 1 epochs, best at 1, valid MRR 0\.\d+ \(each half by weights of the other\)\n"
    assert re.search(said, trained.stdout), trained.stderr
    assert f"frequency: trained first, in {tmp_path / 'm-frequency'}" in trained.stderr
    assert "frequency, 1 epochs" not in trained.stdout
    ranks = kg("train", store, tmp_path / "n", "--seed", 3, "--model", "rank_ensemble", "--parts", model)
    assert re.search(said.replace("m: combine", "n: rank_ensemble"), ranks.stdout), ranks.stderr
    relations = json.loads(kg("ask", tmp_path / "m", "(Country 3, ?, Country 4)", "--json").stdout)
    assert {each["predicate"]: each["known"] for each in relations} == {EX + "borders": True, EX + "memberOf": False}


def test_bench(store: Path, preset: Path, tmp_path: Path) -> None:
    arguments = ("bench", store, "--out", tmp_path / "b", "--presets")
    results = json.loads(kg(*arguments, preset, "--seeds", 1, "--json").stdout)
    assert [(row["preset"], row["seed"], row["epochs"]) for row in results["rows"]] == [("small", 0, 2)]
    table = kg(*arguments, f"{preset}:small", "--seeds", 2)
    assert re.search(r"small +2 +0\.\d{3} ± ", table.stdout), table.stderr
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "cost.png",
        "results.json",
        "results.md",
        "results.png",
        "small-0",
        "small-1",
    ]


def test_tune(store: Path, tmp_path: Path) -> None:
    arguments = ("tune", store, tmp_path / "t", "--model", "distmult", "--epochs", 2)
    first = json.loads(kg(*arguments, "--trials", 1, "--json").stdout)
    assert first["complete"] == 1 and first["best"]["scorer"]["name"] == "distmult"
    more = kg(*arguments, "--trials", 2)
    assert "2 of 2, trial 1: valid MRR 0." in more.stderr, more.stderr
    command = re.search(r"best of 2 trials.*\ntrain it: kg train (\S+) MODEL --preset (\S+)\n", more.stdout)
    assert command and (command[1], command[2]) == (str(store), f"{tmp_path / 't' / 'best.py'}:best")


def test_rules(store: Path, tmp_path: Path) -> None:
    mined = kg("rules", store, "--max-length", 2, "-o", tmp_path / "rules.tsv", "--top", 3)
    assert mined.returncode == 0, mined.stderr
    header, *rows = [line.split("\t") for line in (tmp_path / "rules.tsv").read_text().splitlines()]
    assert f"{len(rows)} rules are in {tmp_path / 'rules.tsv'}" in mined.stderr.replace("\n", "")
    assert header[:4] == ["rule", "confidence", "support", "body"] and len(rows) > 3
    shown = [re.fullmatch(r"(.+=> .+?) +(\d\.\d\d)  \((\d+)/(\d+)\) *", line) for line in mined.stdout.splitlines()]
    for row, line in zip(rows, shown, strict=False):
        assert line and [line[1], line[3], line[4]] == [row[0], *row[2:4]] and line[2] == f"{float(row[1]):.2f}"
    found = {row[0]: row[1:4] for row in rows}
    assert "borders(Y,X) => borders(X,Y)" in found and "borders(X,Z) & memberOf(Z,Y) => memberOf(X,Y)" in found
    assert not any(rule.startswith("=>") for rule in found)
    surest = [(-float(row[1]), -int(row[2]), row[0]) for row in rows]
    assert surest == sorted(surest)
    arguments = ("rules", store, "--max-length", 2, "--relation", "memberOf", "--min-support", 5, "--json")
    for rule in json.loads(kg(*arguments, "--min-confidence", 0.4).stdout):
        assert f"<{EX}memberOf>" in rule["head_pattern"] and rule["support"] >= 5 and rule["confidence"] >= 0.4
    assert "no rule was found" in kg("rules", store, "--time-limit", 1e-9).stdout


def test_rules_errors(store: Path, tmp_path: Path) -> None:
    for option, said in (
        (("--relation", "likes"), "no relation 'likes'"),
        (("--min-confidence", 1), "min_confidence must be"),
        (("--top", 0), "--top must be at least 1: got 0"),
        (("-o", tmp_path / "nowhere" / "rules.tsv"), "no directory"),
    ):
        assert said in refused("rules", store, *option)


def test_explain(store: Path, model: Path, tmp_path: Path) -> None:
    explained = kg("explain", model, "Country 3", "borders", "Country 4", "--svg", tmp_path / "a [b].svg")
    assert re.search(r"\npaths\n    \S.* => borders\(X,Y\)  0\.\d\d  \(\d+/\d+\)\n        \S.*\n", explained.stdout)
    assert explained.stdout.startswith("(Country 3, borders, Country 4): ") and "\nagainst it\n" in explained.stdout
    assert "a [b].svg" in explained.stderr and f"the store {store}" in explained.stderr.replace("\n", "")
    assert ElementTree.parse(tmp_path / "a [b].svg").getroot().tag.endswith("svg")
    found = json.loads(here("explain", model, f"(<{EX}c3>, ex:borders, Country 4)", "--json", "--top", 2).stdout)
    assert 1 <= len(found["paths"]) <= 2 and found["paths"][0]["rule"] in explained.stdout
    given = [EX + "c3", EX + "borders", EX + "c4"]
    assert [found["subject"], found["predicate"], found["object"]] == given
    assert all({edge[0], edge[2]} != {EX + "c3", EX + "c4"} for path in found["paths"] for edge in path["facts"])
    wrong = here("explain", model, "(Country 3, memberOf, Country 3)")
    assert wrong.returncode == 0 and "paths\n    none found\n" in wrong.stdout
    assert "without '?'" in refused("explain", model, "(Country 3, memberOf, ?)")
    assert "no entity 'Country'" in refused("explain", model, "(Country, memberOf, union0)")
    assert "got 2 of them" in refused("explain", model, "Country 3", "memberOf")
    assert "--top must be at least 1" in refused("explain", model, "Country 3", "memberOf", "union0", "--top", 0)


def test_users_errors(store: Path, model: Path, tmp_path: Path) -> None:
    assert "no such directory" in fails(kg("info", tmp_path / "nothing"))
    assert "missing.ttl" in refused("load", tmp_path / "s.kg", tmp_path / "missing.ttl")
    (tmp_path / "bad.nt").write_text("<http://example.org/a> <http://example.org/b> .\n")
    assert "bad.nt:1:" in refused("load", tmp_path / "s.kg", tmp_path / "bad.nt")
    assert "SERVICE" in refused("sparql", store, "SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }")
    assert "no model 'unknown'" in refused("train", store, tmp_path / "m", "--model", "unknown")
    assert "load it first" in refused("train", store.parent / "graph.ttl", tmp_path / "m")
    assert "no train.tsv" in refused("train", tmp_path, tmp_path / "m")
    assert "must be above 0" in refused("train", store, tmp_path / "m", "--lr", "-1")
    assert "--seed must be" in refused("train", store, tmp_path / "m", "--seed", "-1")
    assert "--seed must be" in refused("train", store, tmp_path / "m", "--seed", 10**20)
    assert "no directory" in refused("load", tmp_path / "bad.nt" / "s.kg", store.parent / "graph.ttl")
    assert "no database" in refused("info", model)
    assert "--device nonsense" in refused("ask", model, "(Country 3, borders, ?)", "--device", "nonsense")


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\n")
    for option in (("--relations", "r"), ("--graphs", ""), ("--valid", "0.1"), ("--restrictions",)):
        assert f"{option[0]} chooses from a store" in refused("train", tmp_path, tmp_path / "m", *option)


def test_a_named_graph_by_its_prefix(store: Path, tmp_path: Path) -> None:
    turtle = store.parent / "graph.ttl"
    assert kg("load", tmp_path / "s.kg", turtle, "--graph", EX + "g").returncode == 0
    assert "no graph" in refused("train", tmp_path / "s.kg", tmp_path / "m", "--graphs", "ex:other")
    arguments = ("--graphs", "ex:g", "--dim", 4, "--epochs", 1)
    assert kg("train", tmp_path / "s.kg", tmp_path / "m", *arguments).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_an_output_that_cannot_be_written(store: Path) -> None:
    command = [sys.executable, "-m", "kg", "info", str(store), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert result.returncode == 1 and result.stderr == "error: No space left on device\n"


def test_usage_errors_exit_2(store: Path) -> None:
    for arguments in (["frobnicate"], ["ask"], ["info", store, "--frob"], ["train", store, "m", "--epochs", "many"]):
        result = kg(*arguments)
        assert result.returncode == 2 and "Traceback" not in result.stderr


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = kg("--help").stdout
    answering = ("ask", "complete", "calibrate", "rules", "explain", "publish", "retract", "export")
    for command in ("demo", "load", "info", "sparql", "train", "evaluate", "bench", "tune", *answering):
        assert command in listed
        assert f"kg {command}" in readme or f"make {command}" in readme
        assert "Usage" in kg(command, "--help").stdout
