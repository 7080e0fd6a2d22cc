"""Every query of docs/queries.md: it runs, prints the columns it shows, and without a model exactly what it shows."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pyoxigraph as ox
import pytest
from typer.testing import CliRunner

from kg.cli.app import app
from kg.cli.console import PlainConsole
from kg.cli.sparql import print_answer
from kg.files import shipped
from kg.namespaces import KG, PREDICTIONS
from kg.query.sparql.scored import ScoredStore
from kg.store.sparql import Answer
from kg.store.store import Store

ROOT = Path(__file__).parents[1]
WORLD = "http://world.example/"
REIFIES = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies")
PREDICTED = [("Norway", "coastOn", "BalticSea", 0.579), ("Greece", "coastOn", "AdriaticSea", 0.215)]


class Shown(NamedTuple):
    query: str
    options: str
    output: str


TEXT = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
BLOCKS = r"```sparql\n(.*?)```\n\n    kg sparql world.kg (.*?)QUERY\n\n```text\n(.*?)```"
SHOWN = [Shown(*found) for found in re.findall(BLOCKS, TEXT, re.S)]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, ScoredStore]]:
    """The world with two predictions published, and a model of it that was hardly trained."""
    folder = tmp_path_factory.mktemp("queries")
    options = ["--model", "distmult", "--dim", "8", "--epochs", "2"]
    with Store(folder / "world.kg", create=True) as store:
        store.load(str(shipped("world.ttl")))
        with pytest.MonkeyPatch.context() as patched:  # calibrated on fewer candidates, as the model is
            patched.setattr("kg.probability.candidate_sample._QUESTIONS", 1 << 13)
            patched.setattr("kg.probability.fitting._ROWS", 1 << 14)
            patched.setattr("kg.probability.fitting._Fit._tried", lambda self, calibration, shown: calibration)
            trained = CliRunner().invoke(app, ["train", str(store.path), str(folder / "world.model"), *options])
        assert trained.exit_code == 0, trained.stderr
        store.add(predicted())
        with ScoredStore(store, folder / "world.model") as scored:
            yield store, scored


def predicted() -> Iterator[ox.Quad]:
    """As they stand when they have been published."""
    graph = ox.NamedNode(PREDICTIONS)
    for subject, predicate, object_, probability in PREDICTED:
        fact = ox.Triple(*(ox.NamedNode(WORLD + name) for name in (subject, predicate, object_)))
        reifier = ox.BlankNode()
        yield ox.Quad(*fact, graph)
        yield ox.Quad(reifier, REIFIES, fact, graph)
        yield ox.Quad(reifier, ox.NamedNode(KG + "probability"), ox.Literal(probability), graph)


def answered(shown: Shown, store: Store, scored: ScoredStore) -> Answer:
    asked = scored if "--model" in shown.options else store
    return asked.answer(shown.query, with_predictions="--with-predictions" in shown.options)


def printed(shown: Shown, answer: Answer, prefixes: dict[str, str]) -> list[str]:
    file, format = StringIO(), "turtle" if "--format turtle" in shown.options else "table"
    print_answer(answer, format, prefixes, PlainConsole(file=file, width=100))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_there_are_ten_questions_and_each_query_is_read() -> None:
    headings = re.findall(r"^## (\d+)\. ", TEXT, re.M)
    assert headings == [str(i) for i in range(1, 11)]
    assert len(SHOWN) == TEXT.count("```sparql") >= 10
    for shown in SHOWN:
        assert ("--model" in shown.options) == bool(re.search(r"kg:(score|probability|known)\(", shown.query))


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: re.sub(r"\W+", "-", shown.query[:40]))
def test_a_query_of_the_document(scored: tuple[Store, ScoredStore], shown: Shown) -> None:
    answer = answered(shown, *scored)
    results = answer.results()
    assert not answer.notes
    if not isinstance(results, bool) and "CONSTRUCT" not in shown.query:
        assert results.rows and all(None not in row for row in results.rows)
    lines, expected = printed(shown, answer, scored[0].prefixes), shown.output.splitlines()
    if "--model" in shown.options or "urn:kg:predictions" in shown.query:
        lines, expected = columns(lines), columns(expected)
    assert expected and lines == expected


def columns(lines: list[str]) -> list[str]:
    """What heads a table, or declares a prefix."""
    return lines[1].replace("┃", " ").split() if lines[0][0] == "┏" else [each for each in lines if each[0] == "@"]
