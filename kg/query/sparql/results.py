"""SPARQL results for a person's eyes, and for other programs."""

from collections.abc import Mapping
from typing import Literal, get_args

import pyoxigraph as ox

from kg.errors import UserError
from kg.store.sparql import Answer, Solutions, Term

Format = Literal["json", "csv", "tsv", "xml", "ntriples", "turtle"]

_RESULTS = {
    "json": ox.QueryResultsFormat.JSON,
    "csv": ox.QueryResultsFormat.CSV,
    "tsv": ox.QueryResultsFormat.TSV,
    "xml": ox.QueryResultsFormat.XML,
}
_GRAPHS = {"ntriples": ox.RdfFormat.N_TRIPLES, "turtle": ox.RdfFormat.TURTLE}
assert {*_RESULTS, *_GRAPHS} == set(get_args(Format))


def written(answer: Answer, format: Format, prefixes: Mapping[str, str]) -> str:
    """In a format of the SPARQL recommendations, where triples are solutions of three columns; or triples as RDF.

    UserError where solutions, or true and false, shall be RDF.
    """
    if format in _GRAPHS:
        if not answer.is_graph:
            raise UserError(f"format {format} is for the triples of CONSTRUCT and DESCRIBE", "format")
        triples = ox.parse(answer.text, ox.RdfFormat.N_TRIPLES, lenient=True)
        found = ox.serialize((quad.triple for quad in triples), format=_GRAPHS[format], prefixes=dict(prefixes))
    elif answer.is_graph:
        held = ox.Store()
        held.extend(ox.parse(answer.text, ox.RdfFormat.N_TRIPLES, lenient=True))
        rows = held.query("SELECT ?subject ?predicate ?object { ?subject ?predicate ?object }")
        assert isinstance(rows, ox.QuerySolutions)
        found = rows.serialize(format=_RESULTS[format])
    else:
        results = ox.parse_query_results(answer.text, ox.QueryResultsFormat.JSON)
        found = results.serialize(format=_RESULTS[format])
    assert found is not None  # None only where a file was given to write to
    text = found.decode()
    return text if not text or text.endswith("\n") else f"{text}\n"


def solutions(answer: Answer) -> Solutions | bool:
    """The same as rows of terms, triples too; true or false for ASK."""
    results = answer.results()
    if isinstance(results, bool | Solutions):
        return results
    rows: list[tuple[Term | None, ...]] = [(each.subject, each.predicate, each.object) for each in results]
    return Solutions(["subject", "predicate", "object"], rows)


def shortened(term: Term | None, prefixes: Mapping[str, str]) -> str:
    """A term for a person's eyes: an IRI by the prefix that fits, a literal as its text, nothing for None."""
    if term is None:
        return ""
    if isinstance(term, ox.NamedNode):
        for prefix, namespace in prefixes.items():
            if term.value.startswith(namespace) and "/" not in term.value[len(namespace) :]:
                return f"{prefix}:{term.value[len(namespace) :]}"
    return term.value if isinstance(term, ox.Literal) else str(term)
