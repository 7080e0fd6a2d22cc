"""Every way to write facts that is read and written here: one file a family, one line a syntax."""

from pathlib import Path

from kg.errors import UserError
from kg.files import COMPRESSIONS, suffix_of
from kg.store.syntaxes.jsonld import JSONLD
from kg.store.syntaxes.ntriples import NQuads, NTriples
from kg.store.syntaxes.rdfxml import RDFXML
from kg.store.syntaxes.syntax import Syntax
from kg.store.syntaxes.table import CSV, TSV
from kg.store.syntaxes.turtle import N3, TriG, Turtle

SYNTAXES: dict[str, Syntax] = {
    syntax.name: syntax
    for syntax in (
        NTriples(),
        NQuads(),
        Turtle(),
        TriG(),
        RDFXML(),
        JSONLD(),
        N3(),
        TSV(),
        CSV(),
    )
}


def syntax_of(path: str | Path, name: str | None = None) -> Syntax:
    """The syntax called `name`, else the one of the suffix, before any .gz .bz2 .xz .zst. UserError: unknown."""
    if name is not None:
        if name not in SYNTAXES:
            raise UserError(f"unknown syntax {name!r}: expected one of {', '.join(SYNTAXES)}")
        return SYNTAXES[name]
    by_suffix = {suffix: syntax for syntax in SYNTAXES.values() for suffix in syntax.suffixes}
    suffix = suffix_of(Path(path))
    if suffix not in by_suffix:
        known = f"{' '.join(by_suffix)}, each also with {' '.join(COMPRESSIONS)}"
        raise UserError(f"{path}: the suffix names no syntax: expected {known}; or give the syntax by name")
    return by_suffix[suffix]
