"""A completion: by names, into a file, with the run that found it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.namespaces import RDFS
from kg.query.candidates.completion import Completion, complete_into
from kg.query.candidates.files import read_with_origin
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor


@pytest.fixture
def asked(random_dataset: Dataset) -> Predictor:
    torch.manual_seed(0)
    scorer = DistMult(random_dataset.num_entities, random_dataset.num_relations, dim=4).eval()
    bundle = Bundle(Path("model"), scorer, random_dataset, {}, 1.0, {}, {}, {"files": {}})
    return Predictor(bundle, Knowledge.of_model(bundle))


def test_the_best_thousand_unless_asked_otherwise() -> None:
    assert Completion().top == 1000 and Completion(per_relation=3).top is None
    with pytest.raises(UserError, match="choose one"):
        Completion(top=3, per_relation=3)
    wanted = Completion(relations=["r1"], per_relation=2)
    assert wanted.to_json() == {"relations": ["r1"], "per_relation": 2, "min_probability": 0.0, "types": "observed"} | {
        "order": "probability"
    }
    assert Completion().order == "page" and Completion(order="probability").order == "probability"


def test_what_is_written_is_what_is_found(asked: Predictor, tmp_path: Path) -> None:
    wanted = Completion(["r1"], top=5, types="off")
    for name, looked in (("best.tsv", 3), ("best.trig", 0)):
        found = complete_into(asked, wanted, tmp_path / name, evidence=looked)
        bare = tuple(replace(each, evidence=None, because=None) for each in found)
        assert bare == asked.complete(5, relations=["r1"], types="off", order="page").items and len(found) == 5
        assert [each.because is not None for each in found] == [i < looked for i in range(5)]
        assert [each.evidence for each in found] == [
            asked.explain(each.subject, each.predicate, each.object).count if i < looked else None
            for i, each in enumerate(found)
        ]
        read, origin = read_with_origin(tmp_path / name)
        assert read.items == found.items
        assert origin is None or origin.settings == wanted.to_json()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.trig", "best.tsv"]


def test_what_cannot_be_written_is_not_looked_for(
    asked: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "complete", None)
    for out, said in (("best.doc", "says no way to write candidates"), ("nowhere/best.tsv", "no directory")):
        with pytest.raises(UserError, match=said):
            complete_into(asked, Completion(), tmp_path / out)


def test_a_page_leaves_out_what_restates_and_ends_with_what_is_spoken_against() -> None:
    """s holds for all but one of the pairs of r; q is functional; of all but e0 a range is known."""
    r, s, q, range_ = 0, 1, 2, 3
    chain = [(i, r, i + 1) for i in range(6)]
    facts = [
        *chain,
        *((h, s, t) for h, _, t in chain[:5]),
        (0, q, 6),
        (1, q, 6),
        *((i, range_, 0) for i in range(1, 8)),
    ]
    vocabulary = Vocabulary([*(f"e{i}" for i in range(7)), "r"], ["r", "s", "q", RDFS + "range"])
    nothing = torch.zeros(0, 3, dtype=torch.long)
    dataset = Dataset(torch.tensor(facts), nothing, nothing, vocabulary, Schema(functional=("q",)))
    torch.manual_seed(0)
    bundle = Bundle(Path("model"), DistMult(8, 4, dim=4).eval(), dataset, {}, 1.0, {}, {}, {"files": {}})
    asked = Predictor(bundle, Knowledge.of_model(bundle))
    bare, page = (asked.complete(1000, types="off", order=order) for order in ("probability", "page"))
    assert ("e5", "s", "e6") in {each.names for each in bare} and bare.restated == 0
    assert ("e5", "s", "e6") not in {each.names for each in page} and page.restated >= 1
    last = [each.note is not None or (each.names[1] == "range" and each.names[0] != "e0") for each in page]
    assert last == sorted(last) and 0 < sum(last) < len(last)
    assert {each.predicate for each, late in zip(page, last, strict=True) if late} == {"q", RDFS + "range"}
