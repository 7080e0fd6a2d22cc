"""Calibration on what people decided: kg.probability.fitting and kg.api.said_of."""

from pathlib import Path

import pytest
import torch
from commands import done

from kg.api import said_of
from kg.bundle import Bundle
from kg.decisions.journal import Decision, Journal
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.probability import candidate_sample, fitting
from kg.probability.fact_logits import FactLogits
from kg.probability.fitting import Said, fit_calibration
from kg.probability.query_scores import QueryScores
from kg.progress import SILENT
from kg.query.predictor import Predictor
from kg.query.review import fact_of
from kg.search.eligibility import Eligibility
from kg.store.store import Store


def world() -> tuple[DistMult, Dataset]:
    """Forty entities of one relation, and a scorer whose scores say something of held-out facts."""
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(40, 4, generator=generator)
    truth = (vectors @ vectors.T + torch.randn(40, 40, generator=generator)).triu(1)
    facts = truth.flatten().topk(240).indices
    rows = torch.stack([facts // 40, torch.zeros_like(facts), facts % 40], 1)
    rows = rows[torch.randperm(len(rows), generator=generator)]
    names = Vocabulary([f"e{i}" for i in range(40)], ["likes"])
    scorer = DistMult(40, 1, dim=4).eval()
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter.copy_(vectors if parameter.shape[0] == 40 else torch.ones_like(parameter))
    return scorer, Dataset(rows[:140], rows[140:190], rows[190:], names)


def mean_probability(scorer: DistMult, data: Dataset, hrt: torch.Tensor, said: Said | None) -> float:
    found = fit_calibration(scorer, data, 1.0, said=said)
    assert found is not None
    scores = QueryScores.of_training(scorer, data, 1.0)
    return float(found.probabilities(FactLogits(scores, found).of_facts(hrt)).mean())


def test_what_people_say_moves_the_probabilities() -> None:
    """Half of the most plausible new facts. Accepted, they are false no more: more is said of such. Rejected, they are
    as false as they counted before, since all candidates are looked at."""
    scorer, data = world()
    known = data.known("train", "valid", "test")
    every = torch.cartesian_prod(torch.arange(40), torch.tensor([0]), torch.arange(40))
    new = every[~known.contains(*every.T.contiguous()) & (every[:, 0] != every[:, 2])]
    vectors = scorer.entities(data.graph()).detach()
    best = new[(vectors[new[:, 0]] * vectors[new[:, 2]]).sum(1).topk(60).indices]
    none = torch.zeros(0, 3, dtype=torch.long)
    before = mean_probability(scorer, data, best, None)
    assert before == mean_probability(scorer, data, best, Said.nothing())
    rejected = mean_probability(scorer, data, best, Said(none, best[::2]))
    accepted = mean_probability(scorer, data, best, Said(best[::2], none))
    assert rejected == before < accepted


def test_where_few_are_drawn_all_that_was_rejected_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each for itself alone, and false; what was accepted is no candidate."""
    monkeypatch.setattr(candidate_sample, "_ALL", 0)
    monkeypatch.setattr(fitting, "_ROWS", 100)
    scorer, data = world()
    known, every = data.known("train", "valid", "test"), torch.cartesian_prod(*[torch.arange(40)] * 2)
    pairs = torch.stack([every[:, 0], torch.zeros(len(every), dtype=torch.long), every[:, 1]], 1)
    eligible = Eligibility.of_training(data, "train")
    new = pairs[~known.contains(*pairs.T.contiguous()) & eligible.are_candidates(pairs)]
    said = Said(accepted=new[:50], rejected=new[50:150])
    fit = fitting._Fit([fitting._Model(scorer, data, 1.0)], 0, said, SILENT)
    weight = {tuple(fact): each for fact, each in zip(fit.pooled.hrt.tolist(), fit.pooled.weight.tolist(), strict=True)}
    true = {tuple(fact) for fact in fit.pooled.hrt[fit.pooled.is_true].tolist()}
    rejected = set(map(tuple, said.rejected.tolist()))
    assert {weight.get(fact) for fact in rejected} == {1.0} and not true & rejected
    assert not weight.keys() & set(map(tuple, said.accepted.tolist()))


def test_a_model_is_calibrated_on_the_decisions_in_its_store(
    country_store: Path, country_model: Path, tmp_path: Path
) -> None:
    with Store(country_store) as opened, Store(tmp_path / "graph.kg", create=True) as made:
        made.add(opened.match())
    done("train", tmp_path / "graph.kg", tmp_path / "model", "--dim", 8, "--epochs", 3)
    bundle = Bundle.load(tmp_path / "model")
    assert not len(said_of(bundle).accepted)
    first, second, third = list(Predictor.load(tmp_path / "model").complete(3, order="probability"))
    (known,) = Bundle.load(tmp_path / "model").dataset.valid[:1].tolist()
    names = bundle.dataset.vocabulary
    stated = names.entities[known[0]], names.relations[known[1]], names.entities[known[2]]
    journal = Journal(tmp_path / "graph.kg")
    journal.append([Decision(str(i), *fact, "accept", "Ann") for i, fact in enumerate((fact_of(first), stated))])
    journal.append([Decision(f"x{i}", *fact_of(each), "reject", "Ann") for i, each in enumerate((second, third))])
    said = said_of(bundle)
    assert len(said.accepted) == 1 and len(said.rejected) == 2  # a fact that was held out is no news
    assert "and 3 that people decided on" in done("calibrate", tmp_path / "model")
