"""JSON-LD."""

from typing import final

from pyoxigraph import RdfFormat

from kg.store.guard import lexer
from kg.store.syntaxes.document import Document, Guard

_LEXER = lexer(rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"', rb"[\[\]{}]")


@final
class JSONLD(Document):
    """Its remote contexts are not fetched: nothing leaves this machine."""

    name = "jsonld"
    suffixes = (".jsonld", ".json")
    rdf = RdfFormat.JSON_LD
    graphs = True
    triple_terms = False
    end = b'"'  # a file may be one line
    stretch = "a string, or a gap between strings,"

    def guard(self) -> Guard:
        return Guard(_LEXER)
