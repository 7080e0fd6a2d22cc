"""RDF/XML, of which the parser takes no more than ordinary files need: no entity but plain ones."""

import re
from collections.abc import Iterable
from functools import lru_cache
from io import BufferedIOBase
from typing import final

from pyoxigraph import Literal, Quad, RdfFormat, Triple

from kg.errors import one_line
from kg.namespaces import RDF
from kg.store.content import Block
from kg.store.guard import MAX_DEPTH, Refused, after, lexer
from kg.store.syntaxes.document import Document, Guard
from kg.store.syntaxes.syntax import write_rdf

MAX_ENTITY = 1024  # bytes of one XML entity's value
MAX_EXPANSION = 16  # bytes of text that a file may become, for every byte of the file

_DECLARATION = rb"<![A-Z]++(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+>"
_DOCTYPE = (
    rb"<![Dd][^\[<>\"']*+(?:\"[^\"<>]*+\"[^\[<>\"']*+|'[^'<>]*+'[^\[<>\"']*+)*+"
    rb"(?:\[(?:\s|<!--(?:[^<>-]++|-(?!->)|<[^<>]*+>)*+-->|" + _DECLARATION + rb")*+\]\s*+)?+>"
)
_ATTRIBUTES = rb"(?:[^\"'>/]++|/(?!>)|\"[^\"]*+\"|'[^']*+')*+"


def _tag_steps(found: list[bytes]) -> list[int]:
    return [0 if not tag else -1 if tag.startswith(b"</") else 1 for tag in found]


_LEXER = lexer(
    rb"[^<]++|<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|" + _DOCTYPE + rb"|<(?![!?/])" + _ATTRIBUTES + rb"/>",
    rb"<(?![!?/])" + _ATTRIBUTES + rb">|</[^>]*+>",
    _tag_steps,
)


@final
class RDFXML(Document):
    name = "rdfxml"
    suffixes = (".rdf", ".owl", ".xml")
    rdf = RdfFormat.RDF_XML
    end = step = b">"
    stretch = "a tag or a text"

    def guard(self) -> Guard:
        return _XMLGuard()

    def objection(self, quad: Quad | Triple) -> str:
        """To a predicate that is no XML name, and to a character that XML does not have."""
        if not _is_element(quad.predicate.value):
            return f"RDF/XML cannot hold the predicate {quad.predicate}: it ends in no XML name"
        if isinstance(quad.object, Literal) and _NOT_IN_XML.search(quad.object.value):
            return f"RDF/XML cannot hold the control characters of {one_line(str(quad.object))}"
        return self.objection(quad.object) if isinstance(quad.object, Triple) else ""

    def write(self, quads: Iterable[Quad], stream: BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """With the prefixes declared."""
        write_rdf(quads, _CarriageReturns(stream), self.rdf, prefixes)


_ENTITY = re.compile(
    rb"<!ENTITY\s+(?P<name>[^\s%&;\"'<>]+)\s+(?:\"(?P<double>[^\"&%<>]*+)\"|'(?P<single>[^'\"&%<>]*+)')\s*+>"
)
_REFERENCE = re.compile(rb"&([^\s;&<>#\"']+);")
_SINGLE_QUOTES = re.compile(rb"'([^'\"]*+)'(\s*+>)")


class Entities:
    """Lets through the plain entities of ordinary OWL files (`<!ENTITY owl "http://...">`) and no other.

    Feed it pieces that end at a `>` (or at the end). The parser finds declarations even in comments, so this does too.
    """

    def __init__(self) -> None:
        self._values: dict[bytes, int] = {}
        self._line, self._column = 1, 1
        self._grown = 0
        self._read = 0

    def feed(self, data: bytes) -> bytes:
        """`data` with entity values in double quotes, the only ones the parser knows. Raises Refused."""
        if b"<!ENTITY" in data:
            data = self._declared(data)
        if self._values:
            self._expand(data)
        self._line, self._column = after(self._line, self._column, data)
        return data

    def _declared(self, data: bytes) -> bytes:
        pieces, end = [], 0
        for found in re.finditer(rb"<!ENTITY", data):
            entity = _ENTITY.match(data, found.start())
            if entity is None:
                raise self._refused(data, found.start())
            value = entity["double"] if entity["double"] is not None else entity["single"]
            if len(value) > MAX_ENTITY:
                reason = f"the value of an XML entity is longer than {MAX_ENTITY} bytes"
                raise Refused(reason, *after(self._line, self._column, data[: found.start()]))
            self._values[entity["name"]] = len(value)
            pieces += [data[end : found.start()], _SINGLE_QUOTES.sub(rb'"\1"\2', entity[0])]
            end = entity.end()
        return b"".join([*pieces, data[end:]])

    def _refused(self, data: bytes, start: int) -> Refused:
        declaration = data[start + 8 : start + 8 + 2 * MAX_ENTITY].split(b">", 1)[0]
        if declaration.lstrip().startswith(b"%"):
            reason = "a parameter entity (%) in the DOCTYPE"
        elif re.match(rb"\s+\S+\s+(SYSTEM|PUBLIC)\b", declaration):
            reason = "an external entity (SYSTEM or PUBLIC) in the DOCTYPE"
        elif b"&" in declaration:
            reason = "an XML entity made of other entities in the DOCTYPE"
        else:
            reason = f"an XML entity that is not plain text of at most {MAX_ENTITY} bytes in the DOCTYPE"
        return Refused(f"{reason} is refused", *after(self._line, self._column, data[:start]))

    def _expand(self, data: bytes) -> None:
        self._read += len(data)
        self._grown += sum(self._values.get(name, 0) for name in _REFERENCE.findall(data))
        if self._grown > MAX_EXPANSION * self._read + MAX_ENTITY * MAX_DEPTH:
            reason = f"XML entities make the text more than {MAX_EXPANSION} times as long"
            raise Refused(reason, self._line, self._column)


_START_TAG = re.compile(rb"<[^!?/\s]")


@final
class _XMLGuard(Guard):
    """The parser takes a file that ends within its elements, or has none, for a whole one."""

    def __init__(self) -> None:
        super().__init__(_LEXER)
        self._entities = Entities()
        self._has_elements = False

    def feed(self, block: Block) -> bytes:
        self._has_elements = self._has_elements or _START_TAG.search(block.data) is not None
        return self._entities.feed(super().feed(block))

    def end(self) -> None:
        if not self._has_elements:
            raise Refused("expected an element of RDF/XML, and the file ends", *self.nesting.place)
        if self.nesting.depth:
            reason = f"the file is cut short: it ends with {self.nesting.depth} elements open"
            raise Refused(reason, *self.nesting.place)


_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_XML_NAME = re.compile(r"[^\W\d][\w.-]*$")
_RDF_SYNTAX = re.compile(  # names that are RDF/XML's own grammar
    "RDF|ID|about|bagID|parseType|resource|nodeID|datatype|Description|aboutEach|aboutEachPrefix|li"
)


@lru_cache(maxsize=4096)
def _is_element(predicate: str) -> bool:
    if predicate.startswith(RDF) and _RDF_SYNTAX.fullmatch(predicate.removeprefix(RDF)):
        return False
    return _XML_NAME.search(predicate) is not None


class _CarriageReturns:
    """An XML reader turns a bare carriage return into a newline; the serializer leaves them bare."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """All of `data` is written."""
        self._stream.write(data.replace(b"\r", b"&#xD;"))
        return len(data)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()
