"""JSON-LD."""

from collections.abc import Callable
from typing import final

from pyoxigraph import RdfFormat

from kg.store.content import Block
from kg.store.guard import Nesting, lexer
from kg.store.syntaxes.document import Document

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

    def guard(self) -> Callable[[Block], bytes]:
        nesting = Nesting(_LEXER)
        return lambda block: nesting.feed(block.data)
