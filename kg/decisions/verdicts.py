"""What all the decisions come to: of each fact whether it is accepted or rejected, and how far people agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, final, get_args

from kg.decisions.journal import Decision, Fact, Undo

Standing = Literal["accepted", "rejected", "contested", "unsure"]


@final
@dataclass(frozen=True)
class Verdicts:
    """by_fact: of each fact the decisions that stand, oldest first; of a person the newest counts. batches: by id and
    person, the facts that were decided on at once. Of each fact how it stands, and of each predicate how many do so.

    A fact is accepted where more people accept it than reject it, rejected where more reject it; contested where as
    many do; unsure where nobody does either. What is contested or unsure stays a candidate.
    """

    by_fact: dict[Fact, tuple[Decision, ...]] = field(default_factory=dict)
    batches: dict[tuple[str, str], tuple[Fact, ...]] = field(default_factory=dict)
    standings: dict[Fact, Standing] = field(default_factory=dict)
    _counts: dict[tuple[str, Standing], int] = field(default_factory=dict)

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "Verdicts":
        """decisions: oldest first."""
        return cls().after(decisions)[0]

    def after(self, lines: Iterable[Decision | Undo]) -> tuple["Verdicts", frozenset[Fact]]:
        """These and what was written next, and the facts that it says something of. Beside copies of what stays, in
        time that goes with the lines."""
        by_fact, batches, standings = dict(self.by_fact), dict(self.batches), dict(self.standings)
        counts, touched = Counter(self._counts), dict[Fact, None]()
        grown: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        for line in lines:
            key = line.batch, line.person
            if isinstance(line, Decision):
                by_fact[line.fact] = (*by_fact.get(line.fact, ()), line)
                grown[key].append(line.fact)
                touched[line.fact] = None
                continue
            for fact in dict.fromkeys([*batches.pop(key, ()), *grown.pop(key, ())]):
                by_fact[fact] = tuple(each for each in by_fact[fact] if (each.batch, each.person) != key)
                touched[fact] = None
        for fact in touched:
            if fact in standings:
                counts[fact[1], standings[fact]] -= 1
            if by_fact[fact]:
                standings[fact] = _standing(_newest(by_fact[fact]).values())
                counts[fact[1], standings[fact]] += 1
            else:
                del by_fact[fact]
                standings.pop(fact, None)
        for key, facts in grown.items():
            batches[key] = (*batches.pop(key, ()), *facts)  # the last one stands last
        return Verdicts(by_fact, batches, standings, counts), frozenset(touched)

    def said(self, fact: Fact) -> dict[str, Decision]:
        """The newest decision of every person who has decided on it, by person, the newest of all last."""
        return _newest(self.by_fact.get(fact, ()))

    def last_of(self, person: str) -> tuple[Decision, int] | None:
        """What this person said last, and did not take back, and how many facts they decided on with it."""
        for batch, by in reversed(self.batches):
            if by == person:
                facts = self.batches[batch, by]
                return self.said(facts[-1])[person], len(facts)
        return None

    def standing(self, fact: Fact) -> Standing | None:
        """None: nobody has decided on it."""
        return self.standings.get(fact)

    def of_standing(self, wanted: Standing) -> list[Fact]:
        """The facts that are accepted, rejected ..., in no order."""
        return [fact for fact, standing in self.standings.items() if standing == wanted]

    def counts(self, predicate: str | None = None) -> dict[Standing, int]:
        """How many facts are accepted, rejected, contested and unsure: of this predicate, or all."""
        found: Counter[Standing] = Counter()
        for (own, standing), count in self._counts.items():
            if predicate in (None, own):
                found[standing] += count
        return {standing: found[standing] for standing in get_args(Standing)}

    def restrictions(self) -> frozenset[Fact]:
        """The facts that stand for OWL restrictions, as whoever decided last was shown them."""
        return frozenset(fact for fact, said in self.by_fact.items() if said[-1].restriction)

    def agreement(self) -> float | None:
        """Krippendorff's alpha of accept and reject (nominal): 1 - observed disagreement / that of chance; 'unsure' is
        no answer. None where no fact was decided on by two people, or all said the same of everything: then chance
        disagrees as little. (Krippendorff, Content Analysis, 2004, chapter 11.)
        """
        units = [
            (votes.count("accept"), votes.count("reject"))
            for fact in self.by_fact
            if len(votes := [each.verdict for each in self.said(fact).values() if each.verdict != "unsure"]) > 1
        ]
        accept, reject = (sum(column) for column in zip(*units, strict=True)) if units else (0, 0)
        if not accept or not reject:
            return None
        observed = sum(2 * a * r / (a + r - 1) for a, r in units)
        expected = 2 * accept * reject / (accept + reject - 1)
        return 1 - observed / expected


def _newest(said: Iterable[Decision]) -> dict[str, Decision]:
    found: dict[str, Decision] = {}
    for each in said:
        found.pop(each.person, None)  # the newest stands last
        found[each.person] = each
    return found


def _standing(said: Iterable[Decision]) -> Standing:
    votes = [each.verdict for each in said]
    accept, reject = votes.count("accept"), votes.count("reject")
    if accept == reject:
        return "contested" if accept else "unsure"
    return "accepted" if accept > reject else "rejected"
