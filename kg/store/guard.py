"""What hostile text may not do to a parser: nest without end, expand without end, or reach the network.

The parsers recurse in native code: five thousand open brackets end the process, with no exception to catch. So
everything here reads the text first, with regular expressions alone, in a time that grows with its length.
"""

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, islice

from kg.errors import UserError

MAX_DEPTH = 128  # open brackets, elements or objects; a triple term `<<( )>>` counts two
MAX_TOKEN = 16 << 20  # bytes of one line, literal, comment or tag: the parsers hold one whole in memory
MAX_QUERY = 1 << 20  # characters of a SPARQL query


class Refused(Exception):
    """The text is dangerous to parse. `line` and `column` count from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


class FileRefused(Refused):
    """The whole file is: nothing can be left out of it to make the rest right."""


def after(line: int, column: int, text: bytes) -> tuple[int, int]:
    """The line and column that follow `text`, which begins at (line, column); columns count characters."""
    newlines = text.count(b"\n")
    tail = text[text.rfind(b"\n") + 1 :].decode("utf-8", errors="replace")
    return line + newlines, (1 if newlines else column) + len(tail)


# Every alternative begins in its own way and every loop is possessive, so no text makes these backtrack: O(n).
STRINGS = (
    rb'"""(?:[^"\\]++|\\.|"(?!""))*+"""|"(?!"")(?:[^"\\\n\r]++|\\.)*+"'
    rb"|'''(?:[^'\\]++|\\.|'(?!''))*+'''|'(?!'')(?:[^'\\\n\r]++|\\.)*+'"
)


@dataclass(frozen=True)
class Lexer:
    """What of a syntax opens and closes.

    pieces: runs of tokens that are no bracket; or, captured, a bracket or a rest that is no whole token. steps: from
    brackets to by how much each goes deeper.
    """

    pieces: re.Pattern[bytes]
    bracket: re.Pattern[bytes]
    steps: Callable[[list[bytes]], list[int]]


_STEP = {b"": 0, b"<<": 1, b">>": -1, b"(": 1, b")": -1, b"[": 1, b"]": -1, b"{": 1, b"}": -1}


def _bracket_steps(found: list[bytes]) -> list[int]:
    return [_STEP[bracket] for bracket in found]


def lexer(hidden: bytes, bracket: bytes, steps: Callable[[list[bytes]], list[int]] = _bracket_steps) -> Lexer:
    """From two patterns: tokens that are no bracket, whatever is in them; and a bracket. Neither may backtrack."""
    pieces = re.compile(rb"(?s:(?:" + hidden + rb")++|(" + bracket + rb"|.+))")
    return Lexer(pieces, re.compile(bracket), steps)


_SLICE = 1 << 20  # bytes looked at together
_QUOTES = re.compile(rb"[\"']*+")  # never cut between two: the first two of three are a whole string


class Nesting:
    """Follows the open brackets of a stream, blind to those inside strings, IRIs and comments.

    Feed it the stream in order, each piece before the parser sees it. What ends inside a token waits for the next
    piece: no bracket in it is one yet, for the parser either. Text that is no token at all is left to the parser, which
    stops there.
    """

    def __init__(self, lexer: Lexer) -> None:
        self._pieces, self._bracket, self._steps = lexer.pieces, lexer.bracket, lexer.steps
        self._rest = b""
        self.depth = 0  # how many are open
        self._line, self._column = 1, 1

    @property
    def place(self) -> tuple[int, int]:
        """The line and column after the last whole token."""
        return self._line, self._column

    def feed(self, data: bytes) -> bytes:
        """The same bytes. Refused where a bracket opens deeper than MAX_DEPTH, or a token is longer than MAX_TOKEN."""
        start = 0
        while start < len(data):
            end = _QUOTES.match(data, start + _SLICE).end()  # type: ignore[union-attr]
            self._feed(self._rest + data[start:end])
            start = end
        return data

    def _feed(self, data: bytes) -> None:
        found = self._pieces.findall(data)
        rest = b""
        if found[-1] and not self._bracket.fullmatch(found[-1]):
            rest = found.pop()
        depths = list(accumulate(self._steps(found), initial=self.depth))
        if max(depths) > MAX_DEPTH:
            number = next(i for i, depth in enumerate(depths[1:]) if depth > MAX_DEPTH)
            token = next(islice(self._pieces.finditer(data), number, None))
            reason = f"nested more than {MAX_DEPTH} deep"
            raise Refused(reason, *after(self._line, self._column, data[: token.start()]))
        self.depth = depths[-1]
        self._line, self._column = after(self._line, self._column, data[: len(data) - len(rest)])
        self._rest = rest
        if len(rest) > MAX_TOKEN:
            raise Refused(f"a single token is longer than {MAX_TOKEN >> 20} MiB", self._line, self._column)


_SPARQL = re.compile(
    STRINGS.decode()
    + r"|(?P<blank>#[^\n\r]*+|\s++)"
    + r"|(?P<iri><[^\x00-\x20<>\"{}|^`\\]*+>)"
    + r"|[?$]\w++|@[A-Za-z]++(?:-++[A-Za-z0-9]++)*+"
    + r"|(?P<prefix>[\w.-]*+):(?:[\w:%.-]|\\.)*+"
    + r"|(?P<word>[^\W\d]\w*+)"
    + r"|(?P<open>[({\[])|(?P<close>[)}\]])"
    + r"|.",
    re.DOTALL,
)
_CERTAIN_IRI = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*://")
_FORBIDDEN = re.compile("service|load", re.IGNORECASE)
_BLOCK = re.compile(r"(?:\s|#[^\n\r]*+)*+\{")


def check_query(text: str) -> None:
    """Raises UserError unless a SPARQL query stays on this machine and within the parser's stack.

    SERVICE and LOAD are refused (as words: not in a string, an IRI, a comment, a variable or a name), and so is a query
    longer than MAX_QUERY or nested deeper than MAX_DEPTH. The parser has no lexer of its own: `SERVICEex:x{` is a
    SERVICE to it, and `<` opens an IRI or compares, as the grammar needs. So every way to read a `<` is followed here;
    deepest[p] is the greatest depth with which any of them comes to position p.
    """
    if len(text) > MAX_QUERY:
        raise UserError(f"the query is {len(text)} characters long: at most {MAX_QUERY} are accepted")
    deepest = {0: (0, "")}
    positions = [0]
    while positions:
        position = heapq.heappop(positions)
        depth, before = deepest.pop(position)
        token = _SPARQL.match(text, position)
        if token is None:
            continue  # the end
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth > MAX_DEPTH:
            raise UserError(f"{_place(text, position)}: nested more than {MAX_DEPTH} deep")
        if _reaches_out(text, token, before):
            raise UserError(f"{_place(text, position)}: SERVICE and LOAD are refused: a query stays on this machine")
        if token["blank"] is None:
            before = (token["word"] or "").lower()
        nexts = [token.end()]
        if token["iri"] is not None and not _CERTAIN_IRI.match(token["iri"]):
            nexts.append(position + 1)
        for at in nexts:
            if at not in deepest:
                heapq.heappush(positions, at)
            deepest[at] = max(deepest.get(at, (0, "")), (depth, before))


def names_graphs(text: str) -> bool:
    """Whether a SPARQL query says FROM: as a word, not in a string, an IRI, a comment, a variable or a name."""
    return any((token["word"] or "").lower() == "from" for token in _SPARQL.finditer(text))


def _reaches_out(text: str, token: re.Match[str], before: str) -> bool:
    if token["word"] is not None:
        return _FORBIDDEN.search(token["word"]) is not None
    if token["prefix"] and "service" in token["prefix"].lower() and before not in ("graph", "from", "named"):
        # the keyword grown together with a name: `SERVICEex:x {`
        return _BLOCK.match(text, token.end()) is not None
    return False


def _place(text: str, position: int) -> str:
    line, column = after(1, 1, text[:position].encode("utf-8", errors="replace"))
    return f"query:{line}:{column}"
