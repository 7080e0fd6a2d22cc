"""Evidence as SVG: well-formed whatever the labels hold, with all that was found in it."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kg.errors import UserError
from kg.query.explain.evidence import Evidence, Reason
from kg.query.explain.picture import svg, write_svg

FACT = ("a", "r", "b")


def path(*facts: tuple[str, str, str]) -> Reason:
    return Reason("rule", 0.5, 2, 3, False, facts, "text")


def texts(picture: str) -> list[str]:
    """The lines of text in it, as an XML parser reads them."""
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    found = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(each.itertext()).strip() for each in found]


def dashed(picture: str) -> int:
    return picture.count("stroke-dasharray")


PATHS = (
    path(("a", "p", "x"), ("b", "q", "x")),
    path(("a", "s", "b")),
    path(("y", "p", "a"), ("y", "p", "x"), ("x", "q2", "b")),
)


def test_all_paths_and_the_fact_dashed() -> None:
    picture = svg(Evidence(FACT, False, 0.9, PATHS, labels={"a": "Ann", "r": "likes"}))
    assert sorted(texts(picture)) == sorted(["Ann", "b", "x", "y", "likes (0.90)", "p", "q", "s", "p", "p", "q2"])
    assert dashed(picture) == dashed(svg(Evidence(FACT, False, None))) > 0  # no edge of a path is
    assert picture == svg(Evidence(FACT, False, 0.9, PATHS, labels={"a": "Ann", "r": "likes"}))


def test_a_fact_on_two_paths_is_drawn_once() -> None:
    twice = (path(("a", "p", "x"), ("x", "q", "b")), path(("a", "p", "x"), ("x", "s", "b")))
    assert sorted(texts(svg(Evidence(FACT, True, None, twice)))) == ["a", "b", "p", "q", "r", "s", "x"]


def test_a_fact_without_evidence_is_a_picture_too() -> None:
    assert sorted(texts(svg(Evidence(FACT, False, None)))) == ["a", "b", "r"]
    assert sorted(texts(svg(Evidence(("a", "r", "a"), False, None)))) == ["a", "r"]


@pytest.mark.parametrize(
    "label",
    ["a < b & c > d", "$x^2$", "$", r"\alpha", "<b>&amp;</b>", '"quoted"', "]]>", "東京", "دبي", "🜚", "--", "%s {0}"],
)
def test_labels_hold_what_they_hold(label: str) -> None:
    shown = texts(svg(Evidence(FACT, False, None, PATHS, labels=dict.fromkeys(("a", "r", "p", "x"), label))))
    assert shown.count(label) == 6  # two entities, the fact, three facts of p


@pytest.mark.parametrize(("label", "shown"), [("\x00a\x08b", "�a�b"), ("\ud800", "�"), ("", ""), ("a\n\t b", "a    b")])
def test_what_xml_cannot_hold(label: str, shown: str) -> None:
    found = texts(svg(Evidence(FACT, False, None, labels={"a": label})))
    assert [" ".join(text.split()) for text in found].count(" ".join(shown.split())) == (1 if shown else 0)


def test_long_labels_are_broken_and_in_the_end_cut() -> None:
    words = "the Parliamentary Assembly of the Council of Europe"

    def lines_of(label: str) -> list[str]:
        return [line for line in texts(svg(Evidence(FACT, False, None, labels={"a": label}))) if line not in ("b", "r")]

    assert " ".join(lines_of(words)) == words
    for label in ("x" * 5000, "word " * 1000):
        lines = lines_of(label)
        assert len(lines) == 3 and lines[-1].endswith("…") and all(len(line) <= 22 for line in lines)


def test_many_paths() -> None:
    many = tuple(path(("a", f"p{i}", f"x{i}"), (f"x{i}", "q", "b")) for i in range(30))
    assert len(texts(svg(Evidence(FACT, False, None, many)))) == 2 + 1 + 3 * 30


def test_a_file(tmp_path: Path) -> None:
    write_svg(Evidence(FACT, False, None, PATHS), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == svg(Evidence(FACT, False, None, PATHS))
    with pytest.raises(UserError, match="nowhere"):
        write_svg(Evidence(FACT, False, None), tmp_path / "nowhere" / "a.svg")
