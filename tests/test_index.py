"""What is read from an index is what is built without one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import with_arrays, with_values
from torch import Tensor
from torch.optim import Adagrad

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.index import Index, arrays_of
from kg.graph.names import Names
from kg.graph.packed import PackedIds
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.query.predictor import Predictor
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

EX = "http://example.org/"
ENTITIES = [EX + "de", EX + "x#fr", EX + "x1", EX + "x2", "_:b", EX + "Ä", EX + "straße", "plain", EX + "fr", EX + "g/"]
LABELS = {EX + "de": "Germany", EX + "x1": "Georgia", EX + "x2": "georgia", EX + "Ä": "FRANCE", "r": "rings", "C": "c"}
SCHEMA = Schema(labels=LABELS, prefixes={"ex": EX}, types={EX + "de": ("C",)}, language="de", symmetric=("s",))
NAMES = Vocabulary(ENTITIES, ["r", "s"])
FACTS = torch.tensor([[0, 0, 1], [1, 1, 2], [9, 0, 0], [3, 1, 3], [0, 0, 4], [0, 0, 1]])


def made(**changed: Tensor) -> Index:
    return Index.of_arrays(arrays_of(NAMES, SCHEMA, FACTS) | changed)


def test_the_same_words() -> None:
    index = made()
    assert index.vocabulary == NAMES and index.vocabulary == NAMES and hash(index.vocabulary) == hash(NAMES)
    assert index.schema == SCHEMA and index.schema.to_json() == SCHEMA.to_json()
    assert len(index.schema.labels) == len(LABELS) and dict(index.schema.labels) == LABELS
    assert [index.schema.label(each) for each in ENTITIES] == [SCHEMA.label(each) for each in ENTITIES]
    ids = index.vocabulary.entity_ids
    assert dict(ids) == NAMES.entity_ids and ids.get("r") is None and EX not in ids
    assert index.vocabulary.entities[-1] == ENTITIES[-1] and index.vocabulary.entities[2:4] == tuple(ENTITIES[2:4])
    with pytest.raises(IndexError):
        index.vocabulary.entities[len(ENTITIES)]
    for prefixes in (("_:",), (EX + "x", "p"), ("z",), ("",)):
        assert sorted(index.vocabulary.entities_beginning_with(prefixes)) == NAMES.entities_beginning_with(prefixes)
    more = index.vocabulary.extended(["plain", "new"])
    assert more == NAMES.extended(["plain", "new"]) and more.entity_ids["new"] == len(ENTITIES)
    assert index.vocabulary.extended(["plain"]) is index.vocabulary


def test_many_look_ups_are_by_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.graph.packed._MANY", 3)
    ids = made().vocabulary.entity_ids
    assert isinstance(ids, PackedIds) and [ids[each] for each in ENTITIES] == [*range(len(ENTITIES))]
    assert "as_dict" in ids.__dict__


def found(term: Callable[[str], str], name: str) -> str:
    try:
        return term(name)
    except UserError as error:
        return f"error: {error}"


@pytest.mark.parametrize(
    "name",
    [
        *ENTITIES,
        *LABELS.values(),
        "GERMANY",
        "Georgia",
        "GEORGIA",
        "fr",
        "france",
        "STRASSE",
        "straße",
        "ex:de",
        "g",
        "",
    ]
    + [f"<{EX}x1>", "b", "ä", "Germny", "zz", "ex:zz", EX],
)
def test_the_same_terms_by_name(name: str) -> None:
    assert found(made().names.term, name) == found(Names(ENTITIES, SCHEMA, "entity").term, name)


def test_the_same_facts() -> None:
    data = Dataset(FACTS[:3], FACTS[3:4], FACTS[4:], NAMES, SCHEMA)
    graph, known = data.everything
    index = made()
    for part in ("offsets", "relation", "tail"):
        assert torch.equal(getattr(index.graph, part), getattr(graph, part))
    for part in ("questions", "offsets", "tails", "reflexive"):
        assert torch.equal(getattr(index.known, part), getattr(known, part))
    for left, right in zip(index.known.tails_of_relations, known.tails_of_relations, strict=True):
        assert torch.equal(left, right)


def test_an_index_of_nothing() -> None:
    arrays = arrays_of(Vocabulary([], []), Schema(), FACTS[:0])
    assert len(Index.of_arrays(arrays).vocabulary.entities) == 0


@pytest.mark.parametrize(
    "name",
    [name for name in arrays_of(NAMES, SCHEMA, FACTS) if name != "words"],
)
@pytest.mark.parametrize("how", ["longer", "shorter", "far", "below", "float", "flat", "missing"])
def test_arrays_that_are_no_index(name: str, how: str) -> None:
    """Or are one that could be: nothing is indexed by them that is not there."""
    arrays = arrays_of(NAMES, SCHEMA, FACTS)
    each = arrays[name]
    far = torch.tensor(250 if each.dtype == torch.uint8 else 10**6).to(each.dtype)
    changed = {
        "longer": torch.cat([each, each[-1:]]),
        "shorter": each[:-1],
        "far": torch.cat([each[:-1], far[None]]),
        "below": torch.cat([(far * 0 - 1).to(each.dtype)[None], each[1:]]),
        "float": each.double(),
        "flat": each[:, None],
    }
    if how == "missing":
        del arrays[name]
    else:
        arrays[name] = changed[how]
    if name == "reflexive" and how in ("far", "below"):
        return
    with pytest.raises((ValueError, KeyError)):
        Index.of_arrays(arrays)


@pytest.mark.parametrize("words", [b"{", b"[]", b'{"relations": ["r", "r"], "schema": {}}', b'{"relations": ["r"]}'])
def test_words_that_are_none(words: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, UserError)):
        made(words=torch.from_numpy(np.frombuffer(words, np.uint8).copy()))


def test_terms_out_of_order_are_told_when_one_is_looked_for() -> None:
    index = made()
    ids = index.vocabulary.entity_ids
    assert isinstance(ids, PackedIds)
    ids._order[ids._order == 0] = 8
    ids._kept.cache_clear()
    with pytest.raises(UserError, match=r"index\.safetensors .*: 'http://example.org/de' is out of order"):
        index.names.term("de")


# In a model's folder


@pytest.fixture
def model(tmp_path: Path, random_dataset: Dataset) -> Path:
    run = Run(partial(DistMult, dim=2), GradientDescent(partial(Adagrad, lr=0.1)))
    weights = run.new_scorer(random_dataset.num_entities, random_dataset.num_relations).state_dict()
    metrics = {"valid": None, "finished": True, "epochs": 1, "best_epoch": 1, "history": []}
    where, given = tmp_path / "model", {"weights": weights, "state": {}, "metrics": metrics, "temperature": 1.0}
    bundle.save(where, dataset=random_dataset, run=run.to_json(), **given)
    return where


def answers(model: Path) -> list[str]:
    predictor = Predictor.load(model)
    return [repr(each) for each in predictor.tails("e1", "r0", 20)] + [predictor.knowledge.facts_from]


def test_a_model_of_before_has_none_and_answers_alike(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bundle.load(model).dataset.index is not None
    with_index = answers(model)
    monkeypatch.setattr("kg.bundle._index", lambda *_: None)
    assert Bundle.load(model).dataset.index is None and answers(model) == with_index


def test_an_index_of_other_files_is_not_used(model: Path) -> None:
    """Who writes other names writes another index, or none."""
    names = Bundle.load(model).dataset.vocabulary
    with_values(model, "vocabulary.json", entities=[*names.entities[:-1], "other"])
    read = Bundle.load(model).dataset
    assert read.index is None and read.vocabulary.entities[-1] == "other"


def test_an_index_that_no_training_wrote_is_named(model: Path) -> None:
    edges = Bundle.load(model).dataset.everything[0].tail
    with_arrays(model, "index.safetensors", edge_tail=edges + 10**6)
    with pytest.raises(
        UserError, match=r"index\.safetensors holds what no training wrote: edge_tail must hold numbers"
    ):
        Bundle.load(model)
