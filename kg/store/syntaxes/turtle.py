"""Turtle, TriG and N3."""

import re
from typing import final

from pyoxigraph import RdfFormat

from kg.store.content import Block
from kg.store.guard import STRINGS, lexer
from kg.store.syntaxes.document import Document, Guard

_COMMENT = rb"#[^\n\r]*+[\n\r]"
_IRI_BODY = rb'[^\x00-\x20<>"{}|^`]*+>'
_BRACKET = rb"[()\[\]{}]|<<|>>"
_IRI = rb"<(?!<)" + _IRI_BODY
_HIDDEN = rb"[^\"'<>#()\[\]{}\\]++|" + STRINGS + rb"|%b|>(?!>)|" + _COMMENT + rb"|\\."
LEXER = lexer(_HIDDEN % _IRI, _BRACKET)
# N3 has the operators <= and <-, and an IRI may begin so, too: the parser takes what is the latter for one
_N3 = lexer(_HIDDEN % (_IRI + rb"|<[=-]"), _BRACKET)
# the same with more in it that matters, where the parser may see an operator: only N3 has any, and nobody writes it
_AMBIGUOUS = re.compile(rb"<[=-][^\x00-\x20<>\"{}|^`'()\[\]#\\]*+['()\[\]#\\]" + _IRI_BODY)


@final
class Turtle(Document):
    name = "turtle"
    suffixes = (".ttl",)
    rdf = RdfFormat.TURTLE

    def guard(self) -> Guard:
        return Guard(LEXER)


@final
class TriG(Document):
    name = "trig"
    suffixes = (".trig",)
    rdf = RdfFormat.TRIG
    graphs = True

    def guard(self) -> Guard:
        return Guard(LEXER)


@final
class N3(Document):
    name = "n3"
    suffixes = (".n3",)
    rdf = RdfFormat.N3
    triple_terms = False

    def guard(self) -> Guard:
        return _N3Guard(_N3)


@final
class _N3Guard(Guard):
    def feed(self, block: Block) -> bytes:
        ambiguous = _AMBIGUOUS.search(block.data)
        if ambiguous is not None:
            raise block.refused("write a space after the operator, or the IRI in full", ambiguous.start())
        return super().feed(block)
