"""Decisions as facts of the store: what was accepted becomes a graph that trains, the journal one that tells of it.

    <urn:kg:accepted>   the facts that are accepted, as if a file had said so; one that stands for an OWL restriction is
                        written as that: C rdfs:subClassOf [owl:onProperty p; owl:someValuesFrom D]
    <urn:kg:decisions>  every line of the journal, what was taken back too, with rdf:subject, predicate and object

Both are made anew from the journal, in one generation, where it has gone on since.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from kg.decisions.journal import Decision, Fact, Journal, Undo
from kg.decisions.verdicts import Verdicts
from kg.namespaces import ACCEPTED, DECISION, DECISIONS, KG, OWL, PROV, RDF, RDFS, XSD
from kg.progress import SILENT, Progress
from kg.store.store import Store

_PREFIXES = {"kg": KG, "prov": PROV, "rdf": RDF, "rdfs": RDFS, "xsd": XSD, "owl": OWL}


def fold(store: Store) -> int | None:
    """Brings the two graphs of an open store up to its journal, as a new generation: how many facts are accepted. None
    where they are, or nobody has decided anything. UserError where the store cannot be written."""
    journal = Journal(store.path)
    if _folded(store) == journal.number:
        return None
    lines = list(journal.lines())
    verdicts = Verdicts.of(journal.decisions())
    accepted, restrictions = verdicts.of_standing("accepted"), verdicts.restrictions()
    facts = [each for fact in accepted for each in _stated(fact, fact in restrictions)]
    told = [each for number, line in lines for each in _told(number, line)]
    store.replace({ACCEPTED: facts, DECISIONS: told}, _PREFIXES, by="decisions")
    return len(accepted)


def unfold(path: Path | str, facts: Iterable[Fact]) -> None:
    """`fold` of the store at this path, where one of these facts is in the graph of accepted ones and is accepted no
    more: else it would be stated there, and known, until the next load or training."""
    with Store(path) as store:
        verdicts = Verdicts.of(Journal(path).decisions())
        lost = [fact for fact in facts if verdicts.standing(fact) != "accepted"]
        if not store.has_graph(ACCEPTED):
            return
        for subject, predicate, object_ in (map(NamedNode, fact) for fact in lost):
            if store.count(subject, predicate, object_, NamedNode(ACCEPTED)) or verdicts.restrictions():
                fold(store)
                return


def fold_at(path: Path | str, progress: Progress = SILENT) -> None:
    """`fold` of the store at this path, which progress is told; nothing where it has no journal, or is no store."""
    if not Journal(path).path.exists():
        return
    with Store(path) as store:
        accepted = fold(store)
        if accepted is not None:
            what = f"{accepted:,} facts that people accepted are in the graph {ACCEPTED}"
            progress.note(f"{path}: {what}, the journal in {DECISIONS}; generation {store.generation}")


def _folded(store: Store) -> int:
    """The number of the last line that the graphs know of."""
    numbers = (quad.object for quad in store.match(None, _NUMBER, None, NamedNode(DECISIONS)))
    return max((int(each.value) for each in numbers if isinstance(each, Literal)), default=0)


def _stated(fact: Fact, is_restriction: bool) -> Iterator[Triple]:
    subject, predicate, object_ = map(NamedNode, fact)
    if not is_restriction:
        yield Triple(subject, predicate, object_)
        return
    node = BlankNode(hashlib.sha256("\n".join(fact).encode()).hexdigest()[:32])
    yield Triple(subject, NamedNode(RDFS + "subClassOf"), node)
    yield Triple(node, _TYPE, NamedNode(OWL + "Restriction"))
    yield Triple(node, NamedNode(OWL + "onProperty"), predicate)
    yield Triple(node, NamedNode(OWL + "someValuesFrom"), object_)


def _told(number: int, line: Decision | Undo) -> Iterator[Triple]:
    node = NamedNode(DECISION + quote(line.id, safe=""))
    yield Triple(node, _TYPE, NamedNode(KG + ("Decision" if isinstance(line, Decision) else "Undo")))
    yield Triple(node, _NUMBER, Literal(str(number), datatype=NamedNode(XSD + "integer")))
    yield Triple(node, NamedNode(KG + "batch"), Literal(line.batch))
    yield Triple(node, NamedNode(KG + "person"), Literal(line.person))
    if line.at is not None:
        at = Literal(line.at.isoformat(), datatype=NamedNode(XSD + "dateTime"))
        yield Triple(node, NamedNode(PROV + "endedAtTime"), at)
    if isinstance(line, Undo):
        return
    for place, term in zip(("subject", "predicate", "object"), line.fact, strict=True):
        yield Triple(node, NamedNode(RDF + place), NamedNode(term))
    yield Triple(node, NamedNode(KG + "verdict"), Literal(line.verdict))
    if line.probability is not None:
        probability = Literal(repr(line.probability), datatype=NamedNode(XSD + "double"))
        yield Triple(node, NamedNode(KG + "probability"), probability)
    for name, text in (("because", line.evidence), ("note", line.note)):
        if text:
            yield Triple(node, NamedNode(KG + name), Literal(text))
    if line.model_sha256:
        model = NamedNode(f"{DECISION}model-{quote(line.model_sha256, safe='')}")
        yield Triple(node, NamedNode(KG + "model"), model)
        yield Triple(model, _TYPE, NamedNode(KG + "Model"))
        yield Triple(model, NamedNode(KG + "sha256"), Literal(line.model_sha256))
        if line.model:
            yield Triple(model, NamedNode(RDFS + "label"), Literal(line.model))


_TYPE, _NUMBER = NamedNode(RDF + "type"), NamedNode(KG + "number")
