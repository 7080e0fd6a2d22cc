"""Turtle, TriG and N3."""

import re
from collections.abc import Callable
from typing import final

from pyoxigraph import RdfFormat

from kg.store.content import Block
from kg.store.guard import STRINGS, Nesting, lexer
from kg.store.syntaxes.document import Document

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

    def guard(self) -> Callable[[Block], bytes]:
        nesting = Nesting(LEXER)
        return lambda block: nesting.feed(block.data)


@final
class TriG(Document):
    name = "trig"
    suffixes = (".trig",)
    rdf = RdfFormat.TRIG
    graphs = True

    def guard(self) -> Callable[[Block], bytes]:
        nesting = Nesting(LEXER)
        return lambda block: nesting.feed(block.data)


@final
class N3(Document):
    name = "n3"
    suffixes = (".n3",)
    rdf = RdfFormat.N3
    triple_terms = False

    def guard(self) -> Callable[[Block], bytes]:
        nesting = Nesting(_N3)

        def passed(block: Block) -> bytes:
            ambiguous = _AMBIGUOUS.search(block.data)
            if ambiguous is not None:
                raise block.refused("write a space after the operator, or the IRI in full", ambiguous.start())
            return nesting.feed(block.data)

        return passed
