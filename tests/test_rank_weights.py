"""One weight a part: tried on paper, recovered beside noise, and each half of valid told by what the other chose."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from paper import Table
from runs import train_part
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import Ranking, evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.combined import Combined
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.rank_ensemble import RankEnsemble
from kg.models.scorer import Queries
from kg.training.ensembles.combination import combination
from kg.training.ensembles.fitting import Gathered, Gathering
from kg.training.ensembles.rank_weights import RankWeighing, mixtures, sharpest
from kg.training.run import Run
from kg.training.train import resume, train


def test_mixtures() -> None:
    assert mixtures(1).tolist() == [[1], [1]]
    assert mixtures(2)[1:].mul(20).round().tolist() == [[i, 20 - i] for i in range(21)]
    for parts, number in ((3, 91), (4, 84), (5, 70), (13, 91), (14, 14), (150, 150)):
        equal, *tried = mixtures(parts)
        assert equal.tolist() == pytest.approx([1 / parts] * parts) and len(tried) == number
        assert len({tuple(shares.tolist()) for shares in tried}) == number
        assert all(bool((shares >= 0).all()) and shares.sum() == pytest.approx(1) for shares in tried)


def test_the_sharpness_by_hand() -> None:
    """Of 1000 answers 900 rank first and 100 second of two: 2^sharpness = 9, but for a weak pull to 1."""
    own = torch.tensor([1.0] * 900 + [2.0] * 100)
    answers, rivals = -own.log()[:, None], -(3 - own).log()[:, None, None]
    evidence = Gathered(rivals, torch.ones(1000, 1), torch.arange(1000), answers)
    assert sharpest(evidence, torch.ones(1).double()).item() == pytest.approx(math.log2(9), rel=0.02)
    assert sharpest(evidence, torch.full((1,), 0.5).double()).item() == pytest.approx(2 * math.log2(9), rel=0.1)
    worse = Gathered(answers[:, None], evidence.weight, evidence.question, rivals[:, 0])
    assert sharpest(worse, torch.ones(1).double()) > 0  # the order stays that of the weights


N = 40


def planted() -> tuple[Dataset, Tensor, Tensor]:
    """Facts whose tails some scores tell, these scores, and noise."""
    generator = torch.Generator().manual_seed(0)
    right, noise = (3 * torch.randn(4, N, generator=generator) for _ in range(2))
    facts = torch.stack([torch.randint(0, high, (700,), generator=generator) for high in (N, 2, N)], 1)
    facts[:, 2] = torch.multinomial(right[facts[:, 1]].softmax(1), 1, generator=generator)[:, 0]
    facts = torch.unique(facts, dim=0)
    facts = facts[torch.randperm(len(facts), generator=generator)]
    names = Vocabulary([f"e{i}" for i in range(N)], ["r", "s"])
    return Dataset(facts[200:], facts[:149], facts[149:200], names), right, noise


def run_of(parts: int, seed: int = 0, candidates: int = 128) -> Run:
    made = partial(RankEnsemble, parts=[partial(Table)] * parts)
    return Run(made, RankWeighing(("",) * parts, candidates), seed)


def weighed(data: Dataset, run: Run, *scores: Tensor) -> Gathering:
    scorer = run.new_scorer(N, 2)
    for part, rows in zip(scorer.scorers(), scores, strict=True):
        part.scores.copy_(rows)
    fit = run.algorithm.trainer(scorer, data, run.seed)
    list(fit)
    return fit


def test_noise_is_left_out() -> None:
    data, right, noise = planted()
    for scores in ((right, noise), (noise, right), (noise, right, noise.flip(1))):
        fit = weighed(data, run_of(len(scores)), *scores)
        shares = dict(zip(map(id, scores), fit.scorer.weight.tolist(), strict=True))
        assert shares[id(right)] >= 0.9 and fit.scorer.weight.sum() == pytest.approx(1)
        alone = weighed(data, run_of(1), right)
        assert fit.valid_ranking(data, 1.0).metrics().mrr > alone.valid_ranking(data, 1.0).metrics().mrr - 0.02


def test_both_count_where_both_tell() -> None:
    data, right, noise = planted()
    views = right + noise, right - noise
    weight = weighed(data, run_of(2), *views).scorer.weight
    assert bool(((weight > 0.2) & (weight < 0.8)).all())


def test_equal_weights_where_nothing_tells_them_apart() -> None:
    data, right, _ = planted()
    assert weighed(data, run_of(3), right, right, 2 * right).scorer.weight.tolist() == pytest.approx([1 / 3] * 3)


def test_reported_ranks_are_those_by_the_other_half() -> None:
    """Of every fact, as evaluate would rank it with the mixture that is best on the facts of the other half."""
    data, right, noise = planted()
    fit = weighed(data, run_of(2, seed=1), right + 2 * noise, right - noise)
    reported, chosen = ranks_by_fact(fit.valid_ranking(data, 1.0)), fit.scorer.weight.clone()
    half = torch.randperm(149, generator=torch.Generator().manual_seed(1)) % 2
    halves = [replace(data, valid=data.valid[half == n], train=torch.cat([data.train, data.valid])) for n in (0, 1)]
    best = [max(mixtures(2), key=lambda weights: evaluated(fit, part, weights).metrics().mrr) for part in halves]
    final = max(mixtures(2), key=lambda weights: evaluated(fit, data, weights).metrics().mrr)
    assert not torch.equal(*best) and torch.equal(chosen, final.float())
    same = []
    for mine, (first, second) in zip(halves, (best[::-1], best), strict=True):
        for weights in (first, second):
            ranks = ranks_by_fact(evaluated(fit, mine, weights))
            same.append(sum(reported[fact] == rank for fact, rank in ranks.items()) / len(ranks))
    # where 1 * 6 is 2 * 3, rounding decides
    assert min(same[0], same[2]) > 0.95 > 0.8 > max(same[1], same[3]) and len(reported) == 298


def test_reported_losses_are_those_by_the_other_half() -> None:
    """The sharpness, too, is the one that the facts of the other half want."""
    data, right, noise = planted()
    fit = weighed(data, run_of(2, seed=1), right + 2 * noise, right - noise)
    reported = fit.valid_ranking(data, 1.0)
    half = torch.randperm(149, generator=torch.Generator().manual_seed(1)) % 2
    known = torch.cat([data.train, data.valid])
    fit.scorer.sharpness.fill_(1.0)
    for mine, others in ((0, 1), (1, 0)):
        facts = {tuple(fact) for fact in data.valid[half == mine].tolist()}
        asked = (reported.relation < 2) & torch.tensor([fact in facts for fact in triples(reported)])
        given, own = (replace(data, valid=data.valid[half == n], train=known) for n in (others, mine))
        weights = max(mixtures(2), key=lambda weights, given=given: evaluated(fit, given, weights).metrics().mrr)
        fit.scorer.weight.copy_(weights)
        found = [sharpness_by_trial(fit, part) for part in (given, own)]
        assert abs(found[0] - found[1]) > 0.1
        exact = [evaluate(fit.scorer, own, "valid", temperature=1 / each) for each in found]
        told = reported.cross_entropy[asked].double().mean().item()
        by_given, by_own = (each.cross_entropy[each.relation < 2].double().mean().item() for each in exact)
        assert told == pytest.approx(by_given, abs=0.1 * abs(by_given - by_own))


def sharpness_by_trial(fit: Gathering, data: Dataset) -> float:
    """To 0.01, pulled weakly to 1: where the slope, which rises, is 0."""

    def loss(sharpness: float) -> float:
        found = evaluate(fit.scorer, data, "valid", temperature=1 / sharpness)
        return found.cross_entropy.double().sum().item() + (sharpness - 1) ** 2 / 2

    low, high = 0.0, 4.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if loss(middle + 0.01) < loss(middle) else (low, middle)
    return low


def triples(ranking: Ranking) -> list[tuple[int, ...]]:
    return [tuple(fact) for fact in torch.stack([ranking.head, ranking.relation, ranking.tail], 1).tolist()]


def evaluated(fit: Gathering, data: Dataset, weights: Tensor) -> Ranking:
    """The valid facts by these weights."""
    fit.scorer.weight.copy_(weights)
    return evaluate(fit.scorer, data, "valid")


def ranks_by_fact(ranking: Ranking) -> dict[tuple[int, ...], float]:
    return dict(zip(triples(ranking), ranking.rank.tolist(), strict=True))


def test_few_candidates_give_nearly_the_same() -> None:
    """Those drawn at random stand for the rest."""
    data, right, noise = planted()
    whole, few = (weighed(data, run_of(2, candidates=size), right + noise, right - noise) for size in (N, 5))
    mrrs = [fit.valid_ranking(data, None).metrics().mrr for fit in (whole, few)]
    assert mrrs[0] == pytest.approx(mrrs[1], abs=0.02)
    assert few.scorer.sharpness.item() == pytest.approx(whole.scorer.sharpness.item(), rel=0.1)
    again = weighed(data, run_of(2, candidates=5), right + noise, right - noise)
    assert torch.equal(again.scorer.weight, few.scorer.weight) and again.loss() == few.loss()


def test_every_question_is_asked_once() -> None:
    data, _, _ = planted()
    run = run_of(2)
    scorer = run.new_scorer(N, 2)
    asked, opinions = [], scorer.opinions

    def spied(queries: Queries) -> Iterator[Tensor]:
        asked.extend(zip(queries.head.tolist(), queries.relation.tolist(), strict=True))
        return opinions(queries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "opinions", spied)
        patch.setattr("kg.training.ensembles.fitting._BATCH", 16)
        fit = run.algorithm.trainer(scorer, data, run.seed)
        list(fit)
        fit.valid_ranking(data, 1.0)
    head, relation, tail = data.valid.T.tolist()
    questions = {*zip(head, relation, strict=True), *zip(tail, (r + 2 for r in relation), strict=True)}
    assert len(asked) == len(questions) and set(asked) == questions


def test_one_fact_is_enough() -> None:
    data, right, noise = planted()
    fit = weighed(replace(data, valid=data.valid[:1]), run_of(2), right, noise)
    assert fit.scorer.weight.sum() == 1 and bool(fit.scorer.sharpness > 0) and math.isfinite(fit.loss())


# Stored


def test_what_is_stored_answers_as_it_was_trained(random_dataset: Dataset, tmp_path: Path) -> None:
    made = combination(["frequency", "naive_bayes"], tmp_path / "out", "rank_ensemble", train=train_part)
    trained = train(random_dataset, made(random_dataset), tmp_path / "out")
    stored = Bundle.load(tmp_path / "out")
    assert isinstance(stored.scorer, RankEnsemble) and stored.temperature == 1.0 and stored.metrics["cross_fitted"]
    assert torch.equal(evaluate(stored.scorer, random_dataset, "test").rank,
                       evaluate(trained.scorer, random_dataset, "test").rank)  # fmt: skip
    assert stored.scorer.weight.sum() == pytest.approx(1)
    assert resume(tmp_path / "out").metrics["valid"] == stored.metrics["valid"]
    folders = (f"{tmp_path / 'out'}-frequency", f"{tmp_path / 'out'}-naive_bayes")
    assert Run.from_json(stored.run).algorithm == RankWeighing(folders)


def test_what_it_cannot_use_is_an_error(random_dataset: Dataset, tmp_path: Path) -> None:
    run = run_of(1)
    for other in (partial(DistMult, dim=2), partial(Combined, parts=[partial(Frequency)])):
        name = other.func.__name__
        with pytest.raises(UserError, match=f"RankWeighing fits the weights of RankEnsemble, not of {name}"):
            run.algorithm.trainer(other(50, 3), random_dataset, 0)
    made = run.new_scorer(50, 3)
    with pytest.raises(UserError, match="RankWeighing fits its weights on valid facts, and there are none"):
        run.algorithm.trainer(made, replace(random_dataset, valid=random_dataset.valid[:0]), run.seed)
    with pytest.raises(UserError, match="candidates must be at least 1: got 0"):
        RankWeighing(("a",), 0)
    of_none = Run(partial(RankEnsemble, parts=[partial(Frequency)]), RankWeighing(()))
    with pytest.raises(UserError, match=r"RankEnsemble has 1 parts that .* names 0 folders"):
        train(random_dataset, of_none, tmp_path / "out")
    with pytest.raises(UserError, match="RankEnsemble: missing a required argument: 'parts'"):
        replace(run, scorer=partial(RankEnsemble))
