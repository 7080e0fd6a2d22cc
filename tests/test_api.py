"""The whole path in Python, in one call each."""

from pathlib import Path

import pytest
import rdflib
import torch
from commands import EX
from runs import Noted

import kg
from kg.graph.sources import open_dataset
from kg.training.recipes import default_run
from kg.training.train import train


@pytest.fixture(scope="module")
def store(country_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "graph.kg"
    loaded = kg.load(country_store.parent / "graph.ttl", path)
    assert loaded.read == loaded.added == 170
    return path


def test_load_train_evaluate(store: Path, tmp_path: Path) -> None:
    bundle = kg.train(store, tmp_path / "m", "distmult", dim=4, epochs=2, lr=0.01, relations=["borders"], seed=1)
    assert bundle.run["scorer"]["name"] == "distmult" and bundle.run["scorer"]["arguments"]["dim"] == 4
    assert bundle.metrics["epochs"] == 2
    assert bundle.calibration is not None and bundle.dataset.vocabulary.relations == (EX + "borders",)
    found = kg.evaluate(tmp_path / "m", "valid")
    assert found.metrics.mrr == pytest.approx(bundle.metrics["valid"]["mrr"]) and found.probability is not None


@pytest.mark.tried
def test_as_the_command_does(country_model: Path, country_store: Path, tmp_path: Path) -> None:
    bundle = kg.train(country_store, tmp_path / "m", dim=16, epochs=10, seed=3)
    command = kg.Bundle.load(country_model)
    assert bundle.run == command.run and bundle.calibration == command.calibration
    ours, theirs = bundle.scorer.state_dict(), command.scorer.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_parts(store: Path, tmp_path: Path) -> None:
    dataset, noted = open_dataset(store), Noted()
    train(dataset, default_run("frequency")(dataset), tmp_path / "all-frequency")  # and killed before it was calibrated
    combined = kg.train(store, tmp_path / "all", "combine", parts=["frequency", "naive_bayes"], progress=noted)
    assert f"frequency: trained first, in {tmp_path / 'all-frequency'}" in noted.notes
    assert all(kg.Bundle.load(tmp_path / f"all-{part}").calibration for part in ("frequency", "naive_bayes"))
    assert combined.run["scorer"]["name"] == "combine" and (tmp_path / "all-frequency").is_dir()


def test_what_is_refused_is_said_before_a_store_is_read(tmp_path: Path) -> None:
    for settings, said in (
        ({"model": "unknown"}, "no model 'unknown'"),
        ({"model": "combine"}, "parts are what combine and rank_ensemble combine, and no other model: got combine"),
        ({"parts": ["frequency"]}, "and no other model: got complex"),
        ({"model": "combine", "parts": ["frequency"], "dim": 8}, "dim: a combination has no such setting"),
        ({}, "nowhere"),
    ):
        with pytest.raises(kg.UserError, match=said):
            kg.train(tmp_path / "nowhere", tmp_path / "m", **settings)  # type: ignore[arg-type]


def test_suggestions_with_nothing_trained(store: Path, tmp_path: Path) -> None:
    """Of a store and of the same facts in rdflib; known facts are none, and nothing is left behind."""
    of_store = kg.suggest(store, 5)
    with kg.Store(store) as opened:
        graph = rdflib.Graph()
        for fact in opened.to_rdflib_graph():
            graph.add(fact)
        known = {(str(s), str(p), str(o)) for s, p, o in graph}
    of_graph = kg.suggest(graph, 5, seconds=None)
    assert [each.rank for each in of_store] == [1, 2, 3, 4, 5] and of_graph.unasked == 0
    for found in (of_store, of_graph):
        assert not known & {(each.subject, each.predicate, each.object) for each in found}
    assert {each.predicate for each in of_graph} <= {p for _, p, _ in known}
