"""What docs/loading.md says of literals is what a store gives back."""

import re
from pathlib import Path

import pyoxigraph as ox

from kg.namespaces import XSD
from kg.store.store import Store

PAGE = Path(__file__).parents[1] / "docs" / "loading.md"


def rows() -> list[tuple[str, str]]:
    """(written, kept) of the page's table."""
    found = []
    table = PAGE.read_text(encoding="utf-8").partition("| written | kept | |\n")[2]
    for line in table.splitlines()[1:]:
        written, kept = (re.findall(r'`("[^`]*)`', cell) for cell in line.split("|")[1:3])
        found += [(literal, kept[0] if kept else literal) for literal in written]
    return found


def test_the_page_says_what_is_kept(tmp_path: Path) -> None:
    pairs = rows()
    assert len(pairs) > 20
    turtle = "".join(f"<http://e/{i}> <http://e/p> {written} .\n" for i, (written, _) in enumerate(pairs))
    (tmp_path / "a.ttl").write_text(f"@prefix xsd: <{XSD}> .\n{turtle}")
    with Store(tmp_path / "a.kg", create=True) as store:
        assert store.load(tmp_path / "a.ttl").added == len(pairs)
        store.dump(tmp_path / "out.nt")
    found = {quad.subject.value: str(quad.object) for quad in ox.parse(path=tmp_path / "out.nt")}
    kept = (re.sub(r"\^\^xsd:(\w+)", rf"^^<{XSD}\1>", kept) for _, kept in pairs)
    assert found == {f"http://e/{i}": literal for i, literal in enumerate(kept)}


def test_two_ways_to_write_a_value_are_one_fact(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_text("<http://e/a> <http://e/p> 1.5, 1.50, 01.5 , 1.5e0.")
    with Store(tmp_path / "a.kg", create=True) as store:
        loaded = store.load(tmp_path / "a.ttl")
        assert (loaded.read, loaded.added) == (4, 2)
