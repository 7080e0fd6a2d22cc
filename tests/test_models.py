"""One contract over all scorers, then each one's formula on paper."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from paper import COUNTED, SIMILARITIES, fill, score
from runs import varied
from templates import module_of
from torch import Tensor
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode

from kg.attention.performer import Performer
from kg.attention.softmax import Softmax
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.vocabulary import Vocabulary
from kg.models import SCORERS, declaration, scorer_class
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.naive_bayes import NaiveBayes
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rescal import RESCAL
from kg.models.scorer import WORST, DotScorer, Queries, Scorer
from kg.models.transe import TransE
from kg.rules.mining import mine
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import train

N, R, B = 9, 3, 5  # entities, relations, questions


@dataclass(frozen=True)
class Made:
    """A scorer of SCORERS and its arguments."""

    name: str
    arguments: dict[str, Any]

    @property
    def tied(self) -> bool:
        return bool(self.arguments.get("tied", False))

    def takes(self, argument: str) -> bool:
        return argument in signature(scorer_class(self.name)).parameters

    @property
    def reads_graph(self) -> bool:
        return self().reads_graph

    def drawn(self, entities: int = N, relations: int = R, **arguments: Any) -> Scorer:
        torch.manual_seed(0)
        made = scorer_class(self.name)
        given = {"dim": 6, "init": 0.5, **self.arguments, **arguments}
        return made(entities, relations, **{name: value for name, value in given.items() if self.takes(name)})

    def __call__(self, entities: int = N, relations: int = R, **arguments: Any) -> Scorer:
        scorer = self.drawn(entities, relations, **arguments)
        if self.name == "rules":
            scorer.learn(mine(graph(entities, relations), min_support=1, min_constant_support=1))
        elif self.name == "are":
            scorer.paths.random_(2 * relations)
        elif self.name in COUNTED:
            for counts in scorer.buffers():
                counts.random_(5)
        return scorer

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{name}={_called(value)}" for name, value in self.arguments.items())])

    @property
    def idle(self) -> set[str]:
        """Weights that no score hangs on while every entity has a row, and shares that drop nothing."""
        return IDLE.get(str(self), set())


def _called(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_called, value))
    return str(value.func.__name__ if isinstance(value, partial) else value)


BOTH: list[dict[str, Any]] = [{"tied": False}, {"tied": True}]
ARGUMENTS = {  # what each scorer is tried with, where that is not: inverses tied, and with weights of their own
    "cp": [{}],
    "conve": [{"channels": 4}],
    "transe": [{**tied, "norm": norm} for tied in BOTH for norm in (1, 2)],
    "er_mlp": [{}],
    "frequency": [{}],
    "naive_bayes": [{}],
    **{name: [{}] for name in SIMILARITIES},
    "rules": [{"aggregation": name} for name in ("noisy_or", "max_plus")],
    "path_ranking": [{}],
    "are": [{}],
    "rgcn": [{"num_layers": 1}, {"num_layers": 2}],
    "compgcn": [{"composition": name} for name in ("mult", "sub", "corr")],
    "neighbourhood": [
        *({"width": 8, "readout": name} for name in ("votes", "vector")),
        {"width": 8, "attention": partial(Softmax, causal=True)},
        {"width": 8, "attention": partial(Performer, num_features=8), "num_layers": 1, "feed_forward": False},
    ],
    "paths": [
        *({"attention_dim": 3, "prior_dim": 4, "message": name} for name in ("add", "times")),
        {"attention_dim": 3, "prior_dim": 4, "aggregation": "mean", "max_nodes": 3},
    ],
    "pretrained": [{"attention_dim": 3, "num_layers": 2}],
    "gated": [{"own": partial(NeighbourhoodTransformer, dim=6, width=8), "base": partial(ComplEx, dim=6)}],
    "combine": [{"parts": [partial(ComplEx, dim=6, init=0.5), partial(NaiveBayes), partial(Frequency)]}],
    "rank_ensemble": [{"parts": [partial(ComplEx, dim=6, init=0.5), partial(NaiveBayes), partial(Frequency)]}],
}
IDLE = {
    "neighbourhood-width=8-readout=votes": {"answer.weight", "answer.bias", "output_dropout"},
    "neighbourhood-width=8-readout=vector": {"vote.weight", "vote.bias"},
}
UNWEIGHED = {  # the beginnings of names of parameters that no regularizer weighs
    "rotate": ("phase.",),  # the modulus is 1, whatever the phase
    "tucker": ("core",),  # it belongs to no fact
    "conve": ("norms.", "filters.", "projection."),
    "er_mlp": ("blocks", "output"),  # nor do these
    "are": ("weight",),  # of paths
    "rgcn": ("layers.",),
    "compgcn": ("layers.",),
    "neighbourhood": (
        *("question.", "lift.", "token.", "scale.", "shift.", "token_norm."),
        *("mixing.", "reading.", "norm.", "answer.", "vote."),
    ),
    "paths": ("profile.", "layers.", "inner.", "asking.", "outer."),
    "pretrained": ("profile.", "vectors.", "keys.", "layers.", "inner.", "asking.", "outer."),
}
UNWEIGHED["gated"] = ("gate.", *(f"own.{name}" for name in UNWEIGHED["neighbourhood"]))
OWN_DROPOUT = {"gated": "base_dropout", "paths": "hidden_dropout", "pretrained": "hidden_dropout"}
NORMALISED = {"conve"}  # by the batch in training, by running figures otherwise
VARIANTS = [Made(name, arguments) for name in SCORERS for arguments in ARGUMENTS.get(name, BOTH)]
every_scorer = pytest.mark.parametrize("make", VARIANTS, ids=str)
# What only counts has nothing to weigh or to drop, no gradient moves it, and it needs no vector of anything.
WEIGHTED = [made for made in VARIANTS if made.name not in COUNTED]
every_weighted_scorer = pytest.mark.parametrize("make", WEIGHTED, ids=str)
# What looks at the graph has vectors for entities beyond the table as well: tests/test_encoder.py.
every_blind_scorer = pytest.mark.parametrize("make", [made for made in WEIGHTED if not made.reads_graph], ids=str)
tieable = pytest.mark.parametrize("make", [made for made in VARIANTS if "tied" in made.arguments], ids=str)


def graph(entities: int = N, relations: int = R) -> Graph:
    facts = [[h, r, (h + r + 1) % entities] for h in range(entities) for r in range(relations)]
    return Graph.from_triples(torch.tensor(facts), entities, relations)


def questions(where: Graph | None = None, generator: torch.Generator | None = None) -> Queries:
    """Five questions, some of them backwards."""
    return Queries(torch.tensor([0, 1, 2, 8, 4]), torch.tensor([0, 1, 2, 3, 5]), where or graph(), generator)


def close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


@every_scorer
def test_every_way_to_name_candidates_gives_the_same_scores(make: Made) -> None:
    scorer = make()
    everything = scorer.score_tails(questions())
    assert everything.shape == (B, N)
    shared = torch.tensor([3, 3, 0, 8])
    close(scorer.score_tails(questions(), shared), everything[:, shared])
    own = torch.arange(B * 4).view(B, 4) % N
    close(scorer.score_tails(questions(), own), everything.gather(1, own))
    for block in (slice(0, 4), slice(4, N), slice(7, 100), slice(3, 3), slice(None)):
        close(scorer.score_tails(questions(), block), everything[:, block])
    for tail in range(N):
        close(scorer.score_hrt(questions(), torch.full((B,), tail)), everything[:, tail])


@every_scorer
def test_declared_without_memory_and_then_given_its_arrays_it_is_the_same(make: Made) -> None:
    declared = declaration.declared(make.drawn, N, R)
    scorer = make()
    arrays = {name: array.clone() for name, array in scorer.state_dict().items()}
    declared.check_fit(arrays)
    declared.load_state_dict(arrays, assign=True)
    declared.check()
    assert not any(array.is_meta for array in declared.state_dict().values())
    assert torch.equal(declared.eval().score_tails(questions()), scorer.eval().score_tails(questions()))
    for name in arrays:
        with pytest.raises(ValueError, match=f"{name} is missing"):
            declared.check_fit({other: array for other, array in arrays.items() if other != name})
        with pytest.raises(ValueError, match=f"{name} must be .* it is .* of complex64"):
            declared.check_fit(arrays | {name: arrays[name].to(torch.complex64)})
        with pytest.raises(ValueError, match=f"{name} must be"):
            declared.check_fit(arrays | {name: arrays[name][..., None]})
    with pytest.raises(ValueError, match="other is none of its arrays"):
        declared.check_fit(arrays | {"other": torch.zeros(1)})


@every_scorer
def test_a_number_that_is_not_finite_is_found_in_every_array(make: Made) -> None:
    scorer = make()
    scorer.check()
    for name, array in scorer.state_dict().items():
        if array.is_floating_point():
            last = array.view(-1)[-1:]
            before = last.clone()
            for number in (torch.nan, torch.inf, -torch.inf):
                last[:] = number
                with pytest.raises(ValueError, match=f"{name} holds a number that is not finite"):
                    scorer.check()
            last[:] = before


@every_scorer
def test_a_part_of_the_questions_gets_a_part_of_the_scores(make: Made) -> None:
    scorer = make()
    close(scorer.score_tails(questions()[1:3]), scorer.score_tails(questions())[1:3])
    assert len(questions()[1:3]) == 2


@every_scorer
def test_relations_are_scored_as_facts_are(make: Made) -> None:
    scorer = make()
    head, tail = torch.tensor([0, 5, 8]), torch.tensor([3, 5, 1])
    scores = scorer.score_relations(head, tail, graph())
    assert scores.shape == (3, 2 * R)
    for relation in range(2 * R):
        queries = Queries(head, torch.full((3,), relation), graph())
        close(scores[:, relation], scorer.score_hrt(queries, tail))


@every_scorer
def test_where_a_relation_is_one_form_the_scores_are_those_of_the_form(make: Made) -> None:
    scorer = make()
    found = scorer.bilinear_form(0) if isinstance(scorer, DotScorer) else None
    assert (found is not None) == (make.name in ("distmult", "complex", "rescal"))
    if not isinstance(scorer, DotScorer) or found is None:
        return
    every = torch.arange(N)
    for relation in range(2 * R):
        form = scorer.bilinear_form(relation)
        assert form is not None
        vectors = scorer.entities(graph())
        close(vectors @ form @ vectors.T, scorer.score_tails(Queries(every, torch.full((N,), relation), graph())))


@every_weighted_scorer
def test_scores_of_relations_are_trained_on(make: Made) -> None:
    scorer = make()
    scorer.score_relations(torch.tensor([0, 5, 8]), torch.tensor([3, 5, 1]), graph()).square().sum().backward()
    idle = {name for name, p in scorer.named_parameters() if p.grad is None or not bool(p.grad.any())}
    assert idle == make.idle & dict(scorer.named_parameters()).keys()


@every_blind_scorer
def test_relations_are_not_scored_without_vectors(make: Made) -> None:
    for head, tail in ((N, 0), (0, N)):
        with pytest.raises(UserError, match="no vector for an entity"):
            make().score_relations(torch.tensor([head]), torch.tensor([tail]), graph(N + 1))


def both_ways(scorer: Scorer) -> tuple[Tensor, Tensor]:
    head, relation, tail = (x.reshape(-1) for x in torch.meshgrid(*map(torch.arange, (N, R, N)), indexing="ij"))
    forward = scorer.score_hrt(Queries(head, relation, graph()), tail)
    return forward, scorer.score_hrt(Queries(tail, relation + R, graph()), head)


@every_weighted_scorer
def test_tied_inverses_agree_and_own_ones_do_not(make: Made) -> None:
    forward, backward = both_ways(make())
    agrees = make.tied or make.name == "pretrained"  # to which all are alike, where a graph has no facts
    assert torch.allclose(forward, backward, rtol=1e-4, atol=1e-5) == agrees


@tieable
def test_tied_inverses_share_all_parameters(make: Made) -> None:
    own, tied = (dict(make(tied=tied).named_parameters()) for tied in (False, True))
    assert own.keys() == tied.keys()
    of_relations = [name for name in tied if own[name].shape != tied[name].shape]
    assert of_relations and all(len(tied[name]) == R and len(own[name]) == 2 * R for name in of_relations)


@every_weighted_scorer
def test_factors_have_a_row_a_fact(make: Made) -> None:
    scorer = make()
    factors = scorer.factors(questions(), torch.arange(B))
    assert 2 <= len(factors) <= (6 if make.name == "gated" else 3)
    assert all(len(factor) == B and factor.ndim == 2 for factor in factors)
    sum(factor.square().sum() for factor in factors).backward()
    weighed = {name for name, p in scorer.named_parameters() if p.grad is not None and bool(p.grad.any())}
    beginnings = UNWEIGHED.get(make.name, ())
    assert weighed == {name for name, _ in scorer.named_parameters() if not name.startswith(beginnings)}


@every_blind_scorer
def test_candidates_beyond_the_table_tie_last(make: Made) -> None:
    scorer, grown = make(), questions(graph(N + 2))
    everything = scorer.score_tails(grown)
    close(everything[:, :N], scorer.score_tails(questions()))
    assert everything.shape == (B, N + 2) and bool((everything[:, N:] == WORST).all())
    assert bool((everything[:, :N] > WORST).all())
    for tails in (torch.tensor([10, 0, 9]), slice(7, 11), slice(9, 11), slice(10, 11)):
        close(scorer.score_tails(grown, tails), everything[:, tails])
    own = torch.arange(B * 3).view(B, 3) % (N + 2)
    close(scorer.score_tails(grown, own), everything.gather(1, own))


@every_blind_scorer
def test_a_head_beyond_the_table_is_an_error(make: Made) -> None:
    queries = Queries(torch.tensor([0, N]), torch.tensor([0, 0]), graph(N + 1))
    with pytest.raises(UserError, match="no vector for an entity"):
        make().score_tails(queries)


@every_weighted_scorer
def test_dropout_needs_a_generator_and_follows_it(make: Made) -> None:
    def scores(seed: int | None, **shares: float) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return make(**shares).score_tails(questions(generator=generator))

    shares = [name for name in signature(scorer_class(make.name)).parameters if name.endswith("_dropout")]
    assert OWN_DROPOUT.get(make.name, "entity_dropout") in shares
    for share in shares:
        assert torch.equal(scores(None, **{share: 0.5}), scores(None))
        plain = scores(1)
        assert torch.equal(plain, scores(2)) and (torch.equal(plain, scores(None)) or make.name in NORMALISED)
        dropped = scores(1, **{share: 0.5})
        assert torch.equal(dropped, scores(1, **{share: 0.5}))
        if share not in make.idle:
            assert not torch.equal(dropped, plain) and not torch.equal(dropped, scores(2, **{share: 0.5}))


@every_scorer
def test_a_constant_scorer_ranks_in_the_middle(make: Made, random_dataset: Dataset) -> None:
    scorer = make(50, 3)
    for held in (*scorer.parameters(), *scorer.buffers()):
        torch.nn.init.zeros_(held)
    if make.name in SIMILARITIES:  # what reads everything off the graph, where nothing stands in it
        random_dataset = replace(random_dataset, train=random_dataset.train[:0])
    ranking = evaluate(scorer, random_dataset, "test")
    assert torch.equal(ranking.rank, (ranking.candidates + 1) / 2)


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor held that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return made


@every_scorer
def test_no_tensor_of_questions_times_entities_times_dim(make: Made) -> None:
    entities, rows, dim = 500, 60, 16  # fewer edges than pairs of questions and entities, dim times as many
    scorer, where = make(entities, dim=dim), graph(entities)
    scorer.score_tails(questions(where))  # rules are sorted once, and may be many
    for tails in (None, torch.arange(entities), slice(0, entities)):
        with Largest() as largest:
            scores = scorer.score_tails(Queries(torch.arange(rows), torch.zeros(rows, dtype=torch.long), where), tails)
            if make.name not in COUNTED:
                scores.sum().backward()
        assert rows * entities <= largest.numel < 2 * rows * entities


RING = [[i, 0, (i + 1) % 6] for i in range(6)]
MIRROR = [[i, 1, 5 - i] for i in range(6)]
# What a formula cannot hold it need not learn: each DistMult relation is symmetric, own inverses or not, and no
# translation leads round a ring or there and back.
LEARNABLE = {"distmult": MIRROR, "transe": RING[:5] + [[0, 1, 5]]}
TWICE = MIRROR + [[head, 0, tail] for head, _, tail in MIRROR]  # where one fact is hidden the other is left to look at


def tiny(facts: list[list[int]]) -> Dataset:
    nothing = torch.zeros(0, 3, dtype=torch.long)
    names = Vocabulary([f"e{i}" for i in range(6)], ["next", "opposite"])
    return Dataset(torch.tensor(facts), nothing, nothing, names)


@every_weighted_scorer
def test_a_tiny_graph_is_learned(make: Made) -> None:
    data = tiny(TWICE if make.reads_graph else LEARNABLE.get(make.name, RING + MIRROR))
    arguments = {"dim": 16, **make.arguments} if make.takes("dim") else make.arguments
    scorer = partial(scorer_class(make.name), **arguments)
    run = Run(
        scorer,
        GradientDescent(partial(Adam, lr=0.05), batch_size=16, hide="exact" if make.reads_graph else None, epochs=150),
    )
    if make.reads_graph:  # most of the graph must be left
        run = varied(run, optimizer=partial(Adam, lr=0.02), batch_size=4, epochs=20)
    fit, losses, mrr = run.trainer(data), [], 0.0
    for epoch in fit:
        losses.append(epoch.loss)
        if epoch.number % 10 == 0:
            mrr = evaluate(fit.scorer, data, "train").metrics().mrr
            if mrr == 1:
                break
    assert losses[-1] < losses[0] and mrr == 1


# The formulas, on paper


def test_rescal_by_hand() -> None:
    scorer = RESCAL(2, 1, dim=2, tied=True)
    fill(scorer.table.weight, [[1.0, 2.0], [3.0, 5.0]])
    fill(scorer.matrix.weight, [[[1.0, 2.0], [0.0, -1.0]]])
    # (1, 2) W = (1, 0), times (3, 5) is 3; (3, 5) W = (3, 1), times (1, 2) is 5
    assert score(scorer, 0, 0, 1) == 3 and score(scorer, 1, 0, 0) == 5
    assert score(scorer, 0, 1, 1) == 5 and score(scorer, 1, 1, 0) == 3  # the transpose
    own = RESCAL(2, 1, dim=2)
    fill(own.table.weight, [[1.0, 2.0], [3.0, 5.0]])
    fill(own.matrix.weight, [[[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    assert score(own, 0, 0, 1) == 3 and score(own, 0, 1, 1) == 5  # 1 * 1 * 5


def test_distmult_by_hand() -> None:
    scorer = DistMult(2, 1, dim=2, tied=True)
    fill(scorer.table.weight, [[1.0, 2.0], [3.0, 5.0]])
    fill(scorer.diagonal.weight, [[4.0, -1.0]])
    assert score(scorer, 0, 0, 1) == 1 * 4 * 3 - 2 * 1 * 5 == 2
    assert score(scorer, 1, 0, 0) == score(scorer, 1, 1, 0) == 2
    assert score(scorer, 0, 0, 0) == 4 - 4
    own = DistMult(2, 1, dim=2)
    fill(own.table.weight, [[1.0, 2.0], [3.0, 5.0]])
    fill(own.diagonal.weight, [[4.0, -1.0], [1.0, 1.0]])
    assert score(own, 0, 0, 1) == 2 and score(own, 0, 1, 1) == 13


def test_complex_by_hand() -> None:
    """h = 1 + 2i, w = 3 - i, t = -1 + i: h w = 5 + 5i, and times conj(t) = -1 - i that is -10i: real part 0."""
    scorer = ComplEx(2, 1, dim=1, tied=True)
    fill(scorer.table.weight, [[1.0, 2.0], [-1.0, 1.0]])
    fill(scorer.diagonal.weight, [[3.0, -1.0]])
    numbers = [complex(1, 2), complex(-1, 1)]
    assert score(scorer, 0, 0, 1) == 0
    # t w conj(h) = (-1 + i)(3 - i)(1 - 2i) = (-2 + 4i)(1 - 2i) = 6 + 8i
    assert score(scorer, 1, 0, 0) == 6
    # h w conj(h) = 3 * 5, as the imaginary part of w falls away
    assert score(scorer, 0, 0, 0) == 15
    for head in (0, 1):
        for tail in (0, 1):
            back = numbers[head] * complex(3, 1) * numbers[tail].conjugate()  # the conjugate
            assert score(scorer, head, 1, tail) == back.real
    two = ComplEx(1, 1, dim=2)  # rows hold both real parts first: h = (1 + 3i, 2 + 4i), w = (1 + 0i, 0 + i)
    fill(two.table.weight, [[1.0, 2.0, 3.0, 4.0]])
    fill(two.diagonal.weight, [[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, 0.0]])
    assert score(two, 0, 0, 0) == 10 and score(two, 0, 1, 0) == 40  # |1 + 3i|^2 + Re(i |h_2|^2); 2 |2 + 4i|^2


@pytest.mark.parametrize(("norm", "expected"), [(1, -7.0), (2, -5.0)])
def test_transe_by_hand(norm: int, expected: float) -> None:
    scorer = TransE(2, 1, dim=2, norm=norm, tied=True)
    fill(scorer.table.weight, [[1.0, 2.0], [3.0, -1.0]])
    fill(scorer.translation.weight, [[5.0, 1.0]])
    assert score(scorer, 0, 0, 1) == expected  # (1, 2) + (5, 1) - (3, -1) = (3, 4)
    assert score(scorer, 1, 1, 0) == expected  # (3, -1) - (5, 1) - (1, 2) = (-3, -4)
    assert score(scorer, 0, 0, 0) == pytest.approx(-6.0 if norm == 1 else -math.sqrt(26))
    own = TransE(2, 1, dim=2, norm=norm)
    fill(own.table.weight, [[1.0, 2.0], [3.0, -1.0]])
    fill(own.translation.weight, [[5.0, 1.0], [1.0, -7.0]])
    assert score(own, 0, 0, 1) == expected and score(own, 1, 1, 0) == pytest.approx(-13.0 if norm == 1 else -10.4403)


def test_complex_factors_are_moduli() -> None:
    scorer = ComplEx(2, 1, dim=2, tied=True)
    fill(scorer.table.weight, [[3.0, 0.0, 4.0, 0.0], [0.0, 5.0, 1.0, 12.0]])  # (3 + 4i, 0), (i, 5 + 12i)
    fill(scorer.diagonal.weight, [[8.0, 1.0, -6.0, 0.0]])
    queries = Queries(torch.tensor([0]), torch.tensor([1]), graph(2, 1))
    factors = scorer.factors(queries, torch.tensor([1]))
    for factor, expected in zip(factors, ([5.0, 0.0], [10.0, 1.0], [1.0, 13.0]), strict=True):
        close(factor, torch.tensor([expected]))
    sum(factor.pow(3).sum() for factor in factors).backward()
    assert bool(scorer.table.weight.grad.isfinite().all())  # the root at 0 included


# A scorer of one's own


def test_an_unknown_model_is_an_error() -> None:
    with pytest.raises(UserError, match="choose one of rescal, transe, distmult, complex"):
        scorer_class("rascal")


CONTRACT = (
    test_every_way_to_name_candidates_gives_the_same_scores,
    test_a_part_of_the_questions_gets_a_part_of_the_scores,
    test_relations_are_scored_as_facts_are,
    test_scores_of_relations_are_trained_on,
    test_relations_are_not_scored_without_vectors,
    test_tied_inverses_agree_and_own_ones_do_not,
    test_factors_have_a_row_a_fact,
    test_candidates_beyond_the_table_tie_last,
    test_a_head_beyond_the_table_is_an_error,
    test_dropout_needs_a_generator_and_follows_it,
    test_no_tensor_of_questions_times_entities_times_dim,
    test_a_tiny_graph_is_learned,
)


def test_a_new_scorer_is_one_file_and_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_dataset: Dataset
) -> None:
    module_of("scorer", "moved_product", tmp_path, monkeypatch)
    monkeypatch.setitem(SCORERS, "moved_product", "moved_product:MovedProduct")
    for promise in CONTRACT:
        promise(Made("moved_product", {}))
    test_a_constant_scorer_ranks_in_the_middle(Made("moved_product", {}), random_dataset)
    descent = GradientDescent(partial(Adam, lr=0.1), epochs=3, valid_every=1)
    run = Run(partial(scorer_class("moved_product"), dim=4), descent)
    trained = train(random_dataset, run, tmp_path / "model")
    stored = Bundle.load(tmp_path / "model")
    assert stored.run["scorer"] == {"name": "moved_product", "arguments": {"dim": 4}}
    ranking = evaluate(stored.scorer, stored.dataset, "test")
    assert torch.equal(ranking.rank, evaluate(trained.scorer, random_dataset, "test").rank)
    assert len(ranking.rank) == 2 * len(random_dataset.test)
