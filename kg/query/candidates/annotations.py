"""Candidates as RDF: what a model says of facts, without stating them, and where it comes from.

    <urn:kg:run#6f3a...-1> rdf:reifies <<( world:Germany world:capital world:Berlin )>> ;
        kg:probability 0.93 ; kg:score 4.25 ; kg:rank 1 ; kg:known false ;
        kg:model <urn:kg:run#6f3a...-model> ; prov:wasGeneratedBy <urn:kg:run#6f3a...> .

RDF 1.2 has reifiers; for tools without them, RDF 1.1 has rdf:Statement with rdf:subject, rdf:predicate, rdf:object. The
run that found the candidates is told in PROV-O (W3C, 2013). data/vocabulary.ttl defines the kg: terms. No IRI here can
be a plain name's (kg.namespaces.iri_of), since those hold no `#`.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from kg.namespaces import KG, PROV, RDF, RDFS, RUN, XSD, iri_of, name_of
from kg.query.candidates.candidate import LABELS, PLACES, Candidate, Candidates

if TYPE_CHECKING:
    from kg.bundle import Bundle

PREFIXES = {"kg": KG, "prov": PROV, "rdf": RDF, "rdfs": RDFS, "xsd": XSD}

_Node = NamedNode | BlankNode | Triple


@dataclass(frozen=True)
class Origin:
    """Where candidates come from: the run that found them.

    model: the folder's name, and the sha256 of its manifest. data: the name of the store or folder whose facts it
    looked at, and the store's generation. settings: what was asked, as JSON has it. plain_names: the terms are names of
    a table, which RDF writes as IRIs (kg.namespaces.iri_of).
    """

    model: str
    model_sha256: str
    data: str
    generation: int | None
    started: datetime
    ended: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    plain_names: bool = False

    @classmethod
    def of(
        cls,
        bundle: "Bundle",
        data: str,
        generation: int | None,
        started: datetime,
        settings: Mapping[str, Any] | None = None,
    ) -> "Origin":
        """A run of this model over these data that ends now."""
        name, ended = bundle.path.resolve().name, datetime.now(UTC)
        plain_names = bundle.dataset.generation is None  # a store's terms are IRIs, whatever they look like
        return cls(name, bundle.sha256, data, generation, started, ended, settings or {}, plain_names)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "started": self.started.isoformat(), "ended": self.ended.isoformat()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Origin":
        """What to_json gave. ValueError: a time is none."""
        return cls(**{**row, **{name: datetime.fromisoformat(row[name]) for name in ("started", "ended")}})


def node(term: str, plain_names: bool = False) -> NamedNode | BlankNode:
    """The node that a term of a vocabulary stands for. ValueError: none does, or that of another name too."""
    if term.startswith("_:"):
        return BlankNode(term[2:])
    if not plain_names:
        return NamedNode(term)
    if name_of(iri_of(term)) != term:
        raise ValueError(f"the name {term[:80]!r} stands for an IRI that is written {name_of(iri_of(term))[:80]!r}")
    return NamedNode(iri_of(term))


# Out


def fact(candidate: Candidate, plain_names: bool = False) -> Triple:
    """The candidate as RDF. ValueError: a term is none."""
    try:
        subject, predicate, object_ = (
            node(term, plain_names) for term in (candidate.subject, candidate.predicate, candidate.object)
        )
        if isinstance(predicate, BlankNode):
            raise ValueError(f"a blank node is no predicate: {predicate}")
        return Triple(subject, predicate, object_)
    except ValueError as error:
        terms = ", ".join(term[:80] for term in (candidate.subject, candidate.predicate, candidate.object))
        raise ValueError(f"the candidate ({terms}): {error}") from None


def annotations(candidates: Iterable[Candidate], origin: Origin, rdf11: bool = False) -> Iterator[Triple]:
    """The run, then each candidate with what is said of it; the facts themselves are not stated.

    The IRIs are a function of origin and candidates, so that one file read twice says nothing twice. ValueError: a term
    is none.
    """
    candidates = tuple(candidates)
    digest = hashlib.sha256(repr((origin, candidates)).encode()).hexdigest()[:16]
    run, model, data = (NamedNode(f"{RUN}{digest}{part}") for part in ("", "-model", "-data"))
    yield from _run(origin, run, model, data)
    ended = _literal(origin.ended.isoformat(), "dateTime")
    for number, each in enumerate(candidates, 1):
        reifier = NamedNode(f"{RUN}{digest}-{number}")
        yield from _reified(reifier, fact(each, origin.plain_names), rdf11)
        if each.probability is not None:
            yield Triple(reifier, _PROBABILITY, _literal(repr(float(each.probability)), "double"))
        yield Triple(reifier, _SCORE, _literal(repr(float(each.score)), "double"))
        yield Triple(reifier, _RANK, _literal(str(each.rank), "integer"))
        yield Triple(reifier, _KNOWN, _boolean(each.known))
        for name, place in _TEXTS.items():
            text = getattr(each, name)
            if text is not None:
                yield Triple(reifier, place, Literal(text))
        for name, place in _COUNTS.items():
            count = getattr(each, name)
            if count is not None:
                yield Triple(reifier, place, _literal(str(count), "integer"))
        yield Triple(reifier, _MODEL, model)
        yield Triple(reifier, _GENERATED_BY, run)
        yield Triple(reifier, _GENERATED_AT, ended)


def _reified(reifier: NamedNode, stated: Triple, rdf11: bool) -> Iterator[Triple]:
    yield Triple(reifier, _TYPE, _CANDIDATE)
    if not rdf11:
        yield Triple(reifier, _REIFIES, stated)
        return
    yield Triple(reifier, _TYPE, _STATEMENT)
    yield Triple(reifier, _SUBJECT, stated.subject)
    yield Triple(reifier, _PREDICATE, stated.predicate)
    yield Triple(reifier, _OBJECT, stated.object)


def _run(origin: Origin, run: NamedNode, model: NamedNode, data: NamedNode) -> Iterator[Triple]:
    yield Triple(run, _TYPE, NamedNode(PROV + "Activity"))
    yield Triple(run, _STARTED, _literal(origin.started.isoformat(), "dateTime"))
    yield Triple(run, _ENDED, _literal(origin.ended.isoformat(), "dateTime"))
    yield Triple(run, _SETTINGS, Literal(json.dumps(dict(origin.settings), allow_nan=False), datatype=_JSON))
    yield Triple(run, _PLAIN_NAMES, _boolean(origin.plain_names))
    yield Triple(run, _MODEL, model)
    yield Triple(run, _DATA, data)
    yield Triple(run, _USED, model)
    yield Triple(run, _USED, data)
    yield Triple(model, _TYPE, NamedNode(PROV + "Entity"))
    yield Triple(model, _TYPE, NamedNode(KG + "Model"))
    yield Triple(model, _LABEL, Literal(origin.model))
    yield Triple(model, _SHA256, Literal(origin.model_sha256))
    yield Triple(data, _TYPE, NamedNode(PROV + "Entity"))
    yield Triple(data, _TYPE, NamedNode(KG + "Data"))
    yield Triple(data, _LABEL, Literal(origin.data))
    if origin.generation is not None:
        yield Triple(data, _GENERATION, _literal(str(origin.generation), "integer"))


def _literal(text: str, datatype: str) -> Literal:
    return Literal(text, datatype=_DATATYPES[datatype])


def _boolean(value: bool) -> Literal:
    return _literal("true" if value else "false", "boolean")


# In


def read_annotations(quads: Iterable[Quad]) -> tuple[Candidates, Origin | None]:
    """The candidates that are annotated in any graph, in the order of their first lines, and the run that found them;
    None where none is told, or several are.

    Both ways of reification are read; whatever else there is is passed over.
    ValueError: a candidate or its run lacks something, or says two things.
    """
    said: dict[_Node, _About] = {}
    for quad in quads:
        name = _FIELDS.get(quad.predicate.value)
        if name is not None:
            subject = quad.subject
            about = said.get(subject)
            if about is None:
                about = said[subject] = _About(subject)
            about.hear(name, quad.object)
    runs = [about for about in said.values() if "settings" in about]
    plain = {about.node for about in runs if about.text("plain_names") == "true"}
    items = tuple(_candidate(about, plain) for about in said.values() if not _FIGURES.isdisjoint(about))
    origins = [_origin(run, said) for run in runs]
    return Candidates(items), origins[0] if len(origins) == 1 else None


class _About(dict[str, Any]):
    """What is said of one node: field -> object. Two different ones are an error when they are asked for."""

    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.node = node

    def hear(self, name: str, value: Any) -> None:
        if self.setdefault(name, value) != value:
            self[name] = _Two(f"{self[name]} and {value}")

    def value(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise ValueError(f"{self.node}: the {name} is missing")
        if isinstance(value, _Two):
            raise ValueError(f"{self.node}: expected one {name}, got {value}")
        return value

    def text(self, name: str) -> str:
        text: str = getattr(self.value(name), "value", "")
        return text


class _Two(str):
    """Two values where one is expected, for a person."""

    def __eq__(self, other: object) -> bool:  # a third one changes nothing
        return True

    __hash__ = str.__hash__


def _candidate(about: _About, plain: Collection[_Node]) -> Candidate:
    if "reifies" in about:
        stated = about.value("reifies")
        if not isinstance(stated, Triple):
            raise ValueError(f"{about.node} reifies {str(stated)[:80]}, which is no fact")
        terms = [stated.subject, stated.predicate, stated.object]
    else:
        terms = [about.value(place) for place in PLACES]
    plain_names = "run" in about and about.value("run") in plain
    row = {place: _term(term, plain_names) for place, term in zip(PLACES, terms, strict=True)}
    try:
        return Candidate.from_text(row | {name: about.text(name) for name in _ALL_FIGURES if name in about})
    except ValueError as error:
        raise ValueError(f"{about.node}: {error}") from None


def _term(term: Any, plain_names: bool) -> str:
    if isinstance(term, NamedNode):
        return name_of(term.value) if plain_names else term.value
    if isinstance(term, BlankNode):
        return str(term)
    raise ValueError(f"a candidate is between entities, and {str(term)[:80]} is none")


def _origin(run: _About, said: Mapping[_Node, _About]) -> Origin:
    """ValueError: something is missing, or is no date, number or JSON."""
    model, data = (said.get(run.value(part), _About(run.value(part))) for part in ("model", "data"))
    try:
        settings = json.loads(run.text("settings"))
        if not isinstance(settings, dict):
            raise ValueError(f"{run.node}: its settings are no JSON object")
        row = {
            "model": model.text("label"),
            "model_sha256": model.text("sha256"),
            "data": data.text("label"),
            "generation": int(data.text("generation")) if "generation" in data else None,
            "started": run.text("started"),
            "ended": run.text("ended"),
            "settings": settings,
            "plain_names": run.text("plain_names") == "true",
        }
        return Origin.from_json(row)
    except RecursionError:
        raise ValueError(f"{run.node}: its settings are nested too deep") from None


_DATATYPES = {name: NamedNode(XSD + name) for name in ("double", "integer", "boolean", "dateTime")}
_JSON = NamedNode(RDF + "JSON")
_TYPE, _REIFIES, _STATEMENT = (NamedNode(RDF + name) for name in ("type", "reifies", "Statement"))
_SUBJECT, _PREDICATE, _OBJECT = (NamedNode(RDF + name) for name in ("subject", "predicate", "object"))
_LABEL = NamedNode(RDFS + "label")
_USED, _STARTED, _ENDED = (NamedNode(PROV + name) for name in ("used", "startedAtTime", "endedAtTime"))
_GENERATED_BY, _GENERATED_AT = (NamedNode(PROV + name) for name in ("wasGeneratedBy", "generatedAtTime"))
_CANDIDATE, _PROBABILITY, _SCORE = (NamedNode(KG + name) for name in ("Candidate", "probability", "score"))
_RANK, _KNOWN = (NamedNode(KG + name) for name in ("rank", "known"))
_MODEL, _DATA, _SETTINGS = (NamedNode(KG + name) for name in ("model", "data", "settings"))
_SHA256, _GENERATION, _PLAIN_NAMES = (NamedNode(KG + name) for name in ("sha256", "generation", "plainNames"))
_IN_CAMELS = {f"{place}_label": f"{place}Label" for place in PLACES}
_TEXTS = {name: NamedNode(KG + _IN_CAMELS.get(name, name)) for name in (*LABELS, "because", "note")}
_COUNTS = {name: NamedNode(KG + name) for name in ("evidence", "alike")}
_ALL_FIGURES = ("probability", "score", "rank", "known", *_TEXTS, *_COUNTS)
_FIGURES = {"probability", "score", "rank", "known"}  # what makes of a reifier a candidate
_FIELDS = {
    RDF + "reifies": "reifies",
    RDF + "subject": "subject",
    RDF + "predicate": "predicate",
    RDF + "object": "object",
    RDFS + "label": "label",
    PROV + "startedAtTime": "started",
    PROV + "endedAtTime": "ended",
    PROV + "wasGeneratedBy": "run",
    KG + "probability": "probability",
    KG + "score": "score",
    KG + "rank": "rank",
    KG + "known": "known",
    **{place.value: name for name, place in (_TEXTS | _COUNTS).items()},
    KG + "model": "model",
    KG + "data": "data",
    KG + "settings": "settings",
    KG + "sha256": "sha256",
    KG + "generation": "generation",
    KG + "plainNames": "plain_names",
}
