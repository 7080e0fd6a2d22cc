"""What people decided, as integers: which facts are known by it alone, and which are no candidates."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from kg.decisions.journal import Fact, Journal
from kg.decisions.verdicts import Standing, Verdicts
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary

Rows = Int[Tensor, "F 3"]


@final
@dataclass(frozen=True, eq=False)
class Decided:
    """What people decided, up to the line `number` of a journal. accepted: facts that nothing else states. rejected:
    facts between known entities, and what says the same of them."""

    journal: Journal
    number: int
    verdicts: Verdicts
    accepted: KnownAnswers
    rejected: KnownAnswers

    @classmethod
    def nothing(cls, journal: Journal, known: KnownAnswers) -> "Decided":
        none = KnownAnswers.from_triples(known.tails.new_zeros(0, 3), known.num_relations)
        return cls(journal, 0, Verdicts(), none, none)

    def among(self, vocabulary: Vocabulary, schema: Schema, stated: KnownAnswers) -> "Decided":
        """The same of other facts, all placed anew."""
        nothing, every = Decided.nothing(self.journal, stated), frozenset(self.verdicts.by_fact)
        return nothing._placed(self.verdicts, every, self.number, vocabulary, schema, stated)

    def refreshed(self, vocabulary: Vocabulary, schema: Schema, stated: KnownAnswers) -> "Decided":
        """With what was written since; of these same stated facts. O(what was written), beside copies of what stays;
        the same object where nothing was."""
        lines = self.journal.lines(self.number)
        if not lines:
            return self
        verdicts, touched = self.verdicts.after(line for _, line in lines)
        return self._placed(verdicts, touched, lines[-1][0], vocabulary, schema, stated)

    def _placed(
        self,
        verdicts: Verdicts,
        touched: Collection[Fact],
        number: int,
        vocabulary: Vocabulary,
        schema: Schema,
        stated: KnownAnswers,
    ) -> "Decided":
        """With these verdicts, which differ from its own in the facts that are touched."""

        def changed(answers: KnownAnswers, standing: Standing, facts: Iterable[Fact], mirrored: bool) -> KnownAnswers:
            """With the facts that stand so now, and without those that do not any more."""
            came, gone = list[Fact](), list[Fact]()
            for fact in facts:
                same = said_as(fact, schema) if mirrored else [fact]
                was, now = (any(each.standing(one) == standing for one in same) for each in (self.verdicts, verdicts))
                if was != now:
                    (came if now else gone).append(fact)
            rows = [_rows(each, vocabulary, answers) for each in (came, gone)]
            if not mirrored:  # what is stated is known without it
                rows = [each[~stated.contains(*each.T.contiguous())] for each in rows]
            if not len(rows[0]) and not len(rows[1]):
                return answers
            return answers.changed(rows[0], rows[1], len(vocabulary.entities))

        mirrored = dict.fromkeys(each for fact in touched for each in said_as(fact, schema))
        accepted = changed(self.accepted, "accepted", touched, mirrored=False)
        rejected = changed(self.rejected, "rejected", mirrored, mirrored=True)
        return Decided(self.journal, number, verdicts, accepted, rejected)


def said_as(fact: Fact, schema: Schema) -> list[Fact]:
    """The fact, and what says the same of it by the schema: turned round, where its predicate is symmetric, or by an
    inverse of it."""
    subject, predicate, object_ = fact
    mirrors = [predicate] if predicate in schema.symmetric else []
    return [fact, *((object_, other, subject) for other in (*mirrors, *schema.inverse.get(predicate, ())))]


def _rows(facts: Iterable[Fact], vocabulary: Vocabulary, like: KnownAnswers) -> Rows:
    """As integers: those whose terms are all known."""
    hrt = torch.tensor(vocabulary.numbered(facts), dtype=torch.long, device=like.tails.device).reshape(-1, 3)
    return hrt[(hrt >= 0).all(1)]
