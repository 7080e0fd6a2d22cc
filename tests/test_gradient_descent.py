"""The training loop: what it shows a scorer, when it ends, and that it goes on exactly where it stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from paper import COUNTED
from runs import varied
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW

from kg import bundle
from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import with_inverses
from kg.models import SCORERS, scorer_class
from kg.models.complex import ComplEx
from kg.models.conve import ConvE
from kg.models.path_network import PathNetwork
from kg.models.rescal import RESCAL
from kg.models.scorer import Scorer
from kg.models.transe import TransE
from kg.training import gradient_descent
from kg.training.algorithm import Epoch
from kg.training.gradient_descent import Descent, GradientDescent, Plateau, WarmUp
from kg.training.objectives import (
    Batch,
    KvsAll,
    NegativeSampling,
    Objective,
    OneVsAll,
    OneVsUnknown,
    RelationPrediction,
)
from kg.training.regularizers import N3
from kg.training.run import Run

PLAIN = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.01), batch_size=150, epochs=4))
RUNS = {
    "adagrad, own negatives, dropout, plateau": Run(
        partial(ComplEx, dim=4, entity_dropout=0.3, relation_dropout=0.1),
        GradientDescent(
            partial(Adagrad, lr=0.3),
            NegativeSampling(8, shared=False, loss="logistic"),
            schedule=Plateau(factor=0.5, patience=1),
        ),
    ),
    "adam, shared negatives, l1 distance": Run(
        partial(TransE, dim=4, norm=1), GradientDescent(partial(Adam, lr=0.1), NegativeSampling(8, loss="margin"))
    ),
    "adamw, all answers of a question, n3": Run(
        partial(RESCAL, dim=4, tied=True, relation_dropout=0.3),
        GradientDescent(partial(AdamW, lr=0.05), KvsAll(label_smoothing=0.1), N3(0.01)),
    ),
    "bf16": Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.1), precision="bf16")),
    "relation prediction, warm-up, answers in one row, in pieces": Run(
        partial(ComplEx, dim=4, entity_dropout=0.2),
        GradientDescent(
            partial(Adagrad, lr=0.3),
            OneVsAll(max_answers=3),
            N3(0.01),
            auxiliary=RelationPrediction(0.5),
            schedule=WarmUp(0.3),
            pieces=3,
        ),
    ),
    "paths, each question's own facts hidden": Run(
        partial(PathNetwork, dim=4, num_layers=2, max_nodes=5, attention_dim=2, prior_dim=2, hidden_dropout=0.2),
        GradientDescent(partial(Adam, lr=0.05), OneVsUnknown(max_answers=2), schedule=WarmUp(), hide="pair"),
    ),
    "so many questions an epoch, averaged weights": Run(
        partial(ComplEx, dim=4, entity_dropout=0.2),
        GradientDescent(partial(Adam, lr=0.1), questions=301, averaging=0.9),
    ),
    "averaged, with the statistics of batches": Run(
        partial(ConvE, dim=8, channels=2),
        GradientDescent(partial(Adam, lr=0.1), averaging=0.5),
    ),
}
RUNS = {name: varied(run, batch_size=100, epochs=6, patience=100) for name, run in RUNS.items()}


def new_fit(dataset: Dataset, run: Run) -> Descent:
    return run.trainer(dataset)


@dataclass(frozen=True)
class Watched(Objective):
    """An objective that shows each batch to somebody first."""

    inner: Objective
    watch: Callable[[Batch], object]

    @property
    def max_answers(self) -> int | None:
        return self.inner.max_answers

    def __call__(self, scorer: Scorer, batch: Batch) -> Tensor:
        self.watch(batch)
        return self.inner(scorer, batch)


@dataclass
class PauseAt:
    """Asks the fit to pause while it takes its n-th step."""

    step: int
    fit: Descent | None = None
    seen: int = 0

    def __call__(self, batch: Batch) -> None:
        self.seen += 1
        if self.fit and self.seen == self.step:
            self.fit.pause()


@dataclass
class Shown:
    """Every batch of a fit."""

    batches: list[Batch] = field(default_factory=list)

    def of(self, dataset: Dataset, run: Run) -> Iterator[list[Batch]]:
        """The batches of each epoch."""
        for _ in new_fit(dataset, varied(run, objective=Watched(run.algorithm.objective, self.batches.append))):
            yield self.batches
            self.batches.clear()


def facts(batches: list[Batch]) -> list[list[int]]:
    rows = [torch.stack([b.facts().head, b.facts().relation, b.tail], 1) for b in batches]
    return torch.cat(rows).tolist()


# What a scorer is shown


def test_an_epoch_asks_each_fact_once_each_way(random_dataset: Dataset) -> None:
    expected = sorted(with_inverses(random_dataset.train, 3).tolist())
    orders = []
    for batches in Shown().of(random_dataset, PLAIN):
        assert [len(batch.tail) for batch in batches] == [150] * 5 + [50]
        orders.append(facts(batches))
        assert sorted(orders[-1]) == expected
    assert len(orders) == 4 and orders[0] != orders[1] != expected


@pytest.mark.parametrize(
    "objective", [KvsAll(), OneVsAll(max_answers=2), OneVsAll(max_answers=1)], ids=["all", "two", "one"]
)
def test_answers_share_a_row_up_to_the_limit(random_dataset: Dataset, objective: Objective) -> None:
    """Each fact once each way, whatever the limit; a question as often as its answers fill rows."""
    known, most = random_dataset.known("train"), objective.max_answers or 1000
    rows = (-(-known.offsets.diff() // most)).tolist()
    questions = zip(*(x.tolist() for x in known.heads_and_relations()), strict=True)
    expected = sorted(question for question, count in zip(questions, rows, strict=True) for _ in range(count))
    assert len(expected) < 800 or most == 1
    for batches in Shown().of(random_dataset, varied(PLAIN, objective=objective)):
        assert sorted(facts(batches)) == sorted(with_inverses(random_dataset.train, 3).tolist())
        asked = [(b.queries.head.tolist(), b.queries.relation.tolist()) for b in batches]
        assert sorted(pair for head, relation in asked for pair in zip(head, relation, strict=True)) == expected
        assert all(int(torch.bincount(b.row).max()) <= most for b in batches)
        assert all(torch.equal(b.row.unique(), torch.arange(len(b.queries))) for b in batches)


def test_an_epoch_of_so_many_questions_draws_them_afresh(random_dataset: Dataset) -> None:
    run = varied(PLAIN, questions=320, objective=OneVsAll(max_answers=2), epochs=3)
    known = {tuple(fact) for fact in with_inverses(random_dataset.train, 3).tolist()}
    seen = []
    for batches in Shown().of(random_dataset, run):
        assert [len(batch.queries) for batch in batches] == [150, 150, 20]
        asked = [tuple(fact) for fact in facts(batches)]
        assert len(set(asked)) == len(asked) and set(asked) < known
        seen.append(asked)
    assert seen[0] != seen[1] != seen[2]
    again = [facts(batches) for batches in Shown().of(random_dataset, run)]
    assert [[tuple(fact) for fact in asked] for asked in again] == seen
    everything = Shown().of(random_dataset, varied(PLAIN, questions=10**9))
    assert next(everything)[0].tail.tolist() == next(Shown().of(random_dataset, PLAIN))[0].tail.tolist()


def test_only_training_facts_are_shown(random_dataset: Dataset) -> None:
    batch = next(Shown().of(random_dataset, PLAIN))[0]
    assert batch.queries.graph.num_edges == len(batch.known.tails) == 2 * len(random_dataset.train)


def visible(batch: Batch, asked: list[tuple[int, int, int]], pairs: bool) -> int:
    """How many of the asked edges, or edges between their ends, the batch's graph still holds."""
    graph = batch.queries.graph
    edges = torch.stack([graph.head(), graph.relation, graph.tail], 1).tolist()
    turned = [(tail, (relation + 3) % 6, head) for head, relation, tail in asked]
    if pairs:
        ends = {(head, tail) for head, _, tail in asked + turned}
        return sum((head, tail) in ends for head, _, tail in edges)
    return len(set(asked + turned) & set(map(tuple, edges)))


@pytest.mark.parametrize("objective", [OneVsAll(), KvsAll()], ids=["facts", "whole questions"])
@pytest.mark.parametrize("hide", [None, "exact", "pair"])
def test_hide(random_dataset: Dataset, objective: Objective, hide: str | None) -> None:
    """No answer that a batch asks for is an edge of the graph it may look at; of whole questions, none at all."""
    answers = set(map(tuple, with_inverses(random_dataset.train, 3).tolist()))
    run = varied(PLAIN, objective=objective, hide=hide, epochs=1, batch_size=50)
    for batch in next(Shown().of(random_dataset, run)):
        asked = set(map(tuple, facts([batch])))
        if objective.max_answers is None:
            questions = {(head, relation) for head, relation, _ in asked}
            assert asked == {fact for fact in answers if fact[:2] in questions}
        seen = visible(batch, list(asked), pairs=hide == "pair")
        assert seen == 0 if hide else seen >= len(asked)
        left_of_others = batch.queries.graph.num_edges - seen
        assert left_of_others > 0.5 * len(answers)  # and the others are all there
        if hide == "exact":
            assert left_of_others == len(answers) - len(asked | {(t, (r + 3) % 6, h) for h, r, t in asked})


def test_a_fit_is_a_function_of_the_seed(random_dataset: Dataset) -> None:
    def losses(run: Run) -> list[float]:
        return [epoch.loss for epoch in new_fit(random_dataset, run)]

    run = RUNS["adagrad, own negatives, dropout, plateau"]
    torch.manual_seed(5)
    first = losses(run)
    torch.manual_seed(6)  # nobody else's random state matters
    assert losses(run) == first != losses(replace(run, seed=1))


def test_the_seed_decides_batches_and_dropout(random_dataset: Dataset) -> None:
    """Of the same first weights."""
    shown: list[Batch] = []
    run = varied(PLAIN, objective=Watched(PLAIN.algorithm.objective, shown.append), epochs=1)

    def drawn(seed: int) -> tuple[list[list[int]], list[float]]:
        shown.clear()
        list(run.algorithm.trainer(run.new_scorer(50, 3), random_dataset, seed))
        generators = (batch.queries.generator for batch in shown)
        return facts(shown), [torch.rand(1, generator=each).item() for each in generators if each is not None]

    (order, dropped), (other_order, others_dropped) = drawn(0), drawn(1)
    assert (order, dropped) == drawn(0) and order != other_order and set(dropped).isdisjoint(others_dropped)
    assert len(dropped) == len(shown)


# Epochs


def test_epochs(random_dataset: Dataset) -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Noted(Objective):
        def __call__(self, scorer: Scorer, batch: Batch) -> Tensor:
            loss = OneVsAll()(scorer, batch)
            seen.append(loss.item())
            return loss

    epochs = list(new_fit(random_dataset, varied(PLAIN, objective=Noted())))
    for number, epoch in enumerate(epochs):
        mean = sum(seen[6 * number : 6 * number + 6]) / 6
        assert epoch.loss == pytest.approx(mean, rel=1e-5)
        assert epoch == Epoch(number + 1, epoch.loss, 800, complete=True)
    assert len(epochs) == 4 and epochs[-1].loss < epochs[0].loss


def test_patience_ends_it_and_the_best_weights_stay(random_dataset: Dataset) -> None:
    fit = new_fit(random_dataset, varied(PLAIN, epochs=100, patience=2))
    mrrs = iter([0.1, 0.3, 0.3, 0.2])  # the same again is no gain
    weights = []
    for _ in fit:
        weights.append({name: value.clone() for name, value in fit.scorer.state_dict().items()})
        fit.report(next(mrrs))
    assert (fit.epoch, fit.best_epoch, fit.best_mrr) == (4, 2, 0.3) and fit.finished
    assert same(fit.best_weights(), weights[1]) and not same(fit.best_weights(), weights[3])


def test_without_reports_the_present_weights_are_the_best(random_dataset: Dataset) -> None:
    fit = new_fit(random_dataset, PLAIN)
    assert len(list(fit)) == 4 and fit.finished
    assert same(fit.best_weights(), fit.scorer.state_dict()) and fit.best_mrr is None


def test_the_learning_rate_falls_on_a_plateau(random_dataset: Dataset, tmp_path: Path) -> None:
    run = varied(PLAIN, schedule=Plateau(factor=0.5, patience=1), epochs=7)
    fit = new_fit(random_dataset, run)
    mrrs = iter([0.1, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1])
    rates = []
    while not fit.finished:
        for _ in islice(fit, 1):
            fit.report(next(mrrs))
            rates.append(fit.learning_rate)
        if fit.epoch in (3, 6):  # after a bad validation, which a resume must remember
            fit = stored_and_read(fit, run, random_dataset, tmp_path / str(fit.epoch))
    assert rates == [0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.0025]  # one bad validation is borne, the second is not


def test_the_learning_rate_warms_up_and_decays(random_dataset: Dataset) -> None:
    """Ten steps: the rate rises over two, then falls over eight, and the last step is taken at 0."""
    rates = []
    fit: Descent

    def note(batch: Batch) -> None:
        rates.append(fit.learning_rate)

    run = varied(PLAIN, schedule=WarmUp(0.2), epochs=2, batch_size=160, objective=Watched(OneVsAll(), note))
    fit = new_fit(random_dataset, run)
    before = [{name: value.clone() for name, value in fit.scorer.state_dict().items()} for _ in fit]
    assert rates == pytest.approx([0.005, 0.01, *(0.01 * left / 8 for left in range(7, -1, -1))])
    assert not same(*before)


@pytest.mark.parametrize("objective", [OneVsAll(0.1, max_answers=4), KvsAll(), KvsAll(loss="bce")], ids=str)
def test_pieces_add_up_to_the_step_of_the_whole(random_dataset: Dataset, objective: Objective) -> None:
    """In one step of plain gradient descent: the rows of a batch have unequal numbers of answers."""
    run = varied(
        PLAIN,
        objective=objective,
        auxiliary=RelationPrediction(0.3),
        regularizer=N3(0.1),
        optimizer=partial(SGD, lr=1.0),
        epochs=1,
    )
    whole, pieces = new_fit(random_dataset, run), new_fit(random_dataset, varied(run, pieces=7))
    assert ended_of(whole).loss == pytest.approx(ended_of(pieces).loss, rel=1e-5)
    for name, value in whole.scorer.state_dict().items():
        torch.testing.assert_close(value, pieces.scorer.state_dict()[name], rtol=1e-4, atol=1e-5)
    plain = new_fit(random_dataset, varied(run, auxiliary=None))
    assert ended_of(plain).loss < ended_of(new_fit(random_dataset, run)).loss  # and each part is there


@pytest.mark.parametrize("objective", [OneVsAll(), KvsAll(loss="bce"), NegativeSampling(4)], ids=str)
def test_the_last_batch_may_have_fewer_rows_than_pieces(random_dataset: Dataset, objective: Objective) -> None:
    rows = new_fit(random_dataset, varied(PLAIN, objective=objective)).num_queries
    run = varied(PLAIN, objective=objective, regularizer=N3(0.1), batch_size=rows - 1, pieces=5, epochs=2)
    assert ended_of(new_fit(random_dataset, run)).complete


@pytest.mark.parametrize("hide", ["exact", "pair"])
def test_no_piece_sees_what_another_is_asked_for(random_dataset: Dataset, hide: str) -> None:
    run = varied(PLAIN, hide=hide, batch_size=90, pieces=3, epochs=1)
    batches = next(Shown().of(random_dataset, run))
    for step in range(0, len(batches), 3):
        asked = [tuple(fact) for fact in facts(batches[step : step + 3])]
        assert all(visible(batch, asked, pairs=hide == "pair") == 0 for batch in batches[step : step + 3])


def ended_of(fit: Descent) -> Epoch:
    *_, last = fit
    return last


# Going on


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def stored_and_read(fit: Descent, run: Run, dataset: Dataset, path: Path) -> Descent:
    """The fit as it comes back from a model folder: through JSON and safetensors."""
    metrics = {"valid": None, "finished": False, "epochs": fit.epoch, "best_epoch": fit.best_epoch, "history": []}
    bundle.save(
        path,
        dataset=dataset,
        run=run.to_json(),
        weights=fit.best_weights(),
        state=fit.state_dict(),
        metrics=metrics,
    )
    saved = Bundle.load(path, state=True)
    read = Run.from_json(saved.run)
    again = read.algorithm.trainer(saved.scorer.train(), saved.dataset, read.seed)
    again.load_state_dict(saved.state)
    return again


def epochs_of(fit: Descent, dataset: Dataset, count: int | None = None) -> list[Epoch]:
    """So many more epochs, each reported with its MRR on valid."""
    done = []
    for epoch in islice(fit, count):
        done.append(epoch)
        if epoch.complete:
            fit.report(evaluate(fit.scorer, dataset, "valid", temperature=None).metrics().mrr)
    return done


def assert_same_end(fit: Descent, whole: Descent) -> None:
    assert same(fit.scorer.state_dict(), whole.scorer.state_dict())
    assert same(fit.best_weights(), whole.best_weights())
    assert (fit.best_mrr, fit.best_epoch, fit.epoch) == (whole.best_mrr, whole.best_epoch, whole.epoch)
    assert fit.learning_rate == whole.learning_rate


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_resumed_between_epochs_bitwise(random_dataset: Dataset, run: Run, tmp_path: Path) -> None:
    whole = new_fit(random_dataset, run)
    expected = epochs_of(whole, random_dataset)
    first = new_fit(random_dataset, run)
    done = epochs_of(first, random_dataset, 3)
    again = stored_and_read(first, run, random_dataset, tmp_path / "model")
    assert done + epochs_of(again, random_dataset) == expected
    assert_same_end(again, whole)


def test_patience_is_counted_across_a_stop(random_dataset: Dataset, tmp_path: Path) -> None:
    run = varied(PLAIN, epochs=100, patience=2)
    mrrs = iter([0.3, 0.2, 0.1])
    first = new_fit(random_dataset, run)
    for _ in islice(first, 2):
        first.report(next(mrrs))
    again = stored_and_read(first, run, random_dataset, tmp_path / "model")
    for _ in again:
        again.report(next(mrrs))
    assert (again.epoch, again.best_epoch, again.finished) == (3, 1, True)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_resumed_within_an_epoch_bitwise(random_dataset: Dataset, run: Run, tmp_path: Path) -> None:
    whole = new_fit(random_dataset, run)
    expected = epochs_of(whole, random_dataset)
    stop = PauseAt((2 * whole.num_steps + 2) * run.algorithm.pieces)  # in the second step of the third epoch
    stop.fit = first = new_fit(random_dataset, varied(run, objective=Watched(run.algorithm.objective, stop)))
    *done, partial_epoch = epochs_of(first, random_dataset, 3)
    assert (partial_epoch.number, partial_epoch.complete, partial_epoch.queries) == (3, False, 200)
    assert done == expected[:2]
    again = stored_and_read(first, run, random_dataset, tmp_path / "model")
    assert (again.epoch, again.step) == (2, 2)
    assert epochs_of(again, random_dataset) == expected[2:]
    assert_same_end(again, whole)
    assert epochs_of(first, random_dataset) == expected[2:]  # the paused one goes on just as well
    assert_same_end(first, whole)


def test_a_pause_at_the_last_step_of_an_epoch(random_dataset: Dataset) -> None:
    stop = PauseAt(6)
    stop.fit = fit = new_fit(random_dataset, varied(PLAIN, objective=Watched(OneVsAll(), stop)))
    epochs = list(fit)
    assert [(epoch.number, epoch.complete) for epoch in epochs if epoch.queries] == [(i, True) for i in (1, 2, 3, 4)]
    assert same(fit.scorer.state_dict(), ended(random_dataset, PLAIN).scorer.state_dict())


# Measured


def test_valid_is_a_sample_where_an_epoch_is_short(random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_descent, "_LEAST_VALID", 3)
    fit = new_fit(random_dataset, varied(PLAIN, questions=100, valid_every=2))
    assert fit.num_measured(random_dataset) == 30  # of which each is two questions, at a third of the cost
    assert len(fit.valid_ranking(random_dataset, None).rank) == 60
    assert new_fit(random_dataset, varied(PLAIN, questions=1, batch_size=1)).num_measured(random_dataset) == 3
    assert new_fit(random_dataset, PLAIN).num_measured(random_dataset) == len(random_dataset.valid)


def ended(dataset: Dataset, run: Run) -> Descent:
    fit = new_fit(dataset, run)
    list(fit)
    return fit


# Numbers that are none


def test_a_loss_that_is_not_finite_stops_with_step_and_setting(random_dataset: Dataset) -> None:
    run = varied(PLAIN, optimizer=partial(Adam, lr=1e30))
    with pytest.raises(UserError, match=r"loss is nan at step 2 of epoch 1: lower .* \(lr, now 1e\+30\)"):
        ended(random_dataset, run)


@pytest.mark.parametrize("epochs", [1, 2])
def test_weights_that_are_not_finite_stop_it_too(random_dataset: Dataset, epochs: int) -> None:
    """One step an epoch: the loss before it is finite, and nobody would look again before the weights are used."""
    run = varied(PLAIN, optimizer=partial(Adam, lr=1e39), batch_size=10_000, epochs=epochs)
    with pytest.raises(UserError, match=r"not finite at step 1 of epoch 1: lower .* \(lr, now 1e\+39\)"):
        for _ in (fit := new_fit(random_dataset, run)):
            evaluate(fit.scorer, random_dataset, "valid")


@pytest.mark.parametrize("name", [name for name in SCORERS if name not in COUNTED])
def test_bf16_multiplies_only(random_dataset: Dataset, name: str) -> None:
    parts = {"own": partial(scorer_class("neighbourhood"), dim=8), "base": partial(scorer_class("complex"), dim=8)}
    made = partial(scorer_class(name), **(parts if name == "gated" else {"dim": 8}))
    run = Run(made, GradientDescent(partial(Adam, lr=0.01), batch_size=150, hide="exact", epochs=5))
    exact, rough = ended(random_dataset, run), ended(random_dataset, varied(run, precision="bf16"))
    assert all(value.dtype == torch.float32 for value in rough.scorer.parameters())
    assert rough.loss() == pytest.approx(exact.loss(), rel=0.02)
    if name not in ("transe", "rotate"):  # their distances stay in float32
        assert rough.loss() != exact.loss()
    assert evaluate(rough.scorer, random_dataset, "test").rank.dtype == torch.float32


def test_bf16_regularizes_as_fp32_does(random_dataset: Dataset) -> None:
    plain = Run(partial(ComplEx, dim=8), GradientDescent(partial(Adam, lr=0.01), epochs=1))
    regularized = varied(plain, regularizer=N3(10.0))
    exact, rough = (ended(random_dataset, varied(regularized, precision=each)).loss() for each in ("fp32", "bf16"))
    assert rough == pytest.approx(exact, rel=0.02) and exact > 1.1 * ended(random_dataset, plain).loss()
