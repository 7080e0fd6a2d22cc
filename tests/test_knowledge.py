"""Knowledge of a model, of a store, and of a store that moved on: the same as if it were read from nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyoxigraph as ox
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, serialize

from kg import generations
from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.from_store import dataset_from_store
from kg.graph.names import Names
from kg.models.distmult import DistMult
from kg.namespaces import OWL, PREDICTIONS, RDF, RDFS, SKOS
from kg.query.change import Change
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor
from kg.store import facts as files
from kg.store.store import Store

EX = "http://example.org/"
ENTITIES = [NamedNode(EX + name) for name in "abcdefgh"] + [ox.BlankNode("i")]
RELATIONS = [NamedNode(EX + name) for name in ("likes", "knows", "unknown")]
GRAPHS: list[NamedNode | DefaultGraph] = [DefaultGraph(), NamedNode(EX + "one"), NamedNode(PREDICTIONS)]
FIRST = [
    Quad(ENTITIES[0], RELATIONS[0], ENTITIES[1]),
    Quad(ENTITIES[1], RELATIONS[1], ENTITIES[2], GRAPHS[1]),
    Quad(ENTITIES[2], RELATIONS[1], ENTITIES[2]),
    Quad(ENTITIES[5], RELATIONS[2], ENTITIES[6]),  # terms that become entities of the model's later
    Quad(ENTITIES[0], NamedNode(RDFS + "label"), Literal("Ann")),
]


def quads(draw: st.DrawFn) -> Quad:
    kind = draw(st.sampled_from(["fact", "fact", "fact", "label", "type", "schema"]))
    graph, subject = draw(st.sampled_from(GRAPHS)), draw(st.sampled_from(ENTITIES))
    if kind == "label":
        named = NamedNode(draw(st.sampled_from([RDFS + "label", SKOS + "prefLabel"])))
        return Quad(subject, named, Literal(draw(st.sampled_from(["Ann", "Ben", "ann"]))), graph)
    if kind == "type":
        wanted = draw(st.sampled_from([EX + "Person", OWL + "SymmetricProperty", OWL + "FunctionalProperty"]))
        return Quad(draw(st.sampled_from([subject, *RELATIONS])), NamedNode(RDF + "type"), NamedNode(wanted), graph)
    if kind == "schema":
        predicate = draw(st.sampled_from([RDFS + "domain", RDFS + "range", RDFS + "subClassOf", OWL + "inverseOf"]))
        other = draw(st.sampled_from([NamedNode(EX + "Person"), *RELATIONS]))
        return Quad(draw(st.sampled_from(RELATIONS)), NamedNode(predicate), other, graph)
    return Quad(subject, draw(st.sampled_from(RELATIONS)), draw(st.sampled_from(ENTITIES)), graph)


SOME = st.lists(st.composite(quads)(), min_size=1, max_size=5)
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "remove", "undo", "replace", "refresh", "refresh"]), SOME), max_size=12
)


def bundle_of(store: Store, graphs: list[str] | None = None, restrictions: bool = False) -> Bundle:
    wanted = [each.value for each in RELATIONS[:2]]
    data = dataset_from_store(store, wanted, graphs, valid=0, test=0, restrictions=restrictions)
    return Bundle(Path("m"), DistMult(data.num_entities, data.num_relations, dim=2), data, {}, 1.0, {}, {}, {})


def groups(names: Names) -> list[object]:
    tables = (names._by_label, names._by_folded, names._by_local)
    return [names._terms, *({key: sorted(terms) for key, terms in table.items()} for table in tables)]


def check_same(left: Knowledge, right: Knowledge) -> None:
    assert left.vocabulary == right.vocabulary and left.vocabulary.entity_ids == right.vocabulary.entity_ids
    for part in ("offsets", "relation", "tail"):
        assert torch.equal(getattr(left.graph, part), getattr(right.graph, part))
    for part in ("questions", "offsets", "tails"):
        assert torch.equal(getattr(left.known, part), getattr(right.known, part))
    assert torch.equal(left.facts, right.facts)
    assert left.schema == right.schema
    for field in ("facts_from", "data", "generation", "facts_left_out"):
        assert getattr(left, field) == getattr(right, field)
    assert groups(left.entity_names) == groups(right.entity_names)


@settings(max_examples=10, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from([None, ["", EX + "one"]]), st.sampled_from([3, 16]))
def test_refreshed_as_if_read_from_nothing(
    steps: list[tuple[str, list[Quad]]], graphs: list[str] | None, merge_above: int
) -> None:
    """After adding, removing, clearing and merging, in graphs that count and in that of predictions."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "MERGE_ABOVE", merge_above)
        patch.setattr("kg.query.knowledge._MOST", 100.0)
        store = Store(Path(folder) / "graph.kg", create=True)
        store.add(FIRST)
        bundle = bundle_of(store, graphs)
        known = Knowledge.of_store(bundle, store)
        for step, some in [*steps, ("refresh", [])]:
            if step == "add":
                store.add(some)
            elif step == "remove":
                store.remove([*some, FIRST[1]])
            elif step == "undo":
                store.add(some)
                store.remove(some)
            elif step == "replace":
                store.replace({EX + "one": some}, {"ex": EX})
            else:
                known.entity_names  # noqa: B018 (grouped before, so that they are changed)
                before = known
                known, change = known.refresh()
                check_same(known, Knowledge.of_store(bundle, store))
                old = {before.terms(*fact) for fact in before.facts.tolist()}
                new = {known.terms(*fact) for fact in known.facts.tolist()}
                assert (change.facts_added, change.facts_removed) == (len(new - old), len(old - new))
                entities = set(before.vocabulary.entities), set(known.vocabulary.entities)
                assert change.entities_added == len(entities[1] - entities[0])
                assert change.entities_removed == len(entities[0] - entities[1])
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "graph.kg", create=True)
    made.add(FIRST)
    return made


def test_nothing_changed(store: Store) -> None:
    known = Knowledge.of_store(bundle_of(store), store)
    assert known.refresh() == (known, Change(1))
    own = Knowledge.of_model(bundle_of(store))
    assert own.refresh() == (own, Change(1))


def test_of_a_store_that_is_as_it_was_trained_on_nothing_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundle_of(store)
    assert bundle.dataset.store_state is not None and bundle.dataset.store_state.left_out == 1
    whole = Knowledge._of_all(bundle, store, None)

    def refused(*arguments: object) -> None:
        raise AssertionError("the store is read")

    with monkeypatch.context() as patch:
        for name in ("facts", "terms", "match"):
            patch.setattr(Store, name, refused)
        own = Knowledge.of_store(bundle, store)
        check_same(own, whole)
        for language in ("de", "en"):  # which training was not asked for
            with pytest.raises(AssertionError, match="the store is read"):
                Knowledge.of_store(bundle, store, language)
        patch.setenv("LC_ALL", "de_AT.UTF-8")
        with pytest.raises(AssertionError, match="the store is read"):
            Knowledge.of_store(bundle, store)
    store.add([Quad(ENTITIES[0], RELATIONS[0], ENTITIES[2])])
    later, change = own.refresh()
    assert (change.facts_added, change.read_anew) == (1, False) or change.read_anew
    check_same(later, Knowledge.of_store(bundle, store))
    assert bundle.dataset.store_state.sha256 != store.mark.sha256


def test_a_refresh_reads_no_more_than_what_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.query.knowledge._MOST", 1.0)
    known = Knowledge._of_all(bundle_of(store), store, None)
    new = NamedNode(EX + "new")
    store.add([Quad(new, RELATIONS[0], ENTITIES[0]), Quad(new, NamedNode(RDFS + "label"), Literal("Newman"))])

    def refused(*arguments: object) -> None:
        raise AssertionError("everything is read")

    for name in ("facts", "terms"):
        monkeypatch.setattr(Store, name, refused)
    monkeypatch.setattr("kg.query.knowledge.Graph.from_triples", refused)
    later, change = known.refresh()
    assert change == Change(2, 1, 0, 1, 0, schema=True) and later.label(EX + "new") == "Newman"
    assert later.entity("Newman") == known.num_entities and known.num_entities + 1 == later.num_entities
    store.remove([Quad(new, NamedNode(RDFS + "label"), Literal("Newman"))])
    again, change = later.refresh()
    assert change == Change(3, schema=True) and again.label(EX + "new") == "new"


def test_limits_are_read_again_where_they_may_have_changed(store: Store) -> None:
    known = Knowledge.of_store(bundle_of(store), store)
    node, rest = ox.BlankNode("r"), ox.BlankNode("l")
    most = Quad(node, NamedNode(OWL + "maxCardinality"), Literal("1"))
    restricted = [(ENTITIES[0], RDFS + "subClassOf", node), (node, OWL + "onProperty", RELATIONS[0])]
    listed = [(ENTITIES[3], OWL + "members", rest), (rest, RDF + "first", ENTITIES[0])]
    steps = [
        [*restricted, (node, OWL + "allValuesFrom", ENTITIES[1])],
        [*listed, (rest, RDF + "first", ENTITIES[1])],
        [(ENTITIES[1], OWL + "disjointWith", ENTITIES[2])],
    ]
    for added in [[Quad(s, NamedNode(p), o) for s, p, o in step] for step in steps] + [[most]]:
        store.add(added)
        known, _ = known.refresh()
        check_same(known, Knowledge.of_store(bundle_of(store), store))
    assert known.schema.only and known.schema.at_most and len(known.schema.disjoint) == 3
    store.remove([most])
    known, _ = known.refresh()
    check_same(known, Knowledge.of_store(bundle_of(store), store))
    assert not known.schema.at_most


@pytest.mark.parametrize("reason", ["merged", "much", "another store", "restrictions", "an older store"])
def test_where_all_is_read_anew(reason: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.query.knowledge._MOST", 0.1 if reason == "much" else 1.0)
    known = Knowledge.of_store(bundle_of(store, restrictions=reason == "restrictions"), store)
    more = [Quad(ENTITIES[7], RELATIONS[0], ENTITIES[0])]
    if reason == "merged":
        monkeypatch.setattr(files, "MERGE_ABOVE", 1)
    if "store" in reason:
        moved = store.path.rename(store.path.with_name("old.kg"))
        other = Store(store.path, create=True)
        for number in range(2 if reason == "another store" else 1):
            other.add([*FIRST[:2], *more] if number == 0 else [FIRST[2]])
        assert moved.is_dir()
        store = other
    else:
        store.add(more)
    later, change = known.refresh()
    assert change.read_anew and change.facts_added == 1 and change.entities_added == 1
    check_same(later, Knowledge.of_store(bundle_of(store) if "store" not in reason else known_bundle(known), store))


@pytest.mark.parametrize("seen", ["the one that comes back", "the one that goes", "both"])
def test_a_store_that_is_restored(seen: str, store: Store) -> None:
    """Its number is new, and what the generations between said of labels is not taken for what was read."""
    label = NamedNode(RDFS + "label")
    bundle = bundle_of(store)
    before = Knowledge.of_store(bundle, store)
    first = store.generation
    store.add([Quad(ENTITIES[0], RELATIONS[0], ENTITIES[7]), Quad(ENTITIES[1], label, Literal("Ben"))])
    between = Knowledge.of_store(bundle, store) if seen == "the one that goes" else before
    if seen == "both":
        between = before.refresh()[0]
    generations.restore(store.path, first)
    with Store(store.path) as now:
        after = between.refresh()[0]
        assert after.generation == first + 2 and after.label(ENTITIES[1].value) != "Ben"
        check_same(after, Knowledge.of_store(bundle, now))
        now.add([Quad(ENTITIES[2], label, Literal("Cid"))])
        check_same(after.refresh()[0], Knowledge.of_store(bundle, now))


def test_what_files_take_away_or_replace(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact that is left in another graph is known still, and a label that went is no label any more."""
    monkeypatch.setattr("kg.query.knowledge._MOST", 100.0)
    bundle = bundle_of(store)
    known = Knowledge.of_store(bundle, store)
    label = NamedNode(RDFS + "label")
    facts = [Quad(ENTITIES[head], RELATIONS[0], ENTITIES[7]) for head in range(3)]
    said = [*facts, Quad(ENTITIES[7], label, Literal("Zed"))]
    file = tmp_path / "said.nq"

    def says(quads: list[Quad]) -> None:
        file.write_bytes(serialize(quads, format=RdfFormat.N_QUADS) or b"")

    def refreshed(facts_added: int, facts_removed: int) -> None:
        nonlocal known
        known, change = known.refresh()
        assert (change.facts_added, change.facts_removed) == (facts_added, facts_removed)
        check_same(known, Knowledge.of_store(bundle, store))

    says(said)
    store.load(file)
    store.load(file, graph=EX + "one")
    refreshed(3, 0)
    assert known.label(ENTITIES[7].value) == "Zed"
    store.remove_files(file)
    refreshed(0, 0)
    says([said[1], *(Quad(ENTITIES[head], RELATIONS[1], ENTITIES[7]) for head in range(2))])
    store.replace_files(file, graph=EX + "one")
    refreshed(2, 3)  # what else the graph held, too
    assert known.label(ENTITIES[7].value) != "Zed"
    store.remove_files(file, graph=EX + "one")
    refreshed(0, 3)
    says(said)
    store.load(file, graph=EX + "one")
    refreshed(3, 0)
    store.remove_graph(EX + "one")
    refreshed(0, 3)
    assert known.label(ENTITIES[7].value) != "Zed"


def known_bundle(known: Knowledge) -> Bundle:
    assert known._reading is not None
    return known._reading.bundle


def test_a_store_of_other_relations_is_an_error_as_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.query.knowledge._MOST", 1.0)
    known = Knowledge.of_store(bundle_of(store), store)
    store.remove(FIRST[:3])
    with pytest.raises(UserError, match="no fact of a relation that"):
        known.refresh()


def test_a_predictor_answers_with_what_the_store_holds_now(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.query.knowledge._MOST", 1.0)
    bundle = bundle_of(store)
    asked = Predictor(bundle, Knowledge.of_store(bundle, store))
    assert not asked.relations("a", "c")[0].known
    store.add([Quad(ENTITIES[0], relation, ENTITIES[2]) for relation in RELATIONS[:2]])
    assert asked.refresh().facts_added == 2
    assert all(each.known for each in asked.relations("Ann", "c"))
    assert asked.refresh() == Change(2)


def test_of_a_model_without_a_store(random_dataset: Dataset) -> None:
    bundle = Bundle(Path("m"), DistMult(50, 3, dim=2), random_dataset, {}, 1.0, {}, {}, {})
    known = Knowledge.of_model(bundle)
    parts = [random_dataset.part(name) for name in ("train", "valid", "test")]
    assert {tuple(fact) for fact in known.facts.tolist()} == {tuple(fact) for fact in torch.cat(parts).tolist()}
    assert known.facts.tolist() == sorted(known.facts.tolist())
    assert known.terms(*known.facts[0].tolist()) == ("e0", *known.terms(*known.facts[0].tolist())[1:])
    reflexive = {r for h, r, t in known.facts.tolist() if h == t}
    assert set(known.known.reflexive.nonzero()[:, 0].tolist()) == reflexive
