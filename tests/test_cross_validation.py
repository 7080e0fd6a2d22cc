"""Other splits of a small graph, and what is trained on them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from commands import done, run
from tabled import Tabled
from torch.optim import Adagrad

from kg import bundle as bundles
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.probability.fitting import Said, _Fit, _Model
from kg.progress import SILENT
from kg.training.cross_validation import of_other_splits
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

pytestmark = pytest.mark.cross_validated
EPOCHS, BEST = 9, 8


def dataset(num_valid: int) -> Dataset:
    """12 entities, each r0 and r1 of the four next ones: 96 facts, the last 5 of them test, as many as that valid."""
    rows = [(h, r, (h + step) % 12) for h in range(12) for r in range(2) for step in range(1, 5)]
    facts = torch.tensor(rows)[torch.randperm(96, generator=torch.Generator().manual_seed(0))]
    names = Vocabulary([f"e{i}" for i in range(12)], ["r0", "r1"])
    given = facts[: 91 - num_valid], facts[91 - num_valid : 91], facts[91:]
    return Dataset(*given, names)


def bundle(folder: Path, data: Dataset, descent: GradientDescent) -> Bundle:
    """A model whose eighth epoch of nine was the best, as if trained."""
    run = Run(partial(ComplEx, dim=4), descent)
    weights = ComplEx(12, 2, dim=4).state_dict()
    metrics = {"valid": None, "finished": True, "epochs": EPOCHS, "best_epoch": BEST, "history": []}
    bundles.save(folder, dataset=data, run=run.to_json(), weights=weights, state={}, metrics=metrics)
    return Bundle.load(folder)


DESCENT = GradientDescent(partial(Adagrad, lr=1.0), valid_every=1, epochs=EPOCHS, batch_size=16)


def as_set(facts: torch.Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, facts.tolist()))


def test_other_facts_are_held_out_each_time_and_test_never_trains(tmp_path: Path) -> None:
    data = dataset(num_valid=8)
    found = of_other_splits(bundle(tmp_path / "m", data, DESCENT))
    assert len(found) == 4
    for scorer, split in found:
        assert len(split.valid) == 8 and torch.equal(split.test, data.test)
        assert as_set(split.train) | as_set(split.valid) == as_set(data.train) | as_set(data.valid)
        assert not as_set(split.train) & as_set(split.valid)
        assert set(split.train[:, [0, 2]].flatten().tolist()) == set(range(12))
        assert not scorer.training
    assert len({frozenset(as_set(split.valid)) for _, split in found}) == 4


def test_they_are_trained_as_long_as_was_best_and_choose_nothing_by_what_they_are_measured_on(tmp_path: Path) -> None:
    given = bundle(tmp_path / "m", dataset(num_valid=8), DESCENT)
    for scorer, split in of_other_splits(given):
        run = Run(partial(ComplEx, dim=4), replace(DESCENT, epochs=BEST))
        by_hand = run.trainer(replace(split, valid=split.valid[:0]))
        for _ in by_hand:
            pass
        assert all(torch.equal(value, by_hand.scorer.state_dict()[name]) for name, value in scorer.state_dict().items())


def test_not_where_enough_was_held_out_or_nothing(tmp_path: Path) -> None:
    assert of_other_splits(bundle(tmp_path / "0", dataset(num_valid=0), DESCENT)) == []
    assert len(of_other_splits(bundle(tmp_path / "49", dataset(num_valid=49), DESCENT))) == 4
    assert of_other_splits(bundle(tmp_path / "50", dataset(num_valid=50), DESCENT)) == []


def test_not_of_a_model_that_began_with_others(tmp_path: Path) -> None:
    """Its base has seen what another split would hold out."""
    assert of_other_splits(bundle(tmp_path / "m", dataset(num_valid=8), replace(DESCENT, base="before"))) == []


def test_each_model_speaks_of_its_own_facts_and_all_count_the_same() -> None:
    first, second = dataset(num_valid=8), dataset(num_valid=20)
    score = torch.rand(4, 12, 12, generator=torch.Generator().manual_seed(0))
    models = [_Model(Tabled(score + shift), data, None) for shift, data in ((0.0, first), (7.0, second))]
    fit = _Fit(models, 0, Said.nothing(), SILENT)
    assert fit.pooled.is_true.sum() == 28
    sizes = [each.eligible.num_candidates - 2 * 12 - len(each.dataset.train) for each in models]  # none with itself
    assert fit.pooled.size == pytest.approx(sum(sizes) / 2)
    by_second = fit.pooled.features[:, 0] > 3
    assert as_set(fit.pooled.hrt[by_second & fit.pooled.is_true]) == as_set(second.valid)
    assert as_set(fit.pooled.hrt[~by_second & fit.pooled.is_true]) == as_set(first.valid)


def test_a_small_graph_is_told_how_well_it_does_without_others_of_its_facts(tmp_path: Path) -> None:
    lines = [f"e{h}\tr{r}\te{(h + step) % 12}" for h in range(12) for r in range(2) for step in range(1, 5)]
    (tmp_path / "facts.tsv").write_text("\n".join(lines) + "\n")
    done("load", str(tmp_path / "s.kg"), str(tmp_path / "facts.tsv"))
    trained = run("train", str(tmp_path / "s.kg"), str(tmp_path / "m"), "--epochs", "2")
    assert trained.code == 0 and "without others of its facts, 4 times: MRR" in " ".join(trained.stderr.split())
