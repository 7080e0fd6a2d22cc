"""The best facts of one entity by bounds: against every candidate looked at one by one (see test_discovery)."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from test_discovery import N, R, asked, data, logits, predictor, same_as_by_hand
from test_models import Largest
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.known import KnownAnswers
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.probability import entity_bounds
from kg.probability.calibration import Calibration
from kg.probability.fact_logits import FactLogits
from kg.query.predictor import Predictor
from kg.search import one_entity
from kg.search.discovery import Search, best_new_facts

BILINEAR = ["complex", "complex-tied", "distmult", "rescal", "rescal-tied"]
QUESTIONS = list(range(2 * R))
# Both normalisers lower a logit; that of one question raises it; both do.
WEIGHTS: dict[str, dict[str, float]] = {
    "both lower": {"forward_log_softmax": 0.7, "backward_log_softmax": 0.4},
    "forward raises": {"forward_log_softmax": -0.3, "backward_log_softmax": 0.4},
    "backward raises": {"forward_log_softmax": 0.2, "backward_log_softmax": -0.6},
    "both raise": {"forward_log_softmax": -0.2, "backward_log_softmax": -0.3},
}
OTHERS = {"constant": -3.0, "mean_score": 1.5, "forward_log_known": 0.8, "backward_log_known": -0.4}
OTHERS |= {"forward_any_known": -1.0, "backward_any_known": 0.6}


def weighted(kind: str, which: str) -> Predictor:
    given = predictor(kind)
    stored = Calibration.shared(R, OTHERS | WEIGHTS[which]).to_json()
    return Predictor(replace(given.bundle, calibration=stored), given.knowledge)


def of_entity(entity: int) -> Tensor:
    """Every fact that answers a question, in the order of `Bounds`: (N, 2 R, 3)."""
    rows = [[[entity, q, other] if q < R else [other, q - R, entity] for q in QUESTIONS] for other in range(N)]
    return torch.tensor(rows)


@pytest.mark.parametrize("kind", BILINEAR)
@pytest.mark.parametrize("which", WEIGHTS)
def test_no_logit_is_above_its_bound(kind: str, which: str) -> None:
    """And bounds are for answers whose own normaliser does not raise a logit, and for all of those."""
    given, weights = weighted(kind, which), WEIGHTS[which]
    lower = {0: weights["backward_log_softmax"] >= 0, 1: weights["forward_log_softmax"] >= 0}
    expected = [q for q in QUESTIONS if lower[q // R]]
    for entity in (0, 3, N - 1):
        bounds = given.plausibility.logits.bounds(entity, QUESTIONS)
        assert list(bounds.questions if bounds else []) == expected
        if bounds:
            upper = torch.cat([bounds.of(slice(0, 7)), bounds.of(slice(7, N))])
            exact = given.plausibility.logits.of_facts(of_entity(entity).view(-1, 3)).view(N, 2 * R)[:, expected]
            assert bool((upper >= exact).all())
            assert bool((upper < exact + 20).all())  # they say something


def test_a_bound_is_the_logit_where_a_question_has_one_known_answer() -> None:
    """Or none: then Jensen's inequality is an equality."""
    facts = torch.tensor([[0, 0, 1], [2, 1, 3]])
    names = Vocabulary([f"e{i}" for i in range(5)], ["r0", "r1", "r2"])
    torch.manual_seed(0)
    given = asked(ComplEx(5, 3, dim=3, init=1.0), Dataset(facts, facts[:0], facts[:0], names), calibrated=False)
    found = FactLogits(given.plausibility.query_scores, Calibration.shared(3, OTHERS | WEIGHTS["both lower"]))
    bounds = found.bounds(4, [0, 1, 2, 3, 5])
    assert bounds is not None
    exact = [found.of_facts(torch.tensor([[4, r, t] for t in range(5)])) for r in (0, 1, 2)]
    exact += [found.of_facts(torch.tensor([[h, r, 4] for h in range(5)])) for r in (0, 2)]
    upper, logits_of = bounds.of(slice(0, 5)), torch.stack(exact, 1)
    assert bool((upper >= logits_of).all()) and torch.allclose(upper, logits_of, atol=5e-3)


def test_where_a_score_may_be_cut_off_there_is_no_bound() -> None:
    """Scores below -100 are told as -100: then a logit may be above its bound."""
    torch.manual_seed(0)
    scorer = ComplEx(N, R, dim=4, init=1.0)
    with torch.no_grad():
        scorer.table.weight[5] *= 12
    logits_of = asked(scorer, data(), calibrated=False).plausibility.logits
    assert logits_of.bounds(5, QUESTIONS) is None
    bounds = logits_of.bounds(4, QUESTIONS)
    assert bounds is not None and 0 < len(bounds.questions) < len(QUESTIONS)
    for question in set(QUESTIONS) - set(bounds.questions):  # another is only where it has to be
        there, back = (scorer.bilinear_form(q) for q in (question, (question + R) % (2 * R)))
        own, longest = scorer.table.weight[4], scorer.table.weight.norm(dim=1).max()
        assert longest * max((own @ there).norm(), (back @ own).norm()) / 1.3 > 99


def test_known_answers_without_a_vector_give_no_bound() -> None:
    """All known answers of r2's inverse came after training."""
    before = predictor(calibrated=False)
    names = Vocabulary([*before.knowledge.vocabulary.entities, "new"], before.knowledge.vocabulary.relations)
    others = before.knowledge.facts[before.knowledge.facts[:, 1] != 2]
    grown = type(before.knowledge).of_facts(
        names, torch.cat([others, torch.tensor([[N, 2, 1]])]), before.knowledge.schema, "these"
    )
    later = Predictor(before.bundle, grown)
    bounds = later.plausibility.logits.bounds(3, QUESTIONS)
    assert bounds is not None and list(bounds.questions) == [0, 1, 3, 4, 5]
    same_as_by_hand(later, Search(top=500, entity=3, types="off"))


@pytest.mark.parametrize("kind", BILINEAR)
@pytest.mark.parametrize("which", [*WEIGHTS, "log softmax"])
def test_the_best_of_an_entity(kind: str, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly more logits first than are wanted, and the others in small parts."""
    for name, value in (("_MORE", -5), ("_ROWS", 5), ("_AT_ONCE", 3)):
        monkeypatch.setattr(one_entity, name, value)
    given = predictor(kind, calibrated=False) if which == "log softmax" else weighted(kind, which)
    same_as_without_bounds(given, Search(top=5, entity=3, types="off"))
    same_as_without_bounds(given, Search(top=5, entity=0, relations=(2, 0), types="off"))


@pytest.mark.parametrize("types", ["observed", "declared"])
@pytest.mark.parametrize("top", [5, 500])
def test_the_best_of_an_entity_by_types(types: Any, top: int) -> None:
    for which in WEIGHTS:
        same_as_without_bounds(weighted("complex", which), Search(top=top, entity=3, types=types))


def same_as_without_bounds(given: Predictor, search: Search, floor: float = -torch.inf) -> None:
    """The same logits, and of those above the last one the same facts: of equal ones any may be among the best."""
    parts = search, given.plausibility.logits, given.plausibility.eligible, floor
    best = best_new_facts(*parts)
    found, values = best.hrt, best.logits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FactLogits, "bounds", lambda *_: None)
        other = best_new_facts(*parts)
        expected, known_values = other.hrt, other.logits
    assert values.sort().values.tolist() == pytest.approx(known_values.sort().values.tolist(), abs=1e-4)
    last = known_values.min().item() + 1e-3 if len(known_values) == search.top else -torch.inf
    above, known_above = found[values > last], expected[known_values > last]
    assert {tuple(each) for each in above.tolist()} == {tuple(each) for each in known_above.tolist()}
    assert len(torch.unique(found, dim=0)) == len(found)


@pytest.mark.parametrize("kind", ["complex", "rescal-tied"])
def test_against_every_candidate_one_by_one(kind: str) -> None:
    for entity in (0, N - 1):
        same_as_by_hand(predictor(kind, calibrated=False), Search(top=40, entity=entity, types="observed"))


def test_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities that are the same to the scorer: of those that tie at the end as many as are wanted, each once."""
    monkeypatch.setattr(one_entity, "_MORE", 0)
    monkeypatch.setattr(one_entity, "_AT_ONCE", 2)
    torch.manual_seed(2)
    scorer = ComplEx(N, R, dim=4, init=1.0)
    with torch.no_grad():
        scorer.table.weight[1:] = scorer.table.weight[1]
    given = asked(scorer, data(facts=40), calibrated=False)
    for top in (1, 2, 7, 20):
        same_as_without_bounds(given, Search(top=top, entity=0, types="off"))
    with torch.no_grad():
        scorer.table.weight.zero_()
    same_as_without_bounds(asked(scorer, data(facts=40), calibrated=False), Search(top=7, entity=0, types="off"))


def test_no_more_probable_than_the_floor() -> None:
    given = weighted("complex", "both lower")
    values = given.plausibility.logits.of_facts(of_entity(3).view(-1, 3)).sort().values
    for lower, upper in ((5, 6), (-20, -19), (-2, -1)):
        floor = values[[lower, upper]].mean().item()
        same_as_without_bounds(given, Search(top=500, entity=3, types="off"), floor)


def test_what_is_withheld_is_left_out() -> None:
    given = predictor()
    stored = replace(Calibration.shared(R, OTHERS | WEIGHTS["both lower"]), withheld=(1,)).to_json()
    found = Predictor(replace(given.bundle, calibration=stored), given.knowledge).complete(500, entity="e3")
    assert {each.predicate for each in found} == {"r0", "r2"}


def test_what_the_policy_does_not_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entity itself is in any case; facts that follow, or were rejected, are not."""
    given = predictor()
    eligible = given.plausibility.eligible
    entailed = KnownAnswers.from_triples(torch.tensor([[3, 0, 5], [6, 2, 3], [1, 1, 2]]), R)
    rejected = KnownAnswers.from_triples(torch.tensor([[3, 0, 7], [8, 2, 3], [3, 1, 9]]), R)
    offered = torch.ones(N, dtype=torch.bool)
    offered[[3, 4]] = False
    policy = type(eligible.policy)(offered, eligible.policy.relations, entailed, rejected=rejected)
    monkeypatch.setattr(eligible, "policy", policy)
    for which in WEIGHTS:
        other = weighted("complex", which)
        monkeypatch.setattr(other.plausibility.eligible, "policy", policy)
        for entity in (3, 5):
            same_as_without_bounds(other, Search(top=1000, entity=entity, types="off"))
            search = Search(entity=entity, types="off")
            best = best_new_facts(search, other.plausibility.logits, other.plausibility.eligible)
            assert all(4 not in (head, tail) for head, _, tail in best.hrt.tolist())


def test_what_is_found_has_the_logits_that_its_facts_have() -> None:
    """Of other scorers, and of searches without an entity, too."""
    for kind in ("complex", "rescal-tied", "transe"):
        given = predictor(kind)
        for search in (Search(top=30, types="off"), Search(top=30, entity=3, types="off")):
            best = best_new_facts(search, given.plausibility.logits, given.plausibility.eligible)
            found, values = best.hrt, best.logits
            assert values.tolist() == pytest.approx(logits(given, found), abs=1e-5)


def test_few_logits_are_computed_where_bounds_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    given, counted = predictor("complex", calibrated=False), []
    real = FactLogits.of_facts
    monkeypatch.setattr(FactLogits, "of_facts", lambda self, hrt: (counted.append(len(hrt)), real(self, hrt))[1])
    for name, value in (("_MORE", 2), ("_AT_ONCE", 2)):
        monkeypatch.setattr(one_entity, name, value)
    best_new_facts(Search(top=1, entity=3, types="off"), given.plausibility.logits, given.plausibility.eligible)
    assert 3 <= sum(counted) < R * N


def test_no_matrix_of_all_entities_and_relations(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (one_entity, entity_bounds):
        monkeypatch.setattr(module, "_ROWS", 16)
    monkeypatch.setattr(one_entity, "_MORE", 10)
    generator = torch.Generator().manual_seed(0)
    facts = torch.stack([torch.randint(0, top, (600,), generator=generator) for top in (400, 20, 400)], 1)
    names = Vocabulary([f"e{i}" for i in range(400)], [f"r{i}" for i in range(20)])
    given = asked(ComplEx(400, 20, dim=2), Dataset(facts, facts[:0], facts[:0], names), calibrated=False)
    eligible = given.plausibility.eligible
    assert eligible.observed and len(given.plausibility.query_scores.known.tails_of_relations) == 2
    with Largest() as largest:
        best_new_facts(Search(top=20, entity=3), given.plausibility.logits, eligible)
    assert largest.numel < 400 * 20
