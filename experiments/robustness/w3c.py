"""Are the W3C's test suites of RDF 1.1 read as they say: N-Triples, N-Quads, Turtle, TriG, RDF/XML?

A file that should be read is, and the facts of an evaluation are those that its result file holds: up to the names of
blank nodes, and with literals compared by value, as the store keeps them. All files that should be read are then loaded
into one store. A file that should not be read is an error of one line.

    python experiments/robustness/w3c.py SUITES

SUITES is a folder of folders, each with a manifest.ttl: rdf/rdf11 of https://github.com/w3c/rdf-tests; or, as they were
in 2020, test/data/suites/w3c in the source of rdflib. They are not in this repository. Results go to
experiments/results/w3c.json: counts by suite and kind, and each test that differs, with why.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyoxigraph as ox

from kg.errors import UserError
from kg.store.reading import read
from kg.store.store import Store

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

MANIFEST = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
KIND = re.compile(
    r"http://www\.w3\.org/ns/rdftest#Test(NTriples|NQuads|Turtle|Trig|XML)(PositiveSyntax|NegativeSyntax|NegativeEval|Eval)"
)
BASES = {  # where the files are taken to lie, if the manifest does not say; of N-Triples and N-Quads it does not matter
    "Turtle": "http://www.w3.org/2013/TurtleTests/",
    "Trig": "http://www.w3.org/2013/TriGTests/",
    "XML": "http://www.w3.org/2013/RDFXMLTests/",
}


@dataclass(frozen=True)
class Test:
    """base: the IRI of the file that it is about."""

    name: str
    suite: str
    kind: str
    file: Path
    base: str
    result: Path | None

    @property
    def positive(self) -> bool:
        return not self.kind.startswith("Negative")


def tests(manifest: Path) -> Iterator[Test]:
    """Those of a manifest, in its order; other kinds than of these suites are left out."""
    facts = list(ox.parse(path=manifest, format=ox.RdfFormat.TURTLE, base_iri="http://here/"))
    said = {(fact.subject, fact.predicate.value): fact.object for fact in facts}
    assumed = next((fact.object.value for fact in facts if fact.predicate.value == MANIFEST + "assumedTestBase"), None)
    for fact in facts:
        kind = KIND.fullmatch(fact.object.value) if fact.predicate == TYPE else None
        if kind is None:
            continue
        action, result = (said.get((fact.subject, MANIFEST + name)) for name in ("action", "result"))
        assert action is not None
        place = action.value.removeprefix("http://here/")
        expected = None if result is None else manifest.parent / result.value.removeprefix("http://here/")
        base = (assumed or BASES.get(kind[1], "http://here/")) + place
        yield Test(fact.subject.value.partition("#")[2], kind[1], kind[2], manifest.parent / place, base, expected)


def by_value(quads: Iterable[ox.Quad]) -> ox.Dataset:
    """With literals as a store keeps them, and canonical names for blank nodes."""
    store = ox.Store()
    store.extend(quads)
    dataset = ox.Dataset(store)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return dataset


def difference(test: Test) -> str:
    """Why a test fails; '' where it does not."""
    try:
        quads = list(read(test.file, base=test.base))
    except UserError as error:
        return f"not read: {str(error).removeprefix(str(test.file.parent) + '/')}" if test.positive else ""
    if not test.positive:
        return f"read, as {len(quads)} facts, and should not be"
    if test.result is None:
        return ""
    expected = list(ox.parse(path=test.result, base_iri=test.base, lenient=True))
    found, wanted = by_value(quads), by_value(expected)
    if found == wanted:
        return ""
    return (
        f"other facts: {_lines(q for q in found if q not in wanted)} for {_lines(q for q in wanted if q not in found)}"
    )


def _lines(quads: Iterable[ox.Quad]) -> str:
    return " ".join(sorted(str(quad) for quad in quads)) or "none"


def loaded(suite: list[Test]) -> dict[str, int]:
    """All files of a suite that should be read and are, in one store: how many there are, and facts in it."""
    files = [test.file for test in suite if test.positive and not difference(test)]
    base = suite[0].base.rpartition("/")[0] + "/"
    expected = ox.Store()
    for file in files:
        expected.extend(read(file, base=base))
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "w3c.kg", create=True) as store:
        facts = store.load(files, base=base).added
        assert facts == len(expected) == sum(1 for _ in store.match())
        assert all(quad in store.database for quad in expected)
    return {"files": len(files), "facts": facts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", type=Path, metavar="SUITES")
    folder: Path = parser.parse_args().suites
    found: dict[str, list[Test]] = {}
    for manifest in sorted(folder.glob("*/manifest.ttl")):
        for test in tests(manifest):
            found.setdefault(f"{manifest.parent.name}", []).append(test)
    if not found:
        sys.exit(f"{folder}: no manifest of these suites in a folder of it")
    suites: dict[str, Any] = {}
    differences: dict[str, str] = {}
    for name, suite in found.items():
        reasons = {test.name: reason for test in suite if (reason := difference(test))}
        differences |= {f"{name}#{test}": reason for test, reason in reasons.items()}
        kinds: dict[str, Counter[str]] = {}
        for test in suite:
            kinds.setdefault(test.kind, Counter())["as it says" if test.name not in reasons else "differs"] += 1
        suites[name] = {kind: dict(counts) for kind, counts in kinds.items()} | {"loaded": loaded(suite)}
        print(f"{name:24}{len(suite) - len(reasons):4} of {len(suite)}")
    total = sum(map(len, found.values()))
    path = report.write(
        __file__, 0, tests=total, as_they_say=total - len(differences), suites=suites, differences=differences
    )
    for name, reason in differences.items():
        print(f"{name}: {reason}")
    print(f"{total - len(differences)} of {total}: {path}")


if __name__ == "__main__":
    main()
