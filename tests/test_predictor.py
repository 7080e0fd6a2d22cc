"""Questions in terms, answers in terms: what is known, what is new, and where that was read."""

import math
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.from_store import dataset_from_store
from kg.graph.vocabulary import Vocabulary
from kg.models import SCORERS, scorer_class
from kg.models.complex import ComplEx
from kg.probability.calibration import Calibration
from kg.probability.features import FEATURES
from kg.query.knowledge import Knowledge
from kg.query.pattern import parse
from kg.query.predictor import Predictor
from kg.store.store import Store

EX = "http://example.org/"
TURTLE = """
@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:a ex:likes ex:b, ex:c ; rdfs:label "Ann" .
ex:b ex:likes ex:a ; rdfs:label "Ben" .
ex:c ex:likes ex:c .
ex:a ex:knows ex:b . ex:b ex:knows ex:c .
"""
#                    Ann             Ben             c
HEADS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "graph.ttl").write_text(TURTLE)
    with Store(tmp_path / "graph.kg", create=True) as store:
        store.load(tmp_path / "graph.ttl")
    return tmp_path / "graph.kg"


def with_store(bundle: Bundle, store: Store) -> Predictor:
    return Predictor(bundle, Knowledge.of_store(bundle, store))


def predictor(store: Path, like: float = 1.0, entity_dropout: float = 0.0) -> Predictor:
    """A ComplEx of three real dimensions, one an entity: score(h, r, t) = `like` * weight of r where h is t, else 0."""
    with Store(store) as opened:
        dataset = dataset_from_store(opened, valid=0, test=0)
    scorer = ComplEx(3, 2, dim=3, entity_dropout=entity_dropout)
    with torch.no_grad():
        scorer.table.weight.copy_(torch.cat([HEADS, torch.zeros(3, 3)], 1))
        scorer.diagonal.weight.copy_(torch.cat([like * torch.ones(4, 3), torch.zeros(4, 3)], 1))
    bundle = Bundle(store, scorer.eval(), dataset, {}, 1.0, {}, {}, {})
    with Store(store) as opened:
        return with_store(bundle, opened)


def test_tails_known_and_new(store: Path) -> None:
    found = predictor(store).ask(parse("(Ann, likes, ?)"))
    assert {each.object: each.known for each in found} == {EX + "a": False, EX + "b": True, EX + "c": True}
    assert found[0].object == EX + "a" and found[0].score == 1  # likes has a loop, so Ann herself is a candidate
    assert [each.rank for each in found] == [1, 2, 3]


def test_an_entity_is_no_candidate_for_itself_where_no_fact_is_like_that(store: Path) -> None:
    found = predictor(store).tails("Ann", "knows")
    assert [each.object for each in found] == [EX + "b", EX + "c"]


def test_new_only(store: Path) -> None:
    found = predictor(store).tails("Ann", "knows", new_only=True)
    assert [(each.object, each.rank, each.known) for each in found] == [(EX + "c", 1, False)]


def test_heads_are_asked_by_the_inverse(store: Path) -> None:
    found = predictor(store).heads("likes", "c")
    assert found[0].subject == EX + "c" and found[0].known
    assert {each.subject: each.known for each in found} == {EX + "a": True, EX + "b": False, EX + "c": True}
    assert all(each.object == EX + "c" for each in found)


def test_relations_and_score(store: Path) -> None:
    asked = predictor(store, like=2.0)
    found = [(each.predicate, each.score, each.known) for each in asked.relations("Ann", "Ann")]
    assert found == [(EX + "likes", 2.0, False)]  # knows has no loop
    assert asked.score("Ann", "likes", "Ann") == 2 and asked.score("Ann", "likes", "Ben") == 0
    known = {each.predicate for each in asked.relations("Ann", "Ben") if each.known}
    assert known == {EX + "likes", EX + "knows"}


def test_relations_are_asked_in_the_direction_of_the_fact(store: Path) -> None:
    """With rows and weights drawn at random, no fact scores as it does turned round."""
    asked = drawn(predictor(store))
    for subject, object_ in (("Ann", "Ben"), ("Ben", "Ann"), ("c", "Ann")):
        found = {each.predicate: each.score for each in asked.relations(subject, object_)}
        assert found == {term: pytest.approx(asked.score(subject, term, object_), rel=1e-5) for term in found}
        assert len({*found.values(), *(asked.score(object_, term, subject) for term in found)}) == 4


def drawn(asked: Predictor) -> Predictor:
    """Of a scorer drawn at random, whose inverses have weights of their own."""
    torch.manual_seed(0)
    return changed_model(asked, scorer=ComplEx(3, 2, dim=3, init=1.0).eval())


def test_what_the_store_learned_later(store: Path, tmp_path: Path) -> None:
    before = predictor(store)
    (tmp_path / "more.ttl").write_text(TURTLE + "ex:b ex:likes ex:new . ex:b ex:hates ex:a . ex:a ex:knows ex:c .")
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        after = with_store(before.bundle, opened)
    assert after.knowledge.facts_left_out == 1  # hates was not trained
    assert [each.known for each in after.tails("Ann", "knows")] == [True, True, False]  # and the new one
    ranked = after.tails("Ben", "likes", top=10)
    assert ranked[-1].object == EX + "new" and ranked[-1].known  # no vector: it ties last
    with pytest.raises(UserError, match="no vector"):
        after.tails("new", "likes")


def test_a_store_of_other_relations(store: Path, tmp_path: Path) -> None:
    """As that of a model trained on a folder, whose names are no IRIs: all that it knows would be told as new."""
    bundle = predictor(store).bundle
    (tmp_path / "other.ttl").write_text("<urn:a> <urn:knows> <urn:b> .")
    with Store(tmp_path / "other.kg", create=True) as other:
        Knowledge.of_store(bundle, other)  # without facts there is nothing to mistake
        other.load(tmp_path / "other.ttl")
        with pytest.raises(UserError, match=r"no fact of a relation that .* was trained with; it has <urn:knows>"):
            Knowledge.of_store(bundle, other)


def test_a_store_that_does_not_open_any_more(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = predictor(store).bundle
    with Store(store) as opened:
        bundle = replace(bundle, manifest={"store": {"id": opened.id, "path": "."}})  # its path is the store's here
    monkeypatch.setattr(Bundle, "load", lambda path, device: bundle)
    assert Predictor.load("m").knowledge.facts_from.startswith("the store ")
    (store / "1" / "manifest.json").write_text("{}")
    assert "own copy" in Predictor.load("m").knowledge.facts_from
    with pytest.raises(UserError, match="lists no files"):
        Predictor.load("m", store)


def test_known_facts_are_read_as_the_training_facts_were(tmp_path: Path) -> None:
    restriction = "[ a owl:Restriction ; owl:onProperty ex:eats ; owl:someValuesFrom ex:Plant ]"
    (tmp_path / "zoo.trig").write_text(
        "@prefix ex: <http://example.org/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .\n"
        "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        f"ex:one {{ ex:Cow rdfs:subClassOf {restriction} ; ex:fears ex:Dog }} ex:two {{ ex:Dog ex:fears ex:Cow }}"
    )
    with Store(tmp_path / "zoo.kg", create=True) as opened:
        opened.load(tmp_path / "zoo.trig")
        dataset = dataset_from_store(opened, graphs=[EX + "one"], valid=0, test=0, restrictions=True)
        assert set(dataset.vocabulary.relations) == {EX + "eats", EX + "fears"} and len(dataset.train) == 2
        scorer = ComplEx(dataset.num_entities, dataset.num_relations, dim=3)
        asked = with_store(Bundle(tmp_path, scorer, dataset, {}, 1.0, {}, {}, {}), opened)
    assert [each.known for each in asked.tails("Cow", "eats", top=2)].count(True) == 1  # a restriction is a fact
    assert not any(each.known for each in asked.tails("Dog", "fears"))  # that one is in the other graph


def test_top_must_be_positive(store: Path) -> None:
    with pytest.raises(UserError, match="top must be at least 1: got 0"):
        predictor(store).tails("Ann", "likes", top=0)


# How probable they are


def calibrated(store: Path, **changed: Any) -> Predictor:
    """Of `predictor`: logit 2 + 3 times the mean of both scores, - 1 where a value is known already."""
    asked = predictor(store, **changed)
    weights = {"constant": 2.0, "mean_score": 3.0, "forward_any_known": -1.0}
    return changed_model(asked, calibration=Calibration.shared(2, weights).to_json())


def changed_model(asked: Predictor, **changed: Any) -> Predictor:
    return Predictor(replace(asked.bundle, **changed), asked.knowledge)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_probabilities_by_hand(store: Path) -> None:
    """score(h, r, t) is 1 where h is t; everyone likes somebody already, and c alone knows nobody."""
    asked = calibrated(store)
    likes, ids = asked.knowledge.vocabulary.relation_ids[EX + "likes"], asked.knowledge.vocabulary.entity_ids
    knows = asked.knowledge.vocabulary.relation_ids[EX + "knows"]
    a, b, c = (ids[EX + name] for name in "abc")
    facts = {(a, likes, a): 4, (a, likes, b): 1, (c, knows, a): 2, (b, knows, a): 1, (c, knows, c): 5}
    found = asked.plausibility.of_facts(torch.tensor(list(facts)))
    assert found.tolist() == pytest.approx([sigmoid(logit) for logit in facts.values()])
    turned = asked.plausibility.of_facts(torch.tensor([(t, r + 2, h) for h, r, t in facts]))
    assert turned.tolist() == found.tolist()
    assert asked.plausibility.of_facts(torch.zeros(0, 3, dtype=torch.long)).tolist() == []
    heads, relations = torch.tensor([a, c, a, a]), torch.tensor([likes, knows, knows + 2, likes])
    rows = asked.plausibility.of_answers(heads, relations)
    for row, (head, relation) in enumerate(zip(heads.tolist(), relations.tolist(), strict=True)):
        one_by_one = asked.plausibility.of_facts(torch.tensor([(head, relation, tail) for tail in range(3)]))
        assert rows[row].tolist() == pytest.approx(one_by_one.tolist())
    assert torch.equal(asked.plausibility.of_answers(heads, relations), rows)  # by what was kept of the first time


def test_answers_have_the_probabilities_of_their_facts(store: Path) -> None:
    """Of every question in both directions, where each feature has a weight of its own, asked one way and the other."""
    weights = {name: 0.1 + place / 7 for place, name in enumerate(("constant", *FEATURES))}
    asked = changed_model(drawn(predictor(store)), calibration=Calibration.shared(2, weights).to_json())
    for relation in (0, 2, 1, 3):
        rows = asked.plausibility.of_answers(torch.arange(3), torch.full((3,), relation))
        facts = torch.cartesian_prod(torch.arange(3), torch.tensor([relation]), torch.arange(3))
        assert rows.flatten().tolist() == pytest.approx(asked.plausibility.of_facts(facts).tolist(), rel=1e-5)


def test_ask_tells_probabilities(store: Path) -> None:
    asked = calibrated(store)
    for pattern in ("(Ann, likes, ?)", "(?, likes, c)", "(Ann, ?, Ben)"):
        found = asked.ask(parse(pattern))
        assert len(found) > 1
        for each in found:
            ids = [asked.knowledge.vocabulary.entity_ids[term] for term in (each.subject, each.object)]
            fact = torch.tensor([[ids[0], asked.knowledge.vocabulary.relation_ids[each.predicate], ids[1]]])
            assert each.probability == pytest.approx(asked.plausibility.of_facts(fact).item())
    assert {each.probability for each in predictor(store).ask(parse("(Ann, likes, ?)"))} == {None}


def test_several_patterns_at_once(store: Path) -> None:
    asked = calibrated(store)
    patterns = [parse(text) for text in ("(Ann, likes, ?)", "(Ann, ?, Ben)", "(?, knows, c)", "(Ben, likes, ?)")]
    assert asked.ask_all(patterns, top=2) == [asked.ask(pattern, top=2) for pattern in patterns]
    new = asked.ask_all(patterns, new_only=True)
    assert [len(each) for each in new] == [1, 0, 1, 2] and not any(one.known for each in new for one in each)
    assert asked.ask_all([]) == []


def test_the_least_logit_of_a_probability(store: Path) -> None:
    asked = calibrated(store)
    lowest = asked.plausibility.lowest_logit
    assert lowest(0.0) == -math.inf
    assert lowest(0.9) == pytest.approx(math.log(9), abs=1e-3) and lowest(0.9) < math.log(9)
    steps = replace(Calibration.shared(2, {}), shape="isotonic", knots=((-1.0, 1.0), (0.1, 0.5)))
    lowest = changed_model(asked, calibration=steps.to_json()).plausibility.lowest_logit
    assert lowest(0.3) == pytest.approx(0, abs=1e-3)
    assert lowest(0.05) < -1 and lowest(0.6) > 1000


def test_a_model_that_tells_no_probabilities(store: Path) -> None:
    asked, fact = predictor(store), torch.tensor([[0, 0, 1]])
    for question in (
        lambda: asked.plausibility.of_facts(fact),
        lambda: asked.plausibility.of_answers(fact[:, 0], fact[:, 1]),
        lambda: asked.complete(min_probability=0.1),
    ):
        with pytest.raises(UserError, match=r"gives no probabilities: it was trained without valid facts to fit"):
            question()
    assert {each.probability for each in asked.complete()} == {None}


def test_an_entity_that_came_later_has_no_probability(store: Path, tmp_path: Path) -> None:
    before = calibrated(store)
    (tmp_path / "more.ttl").write_text(TURTLE + "ex:b ex:likes ex:new .")
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        after = with_store(before.bundle, opened)
    with pytest.raises(UserError, match="cannot be asked about new, which came after its training"):
        after.complete(entity="new")
    new, likes = (
        after.knowledge.vocabulary.entity_ids[EX + "new"],
        after.knowledge.vocabulary.relation_ids[EX + "likes"],
    )
    for fact in ([0, likes, new], [new, likes, 0]):
        with pytest.raises(UserError, match="no vector"):
            after.plausibility.of_facts(torch.tensor([fact]))
    rows = after.plausibility.of_answers(torch.tensor([0]), torch.tensor([likes]))
    assert rows[0, new] == 0 and bool((rows[0, :3] > 0).all())
    told = {each.object: each.probability for each in after.tails("Ann", "likes")}
    assert told[EX + "new"] is None and all(told[EX + name] is not None for name in "abc") and len(told) == 4
    found = after.complete(types="off")
    assert len(found) and EX + "new" not in {each.object for each in found} | {each.subject for each in found}


def test_types_of_those_who_answer(store: Path, tmp_path: Path) -> None:
    (tmp_path / "more.ttl").write_text(
        TURTLE + "ex:likes rdfs:range ex:Person . ex:a a ex:Person . ex:b a ex:City . ex:c a ex:Person ."
        "ex:Person <http://www.w3.org/2002/07/owl#disjointWith> ex:City ."
    )
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        asked = with_store(calibrated(store).bundle, opened)
    assert [each.object for each in asked.tails("Ann", "likes", types="declared")] == [EX + "a", EX + "c"]
    assert len(asked.tails("Ann", "likes")) == len(asked.heads("likes", "Ann", types="declared")) == 3
    declared = asked.complete(types="declared")
    assert all(each.object != EX + "b" for each in declared if each.predicate == EX + "likes")
    assert any(each.object == EX + "b" for each in declared if each.predicate == EX + "knows")


def test_a_predicate_of_one_value(store: Path, tmp_path: Path) -> None:
    functional = 'ex:knows a <http://www.w3.org/2002/07/owl#FunctionalProperty> ; rdfs:label "knows" .'
    (tmp_path / "more.ttl").write_text(TURTLE + functional)
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        asked = with_store(calibrated(store).bundle, opened)
    said = "knows has one object for each subject, and Ben is known for Ann"
    assert {each.object: each.note for each in asked.tails("Ann", "knows")} == {EX + "b": None, EX + "c": said}
    notes = {each.subject: each.note for each in asked.heads("knows", "Ann")}
    assert notes == {EX + "b": "knows has one object for each subject, and c is known for Ben", EX + "c": None}
    assert {each.note for each in asked.tails("Ann", "likes")} == {None}
    between = {each.predicate: each.note for each in asked.relations("Ann", "c")}
    assert between == {EX + "likes": None, EX + "knows": said}
    found = {(each.subject, each.object): each.note for each in asked.complete(relations=["knows"], types="off")}
    assert found[EX + "a", EX + "c"] == said and found[EX + "c", EX + "a"] is None


# How sure the answers are


def test_uncertainty_by_hand(store: Path) -> None:
    """With dropout of a half, Ann's own dimension is there and names Ann, or is gone and leaves all three alike."""
    asked = predictor(store, like=1000.0, entity_dropout=0.5)
    draw = torch.Generator().manual_seed(3)
    kept = sum(torch.empty(1, 6).bernoulli_(0.5, generator=draw)[0, 0].item() for _ in range(10)) / 10
    assert 0 < kept < 1
    mean = [kept + (1 - kept) / 3, (1 - kept) / 3, (1 - kept) / 3]
    found = asked.uncertainty(parse("(Ann, likes, ?)"), samples=10, seed=3)
    assert found.aleatoric == pytest.approx((1 - kept) * math.log(3))
    assert found.epistemic == pytest.approx(-sum(p * math.log(p) for p in mean) - found.aleatoric)
    assert (found.samples, found.candidates) == (10, 3)
    assert found == asked.uncertainty(parse("(Ann, likes, ?)"), samples=10, seed=3)


def test_uncertainty_is_over_the_candidates_of_ask(store: Path) -> None:
    asked = predictor(store, like=1000.0, entity_dropout=0.5)
    found = asked.uncertainty(parse("(Ann, knows, ?)"))  # not herself: nothing knows itself; the others score 0
    assert found.aleatoric == pytest.approx(math.log(2)) and found.candidates == 2
    assert found.epistemic == pytest.approx(0, abs=1e-12)
    heads = asked.uncertainty(parse("(?, likes, c)"), samples=400)
    assert heads.candidates == 3 and heads.aleatoric == pytest.approx(math.log(3) / 2, rel=0.2)
    new = asked.uncertainty(parse("(Ann, likes, ?)"), new_only=True)  # only herself
    assert (new.aleatoric, new.epistemic, new.candidates) == (0, 0, 1)
    asked = changed_model(asked, temperature=1e6)
    flat = asked.uncertainty(parse("(Ann, likes, ?)"))
    assert flat.aleatoric == pytest.approx(math.log(3)) and flat.epistemic == pytest.approx(0, abs=1e-5)


def test_an_entity_without_a_vector_is_no_answer_in_any_sample(store: Path, tmp_path: Path) -> None:
    before = predictor(store, like=1000.0, entity_dropout=0.5)
    (tmp_path / "more.ttl").write_text(TURTLE + "ex:b ex:likes ex:new .")
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        after = with_store(replace(before.bundle, temperature=1e-3), opened)
    question = parse("(Ann, likes, ?)")
    old, new = before.uncertainty(question), after.uncertainty(question)
    assert new.candidates == 4 and (new.aleatoric, new.epistemic) == (old.aleatoric, old.epistemic)


def test_an_ensemble_by_hand(store: Path) -> None:
    first, second = predictor(store, like=1000.0), predictor(store, like=1000.0)
    with torch.no_grad():
        second.bundle.scorer.table.weight[:, :3] = HEADS
        second.bundle.scorer.diagonal.weight[:, :3] = -1000.0  # every other entity now, before one's own
    question = parse("(Ann, likes, ?)")
    found = first.ensemble_uncertainty(question, [second.bundle])
    # (1, 0, 0) and (0, 1/2, 1/2): the mean is (1/2, 1/4, 1/4).
    assert found.aleatoric == pytest.approx(math.log(2) / 2)
    assert found.epistemic == pytest.approx(1.5 * math.log(2) - found.aleatoric)
    assert found.samples == 2
    again = first.ensemble_uncertainty(question, [first.bundle])
    assert (again.aleatoric, again.epistemic) == (0, 0)
    names = second.bundle.dataset.vocabulary
    turned = replace(second.bundle.dataset, vocabulary=Vocabulary(names.entities[::-1], names.relations))
    with pytest.raises(UserError, match="other entities or relations"):
        first.ensemble_uncertainty(question, [replace(second.bundle, dataset=turned)])


def test_what_uncertainty_is_not_asked_of(store: Path, tmp_path: Path) -> None:
    asked = predictor(store, entity_dropout=0.5)
    with pytest.raises(UserError, match="predicate must be given"):
        asked.uncertainty(parse("(Ann, ?, Ben)"))
    with pytest.raises(UserError, match="at least 2 are needed, got 1"):
        asked.uncertainty(parse("(Ann, likes, ?)"), samples=1)
    (tmp_path / "more.ttl").write_text(TURTLE + "ex:a ex:knows ex:c .")
    with Store(store) as opened:
        opened.load(tmp_path / "more.ttl")
        full = with_store(asked.bundle, opened)
    with pytest.raises(UserError, match="no candidate is left"):
        full.uncertainty(parse("(Ann, knows, ?)"), new_only=True)
    with pytest.raises(UserError, match="trained without dropout"):
        predictor(store).uncertainty(parse("(Ann, likes, ?)"))
    asked.bundle.scorer.train()
    with pytest.raises(ValueError, match="in training"):
        asked.uncertainty(parse("(Ann, likes, ?)"))


@pytest.mark.parametrize("name", SCORERS)
def test_samples_leave_every_model_as_it_was(name: str, random_dataset: Dataset) -> None:
    torch.manual_seed(0)
    made = scorer_class(name)
    given = {argument: 0.3 for argument in signature(made).parameters if argument.endswith("dropout")}
    parts = {part: partial(scorer_class("complex"), dim=4) for part in ("own", "base")}
    several = {"parts": list(parts.values())}
    sizes = {key: each for key, each in {"dim": 16, **parts, **several}.items() if key in signature(made).parameters}
    scorer = made(50, 3, **sizes, **given).eval()
    bundle = Bundle(Path(name), scorer, random_dataset, {}, 1.0, {}, {}, {})
    known = Knowledge.of_facts(random_dataset.vocabulary, random_dataset.train, random_dataset.schema, "these")
    asked = Predictor(bundle, known)
    question = parse("(e1, r0, ?)")
    if not given:
        with pytest.raises(UserError, match="nothing to sample"):
            asked.uncertainty(question)
        return
    weights = {key: value.clone() for key, value in scorer.state_dict().items()}
    answers = asked.ask(question)
    first, other = (asked.uncertainty(question, samples=4, seed=seed) for seed in (0, 1))
    assert first.epistemic > 0 and first != other
    assert first == asked.uncertainty(question, samples=4)
    assert asked.ask(question) == answers
    assert all(torch.equal(weights[key], value) for key, value in scorer.state_dict().items())
