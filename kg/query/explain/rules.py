"""Mined rules in RDF terms: as people read them, as SPARQL does, and as rows of a table, the surest first."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, final

import numpy as np

from kg.files import write_lines
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.rules.rule import Atom, Rule, Rules, conjunction

COLUMNS = (
    "rule",
    "confidence",
    "support",
    "body",
    "head_coverage",
    "pca_confidence",
    "sampled",
    "body_pattern",
    "head_pattern",
)


@final
class RuleNames:
    """What the numbers in rules are called."""

    def __init__(self, vocabulary: Vocabulary, schema: Schema) -> None:
        self._vocabulary = vocabulary
        self._schema = schema

    def text(self, rule: Rule) -> str:
        """In labels: borders(X,Z) & memberOf(Z,Y) => memberOf(X,Y)."""
        return rule.text(self._relation, self._entity)

    def facts(self, atoms: Iterable[Atom]) -> str:
        """The same of a body."""
        return conjunction(atoms, self._relation, self._entity)

    def pattern(self, atoms: Iterable[Atom]) -> str:
        """In terms, as SPARQL's triple patterns: ?X <http://world.example/borders> ?Z . ?Z ..."""
        return " . ".join(" ".join(self.terms(atom)) for atom in atoms)

    def terms(self, atom: Atom) -> tuple[str, str, str]:
        """Subject, predicate, object; a variable as ?X."""
        return self._term(atom.left), _bracketed(self._vocabulary.relations[atom.relation]), self._term(atom.right)

    def row(self, text: str, rule: Rule) -> dict[str, Any]:
        """The COLUMNS of a rule with this text."""
        figures = {name: getattr(rule, name) for name in COLUMNS[1:7]}
        patterns = {"body_pattern": self.pattern(rule.atoms), "head_pattern": self.pattern([rule.head])}
        return {"rule": text, **figures, **patterns}

    def _term(self, term: str | int) -> str:
        return f"?{term}" if isinstance(term, str) else _bracketed(self._vocabulary.entities[term])

    def _relation(self, number: int) -> str:
        return self._label(self._vocabulary.relations[number])

    def _entity(self, number: int) -> str:
        return self._label(self._vocabulary.entities[number])

    def _label(self, term: str) -> str:
        return " ".join(self._schema.label(term).split())  # on one line


def _bracketed(term: str) -> str:
    return term if term.startswith("_:") else f"<{term}>"


def ranked(rules: Rules, names: RuleNames, relations: Collection[int] | None = None) -> Iterator[tuple[str, Rule]]:
    """The rules for these relations (None: for all) with their texts: by falling confidence, support, then by text.

    Those without a body, as many as there are answers in the graph, are left out unless there are no others. O(rules
    log rules) in NumPy; of those that tie, all texts are made when the first of them is asked for.
    """
    head = rules.head_relation % rules.num_relations
    wanted = np.ones(len(rules), bool) if relations is None else np.isin(head, list(relations))
    with_body = wanted & rules.has_body
    chosen = np.flatnonzero(with_body if with_body.any() else wanted)
    confidence, support = rules.confidence[chosen], rules.support[chosen]
    order = np.lexsort((-support, -confidence))
    changes = (np.diff(confidence[order]) != 0) | (np.diff(support[order]) != 0)
    for start, stop in pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(order)]):
        tied = chosen[order[start:stop]].tolist()
        for text, number in sorted((names.text(rules[number]), number) for number in tied):
            yield text, rules[number]


def write_rules(ranked_rules: Iterable[tuple[str, Rule]], names: RuleNames, path: Path) -> int:
    """A line a rule under a heading, separated by tabs; how many. The file appears whole or not at all."""
    rows = (names.row(text, rule).values() for text, rule in ranked_rules)
    return write_lines(path, chain(["\t".join(COLUMNS)], ("\t".join(map(_cell, row)) for row in rows))) - 1


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
