"""What all the decisions come to: of each fact whether it is accepted or rejected, and how far people agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, final, get_args

from kg.decisions.journal import Decision, Fact

Standing = Literal["accepted", "rejected", "contested", "unsure"]


@final
@dataclass(frozen=True)
class Verdicts:
    """by_fact: of each fact the newest decision of every person, by person. Of a person the newest counts.

    A fact is accepted where more people accept it than reject it, rejected where more reject it; contested where as
    many do; unsure where nobody does either. What is contested or unsure stays a candidate.
    """

    by_fact: Mapping[Fact, Mapping[str, Decision]]

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "Verdicts":
        """decisions: oldest first."""
        by_fact: dict[Fact, dict[str, Decision]] = defaultdict(dict)
        for each in decisions:
            by_fact[each.fact].pop(each.person, None)  # the newest stands last
            by_fact[each.fact][each.person] = each
        return cls(dict(by_fact))

    def standing(self, fact: Fact) -> Standing | None:
        """None: nobody has decided on it."""
        said = self.by_fact.get(fact)
        return _standing(said.values()) if said else None

    def of_standing(self, wanted: Standing) -> list[Fact]:
        """The facts that are accepted, rejected ..., in the order in which they were first decided on."""
        return [fact for fact, said in self.by_fact.items() if _standing(said.values()) == wanted]

    def counts(self) -> dict[Standing, int]:
        """How many facts are accepted, rejected, contested and unsure."""
        found = Counter(_standing(said.values()) for said in self.by_fact.values())
        return {standing: found[standing] for standing in get_args(Standing)}

    def restrictions(self) -> frozenset[Fact]:
        """The facts that stand for OWL restrictions, as whoever decided last was shown them."""
        return frozenset(fact for fact, said in self.by_fact.items() if list(said.values())[-1].restriction)

    def agreement(self) -> float | None:
        """Krippendorff's alpha of accept and reject (nominal): 1 - observed disagreement / that of chance; 'unsure' is
        no answer. None where no fact was decided on by two people, or all said the same of everything: then chance
        disagrees as little. (Krippendorff, Content Analysis, 2004, chapter 11.)
        """
        units = [
            (votes.count("accept"), votes.count("reject"))
            for said in self.by_fact.values()
            if len(votes := [each.verdict for each in said.values() if each.verdict != "unsure"]) > 1
        ]
        accept, reject = (sum(column) for column in zip(*units, strict=True)) if units else (0, 0)
        if not accept or not reject:
            return None
        observed = sum(2 * a * r / (a + r - 1) for a, r in units)
        expected = 2 * accept * reject / (accept + reject - 1)
        return 1 - observed / expected


def _standing(said: Iterable[Decision]) -> Standing:
    votes = [each.verdict for each in said]
    accept, reject = votes.count("accept"), votes.count("reject")
    if accept == reject:
        return "contested" if accept else "unsure"
    return "accepted" if accept > reject else "rejected"
