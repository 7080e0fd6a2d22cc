"""Questions of several facts as people write them: what they mean, and what is none."""

import pytest

from kg.errors import UserError
from kg.query.complex.conjunctive_query import SHAPES, Conjunction, Hop, Shape, parse_question
from kg.query.pattern import Pattern

NAMES = {shape: name for name, shape in SHAPES.items()}


@pytest.mark.parametrize(
    ("text", "shape", "asked", "hops"),
    [
        ("(?x, borders, France)", "1p", "?x", "France <borders"),
        ("France, borders, ?x", "1p", "?x", "France >borders"),
        ("(?x, borders, France) & (?x, memberOf, NATO)", "2i", "?x", "France <borders, NATO <memberOf"),
        ("(Germany, borders, ?x) & (?x, language, ?y) -> ?y", "2p", "?y", "Germany >borders, - >language"),
        ("(Germany, borders, ?x) & (?x, language, ?y)", "2p", "?y", "Germany >borders, - >language"),
        ("(?x, language, ?y)&(Germany, borders, ?x)", "2p", "?y", "Germany >borders, - >language"),
        ("(?y, capital, ?x) & (?x, borders, Italy) ->?y", "2p", "?y", "Italy <borders, - <capital"),
        ("(a, p, ?x) & (?x, q, ?y) & (?y, r, ?z)", "3p", "?z", "a >p, - >q, - >r"),
        ("(a, p, ?x) & (?x, q, b) & (c, r, ?x)", "3i", "?x", "a >p, b <q, c >r"),
        ("(?x, r, ?y) & (a, p, ?x) & (b, q, ?x)", "ip", "?y", "a >p, b >q, - >r"),
        ("(b, q, ?y) & (a, p, ?x) & (?x, r, ?y)", "pi", "?y", "a >p, - >r, b >q"),
        ("(b, q, ?y) & (a, p, ?x) & (?x, r, ?y) -> ?x", "pi", "?x", "b >q, - <r, a >p"),
        ("(?x, p, a) & (?x, p, a)", "1p", "?x", "a <p"),
        ('(?x, in, "a) & (b -> ?y") & (?x, <http://x/p,q>, <http://x/(c) & (d)>)', "2i", "?x",
         "a) & (b -> ?y <in, http://x/(c) & (d) <http://x/p,q"),
        ("(?x, in, Antigua & Barbuda) & (?x, in, Sao Tome & Principe)", "2i", "?x",
         "Antigua & Barbuda <in, Sao Tome & Principe <in"),
    ],
)  # fmt: skip
def test_what_is_asked(text: str, shape: str, asked: str, hops: str) -> None:
    found = parse_question(text)
    assert isinstance(found, Conjunction)
    assert (NAMES[found.shape], found.asked) == (shape, asked)

    def shown(hop: Hop) -> str:
        return f"{hop.given or '-'} {'<' if hop.inverse else '>'}{hop.predicate}"

    assert ", ".join(map(shown, found.hops)) == hops
    assert len(found.hops) == len(found.shape)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("(Germany, borders, ?)", Pattern("Germany", "borders", None)),
        ("Germany, ?, France", Pattern("Germany", None, "France")),
        ("(?, borders, Antigua & Barbuda)", Pattern(None, "borders", "Antigua & Barbuda")),
        ('(?, borders, "a) & (b")', Pattern(None, "borders", "a) & (b")),
        ("(is it? no, borders, ?)", Pattern("is it? no", "borders", None)),
    ],
)
def test_a_single_open_place_is_a_pattern_as_before(text: str, pattern: Pattern) -> None:
    assert parse_question(text) == pattern


def trees(facts: int) -> set[Shape]:
    """All trees of so many facts whose leaves are entities, sources with variables first."""
    if facts == 0:
        return set()
    found = {Shape((None,) * facts)}
    for before in range(1, facts):  # with up to three facts no variable has two sources that are variables
        found |= {Shape((source,) + (None,) * (facts - before - 1)) for source in trees(before)}
    return found


def test_the_seven_shapes_are_all_trees_of_up_to_three_facts() -> None:
    assert set(SHAPES.values()) == trees(1) | trees(2) | trees(3) and len(SHAPES) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(Germany, borders, ?x) & (?x, language, ?y) -> ?x", r"cannot be walked to \?x; answered are chains .*1p, 2p"),
        ("(a, p, ?x) & (b, p, ?y) -> ?x", "cannot be walked"),
        ("(?x, p, ?y) & (?y, q, ?x) -> ?x", "cannot be walked"),
        ("(?x, p, ?y) & (?y, q, ?z) & (?z, r, ?x) -> ?x", "cannot be walked"),
        ("(a, p, ?x) & (?x, q, ?y) & (?x, r, ?y) -> ?y", "cannot be walked"),
        ("(?x, p, ?y)", "cannot be walked"),
        ("(?y, p, ?x) & (?x, q, a)", r"end with -> \?y or -> \?x"),
        ("(a, p, ?x) & (b, q, ?y)", r"end with -> \?x or -> \?y"),
        ("(?x, p, a) -> ?y", r"-> \?y: expected one of \?x"),
        ("(?x, p, a) ->", "expected one of"),
        ("(?x, p, a) & (?x, p, b) & (?x, p, c) & (?x, p, d)", "4 facts, at most 3"),
        ("(?x, ?p, a)", "a predicate is asked for by"),
        ("(?x, p, a) & (?, p, b)", r"needs a name, such as \?x"),
        ("(a, p, b) & (?x, p, b)", "one variable, or two that differ"),
        ("(?x, p, ?x)", "one variable, or two that differ"),
        ("(?x, p, a) & (b, c)", "got 2 terms"),
        ("(?x, p, a) & (?x, , b)", "got 3 terms"),
        ("(?x, p, a) & (?x, <p, b)", "cannot read"),
        ("(?x, p, a) &", "got 3 terms|cannot read|needs|expected"),
        ("((?x, p, a) & (?x, p, b))", "one variable, or two"),
        ("(?x, p, a) &\n (?y, p,\n b) -> ?z", "expected one of"),
        ("(a, b, ?x) & " * 700, "9,100 characters|at most"),
        ("(a, b, ?x) & " * 1000, "13,000 characters: at most 10,000"),
        ("(" * 5000, "expected"),
        ("(" * 4000 + "?x, p, a" + ")" * 4000, "expected"),
        ("(?x, p, a) & " + "(" * 5000, "expected"),
        (")&" * 4999, "expected"),
        (") " * 4999, "expected"),
        ("<" * 9999, "expected"),
        ('"' * 9999, "expected"),
        ("(?x, p, " + "a" * 10**7, "10,000,0.. characters"),
    ],
)
def test_what_is_no_question(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        parse_question(text)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 400
