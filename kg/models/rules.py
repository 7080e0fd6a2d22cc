"""RuleScorer: answers from the rules that fire."""

import math
from dataclasses import fields
from functools import partial
from typing import Any, Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import check_at_least_one, check_choice
from kg.graph.graph import Graph, spans
from kg.interruption import waited_for
from kg.models.scorer import Queries, Scorer, Tails
from kg.rules.prediction import Index, answers, index_of, lexicographic
from kg.rules.rule import MOST_ATOMS, Rules
from kg.walks.edges import check_questions, edges_of

NEVER = math.log(1e-7)


class _FiredRules(NamedTuple):
    """Scores of answers, by row and entity: those that rules with a body give, and those that are merely frequent."""

    given: "_Scores"
    frequent: "_Scores"
    num_rows: int
    num_entities: int


class _Scores(NamedTuple):
    row: Int[Tensor, " M"]
    entity: Int[Tensor, " M"]
    score: Float[Tensor, " M"]

    def put(self, scores: Float[Tensor, "B K"], start: int) -> None:
        """Write them where they belong in a block whose first column is `start`."""
        inside = (self.entity >= start) & (self.entity < start + scores.shape[1])
        scores[self.row[inside], self.entity[inside] - start] = self.score[inside]


@final
class RuleScorer(Scorer):
    """Of the confidences c1 >= c2 >= ... of the num_rules surest rules that answer (h, r, ?) with t, one score:

        max_plus: the log-odds of c1; ties broken by c2, then c3 ... (by single units in the last place, never summed)
        noisy_or: the log-odds of 1 - prod_i (1 - c_i), that is of their not all being wrong

    (Meilicke et al., 2019.) What no rule gives scores log 10^-7. The rules are followed in the graph of the question,
    hence they answer for entities that came after the mining; only a rule with a constant is about that one entity. Its
    numbers are those of kg.rules.rule.Rules, mined by kg.training.algorithms.mining.
    """

    reads_graph = True
    ragged = frozenset(field.name for field in fields(Rules))

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        aggregation: Literal["max_plus", "noisy_or"] = "max_plus",
        num_rules: int = 5,
    ) -> None:
        super().__init__(num_entities, num_relations)
        check_choice("aggregation", aggregation, ("max_plus", "noisy_or"))
        check_at_least_one(num_rules=num_rules)
        self.aggregation = aggregation
        self.num_rules = num_rules
        self._index: Index | None = None
        for field in fields(Rules):
            self.register_buffer(field.name, torch.zeros(0, dtype=torch.int32))
        self.learn(Rules.none(num_relations))

    def learn(self, rules: Rules) -> None:
        """Answer by these rules from now on."""
        for field in fields(rules):
            setattr(self, field.name, torch.from_numpy(getattr(rules, field.name)).to(self.device))
        self._index = None

    @property
    def rules(self) -> Rules:
        """What it answers by."""
        return Rules(**{field.name: getattr(self, field.name).cpu().numpy() for field in fields(Rules)})

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Rules are as many as they are."""
        for field in fields(Rules):
            if prefix + field.name in state_dict:
                setattr(self, field.name, torch.empty_like(state_dict[prefix + field.name], device=self.device))
        self._index = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def check_arrays(self) -> None:
        """It is what proves every index that the loops of kg.rules.prediction and kg.rules.evidence take from rules."""
        found = {name: tuple(self.get_buffer(name).shape) for name in self.ragged}
        num_closed, num_constant = found["closed"][0], found["constant"][0]
        if not 2 <= found["closed"][1] <= MOST_ATOMS + 1:
            raise ValueError(f"closed must hold bodies of 1 to {MOST_ATOMS} atoms: it is {found['closed']}")
        shapes = {
            "closed_counts": (num_closed, 3),
            "sampled": (num_closed,),
            "constant": (num_constant, 4),
            "constant_counts": (num_constant, 3),
            "relation_size": (self.num_relations,),
        }
        for name, shape in shapes.items():
            if found[name] != shape:
                raise ValueError(f"{name} must be {shape}: it is {found[name]}")
        self.rules.check(self.num_entities)

    def encode(self, queries: Queries) -> _FiredRules:
        if self._index is None:
            self._index = waited_for(partial(index_of, self.rules, self.num_entities))
        index = self._index
        heads, relations = (x.cpu().numpy() for x in (queries.head, queries.relation))
        self._check_graph(queries.graph)
        check_questions(queries.graph, heads, relations)
        # Of a batch that many rules fire for it takes some seconds.
        given = waited_for(partial(answers, edges_of(queries.graph), index, heads, relations, self.num_rules))
        first, count = index.first_plain[relations], index.first_plain[relations + 1] - index.first_plain[relations]
        row, place = (x.numpy() for x in spans(torch.from_numpy(first), torch.from_numpy(count)))
        is_other = index.plain[place] != heads[row]  # X is not c
        row, place = row[is_other], place[is_other]
        offsets = np.searchsorted(row, np.arange(len(heads) + 1))
        plain = offsets, index.plain[place], index.plain_confidence[place, None]
        return _FiredRules(
            self._scored(*given, queries), self._scored(*plain, queries), len(heads), queries.graph.num_entities
        )

    def _check_graph(self, graph: Graph) -> None:
        """The compiled loops check no index, and would read outside of their arrays."""
        if graph.num_relations != self.num_relations or graph.num_entities < self.num_entities:
            raise ValueError(
                f"rules of {self.num_entities:,} entities and {self.num_relations:,} relations "
                f"cannot answer in a graph of {graph.num_entities:,} and {graph.num_relations:,}"
            )

    def _scored(
        self,
        offsets: Int[np.ndarray, " B1"],
        entity: Int[np.ndarray, " M"],
        confidences: Float[np.ndarray, "M K"],
        queries: Queries,
    ) -> _Scores:
        score = lexicographic(offsets, confidences) if self.aggregation == "max_plus" else noisy_or(confidences)
        row = np.repeat(np.arange(len(queries)), np.diff(offsets))
        where = queries.head.device
        return _Scores(*(torch.from_numpy(x).to(where) for x in (row, entity.astype(np.int64), score)))

    def compare(self, state: _FiredRules, tails: Tails = None) -> Float[Tensor, "B K"]:
        if isinstance(tails, Tensor):
            everything = self.compare(state)
            return everything[:, tails] if tails.ndim == 1 else everything.gather(1, tails)
        start, stop, _ = (tails or slice(None)).indices(state.num_entities)
        scores = state.given.score.new_full((state.num_rows, max(0, stop - start)), NEVER)
        state.frequent.put(scores, start)
        state.given.put(scores, start)
        return scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()


def noisy_or(confidences: Float[np.ndarray, "M K"]) -> Float[np.ndarray, " M"]:
    """The log-odds of their not all being wrong, were they independent."""
    evidence = -np.log1p(-confidences).sum(1)  # minus the logarithm of the probability that they are
    log_odds: Float[np.ndarray, " M"] = evidence + np.log(-np.expm1(-evidence))  # log(exp(evidence) - 1)
    return log_odds
