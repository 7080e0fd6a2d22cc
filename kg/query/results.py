"""SPARQL results for a person's eyes, and for other programs."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Literal

import pyoxigraph as ox
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kg.store.sparql import Results, Solutions, Term

_KINDS = {ox.NamedNode: "uri", ox.BlankNode: "bnode", ox.Literal: "literal", ox.Triple: "triple"}


def print_results(
    results: Results, format: Literal["table", "json", "csv"], prefixes: Mapping[str, str], console: Console
) -> None:
    """Solutions as a table, SPARQL JSON or SPARQL CSV; triples as solutions of three columns; ASK as true or false.

    In a table IRIs are shortened by the prefixes.
    """
    if isinstance(results, bool):
        text = {"json": json.dumps({"head": {}, "boolean": results})}.get(format, str(results).lower())
        console.file.write(text + "\n")
        return
    solutions = results if isinstance(results, Solutions) else _as_solutions(results)
    if format == "table":
        console.print(_table(solutions, prefixes))
        return
    console.file.write(_json(solutions) if format == "json" else _csv(solutions))


def _as_solutions(triples: list[ox.Triple]) -> Solutions:
    rows: list[tuple[Term | None, ...]] = [(each.subject, each.predicate, each.object) for each in triples]
    return Solutions(["subject", "predicate", "object"], rows)


def _table(solutions: Solutions, prefixes: Mapping[str, str]) -> Table:
    table = Table(*solutions.variables, caption=f"{len(solutions.rows):,} solutions")
    for row in solutions.rows:
        table.add_row(*(Text(_short(term, prefixes)) for term in row))
    return table


def _short(term: Term | None, prefixes: Mapping[str, str]) -> str:
    if term is None:
        return ""
    if isinstance(term, ox.NamedNode):
        for prefix, namespace in prefixes.items():
            if term.value.startswith(namespace) and "/" not in term.value[len(namespace) :]:
                return f"{prefix}:{term.value[len(namespace) :]}"
    return term.value if isinstance(term, ox.Literal) else str(term)


def _json(solutions: Solutions) -> str:
    bindings = [
        {name: _value(term) for name, term in zip(solutions.variables, row, strict=True) if term is not None}
        for row in solutions.rows
    ]
    document = {"head": {"vars": solutions.variables}, "results": {"bindings": bindings}}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _value(term: Term) -> dict[str, Any]:
    """A term as SPARQL 1.1 (and, for triple terms, 1.2) Query Results JSON writes it."""
    if isinstance(term, ox.Triple):
        parts = {"subject": term.subject, "predicate": term.predicate, "object": term.object}
        return {"type": "triple", "value": {name: _value(part) for name, part in parts.items()}}
    described: dict[str, Any] = {"type": _KINDS[type(term)], "value": term.value}
    if isinstance(term, ox.Literal):
        if term.language:
            described["xml:lang"] = term.language
        elif term.datatype.value != "http://www.w3.org/2001/XMLSchema#string":
            described["datatype"] = term.datatype.value
    return described


def _csv(solutions: Solutions) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(solutions.variables)
    for row in solutions.rows:
        writer.writerow(_cell(term) for term in row)
    return text.getvalue()


def _cell(term: Term | None) -> str:
    """IRIs and literals bare, as SPARQL 1.1 CSV has them."""
    if term is None:
        return ""
    return term.value if isinstance(term, ox.NamedNode | ox.Literal) else str(term)
