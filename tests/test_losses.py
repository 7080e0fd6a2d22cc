"""Losses against PyTorch's own, dense and slow, and on paper."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kg.training import losses

ROWS, WIDTH = 7, 11
one_answer = [(row, (3 * row) % WIDTH, 1.0) for row in range(ROWS)]
some_answers = [(row, tail, 1 / (1 + row % 3)) for row in range(ROWS) for tail in range(1, 2 + row % 3)]
uneven_rows = [(row, tail, 1 + tail / 2) for row, tail, _ in some_answers]
every_kind = pytest.mark.parametrize(
    "answers", [one_answer, some_answers, uneven_rows], ids=["one answer", "some answers", "uneven rows"]
)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])


def columns(answers: list[tuple[int, int, float]]) -> tuple[Tensor, Tensor, Tensor]:
    row, tail, weight = zip(*answers, strict=True)
    return torch.tensor(row), torch.tensor(tail), torch.tensor(weight)


def scores(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = 4 * torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed))
    return drawn.to(dtype).requires_grad_()


def dense(answers: list[tuple[int, int, float]], smoothing: float) -> Tensor:
    """The whole (B, N) matrix of targets; its rows add up to 1 on average."""
    target = torch.zeros(ROWS, WIDTH)
    for row, tail, weight in answers:
        target[row, tail] += weight
    target *= ROWS / target.sum()
    return (1 - smoothing) * target + smoothing / WIDTH * target.sum(1, keepdim=True)


@smoothings
@every_kind
@pytest.mark.parametrize("block", [1, 3 * WIDTH, 1 << 19], ids=["a row", "3 rows", "all"])
def test_softmax_cross_entropy(
    answers: list[tuple[int, int, float]], smoothing: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_CACHE", block)
    ours, theirs = scores(), scores()
    loss = losses.softmax_cross_entropy(ours * 1, *columns(answers), smoothing)  # * 1: the scores are used up
    expected = functional.cross_entropy(theirs, dense(answers, smoothing))
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@smoothings
@every_kind
@pytest.mark.parametrize("width", [1, 4, WIDTH, 50])
def test_chunked_softmax_cross_entropy(answers: list[tuple[int, int, float]], smoothing: float, width: int) -> None:
    ours, theirs = scores(), scores()
    seen = []

    def compare(part: slice) -> Tensor:
        seen.append(part.stop - part.start)
        return ours[:, part] * 1

    loss = losses.chunked_softmax_cross_entropy(compare, (ROWS, WIDTH), *columns(answers), smoothing, width)
    expected = losses.softmax_cross_entropy(theirs * 1, *columns(answers), smoothing)
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert max(seen) <= width and sum(seen) == 2 * WIDTH  # there and back


@smoothings
def test_softmax_cross_entropy_is_pytorchs_own(smoothing: float) -> None:
    row, tail, weight = columns(one_answer)
    loss = losses.softmax_cross_entropy(scores() * 1, row, tail, weight, smoothing)
    torch.testing.assert_close(loss, functional.cross_entropy(scores(), tail, label_smoothing=smoothing))


def test_softmax_cross_entropy_by_hand() -> None:
    """Scores log 1, log 2, log 5: probabilities 1/8, 2/8, 5/8."""
    given = torch.tensor([[1.0, 2.0, 5.0]]).log()
    row, tail, weight = torch.tensor([0]), torch.tensor([1]), torch.ones(1)
    assert losses.softmax_cross_entropy(given.clone(), row, tail, weight).item() == pytest.approx(math.log(4))
    smooth = losses.softmax_cross_entropy(given.clone(), row, tail, weight, 0.3).item()
    assert smooth == pytest.approx(0.7 * math.log(4) + 0.1 * (math.log(8) + math.log(4) + math.log(8 / 5)))


def test_large_scores_do_not_overflow() -> None:
    given = torch.tensor([[1e4, -1e4, 0.0]])
    loss = losses.softmax_cross_entropy(given, torch.tensor([0]), torch.tensor([2]), torch.ones(1))
    assert loss.item() == 1e4


def test_scores_in_bfloat16_are_summed_in_float32() -> None:
    ours, theirs = scores(dtype=torch.bfloat16), scores(dtype=torch.bfloat16)
    loss = losses.softmax_cross_entropy(ours * 1, *columns(some_answers), 0.1)
    expected = functional.cross_entropy(theirs.float(), dense(some_answers, 0.1))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.01, atol=0)
    loss.backward()
    expected.backward()
    assert ours.grad is not None and ours.grad.dtype == torch.bfloat16
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0.05, atol=1e-3)


def test_a_second_backward_gives_the_same_or_is_refused() -> None:
    """The gradient is written over the scores; one that has been scaled there cannot be had again."""
    given = scores()
    loss = losses.softmax_cross_entropy(given * 1, *columns(one_answer))
    once, again = (torch.autograd.grad(loss, given, retain_graph=True)[0].clone() for _ in range(2))
    assert torch.equal(once, again)
    twice = torch.autograd.grad(2 * loss, given, retain_graph=True)[0]
    torch.testing.assert_close(twice, 2 * once)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_scores_that_another_gradient_needs_are_refused() -> None:
    """exp keeps its output for its gradient, and the loss writes over that: an error, not a wrong gradient."""
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        losses.softmax_cross_entropy(scores().exp(), *columns(one_answer)).backward()


@smoothings
def test_binary_cross_entropy(smoothing: float) -> None:
    ours, theirs = scores(), scores()
    row, tail, _ = columns(some_answers)
    labels = torch.zeros(ROWS, WIDTH)
    labels[row, tail] = 1
    loss = losses.binary_cross_entropy(ours, row, tail, smoothing)
    labels = (1 - smoothing) * labels + smoothing / WIDTH
    expected = functional.binary_cross_entropy_with_logits(theirs, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_sampled_softmax() -> None:
    positive, negative = torch.tensor([1.0, -2.0]), torch.tensor([[0.0, 3.0], [1.0, -torch.inf]])
    expected = functional.cross_entropy(torch.cat([positive[:, None], negative], 1), torch.tensor([0, 0]))
    torch.testing.assert_close(losses.sampled_softmax(positive, negative).mean(), expected)


def test_margin_ranking_by_hand() -> None:
    positive, negative = torch.tensor([1.0, 2.0]), torch.tensor([[0.5, -1.0], [1.0, 2.0]])
    # max(0, 1 - 1 + .5) = .5, max(0, 1 - 1 - 1) = 0; max(0, 1 - 2 + 1) = 0, max(0, 1 - 2 + 2) = 1
    assert losses.margin_ranking(positive, negative, 1.0).tolist() == [0.25, 0.5]


def logistic(x: float) -> float:
    """-log sigmoid(x)."""
    return math.log(1 + math.exp(-x))


def test_adversarial_logistic_by_hand() -> None:
    positive, negative = torch.tensor([-1.0]), torch.tensor([[-2.0, -2.0 + math.log(3)]])
    # weights 1/4 and 3/4 at temperature 1; 1/2 each at temperature 0
    first, second = logistic(-3 + 2), logistic(-3 + 2 - math.log(3))
    for temperature, expected in ((1.0, 0.25 * first + 0.75 * second), (0.0, 0.5 * first + 0.5 * second)):
        loss = losses.adversarial_logistic(positive, negative, margin=3.0, temperature=temperature)
        assert loss.item() == pytest.approx((logistic(3 - 1) + expected) / 2)


def test_the_weights_of_negatives_have_no_gradient() -> None:
    negative = torch.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
    losses.adversarial_logistic(torch.zeros(1), negative, margin=1.0, temperature=2.0).sum().backward()
    weight = torch.softmax(2 * negative.detach(), 1)
    torch.testing.assert_close(negative.grad, weight * torch.sigmoid(negative.detach() + 1) / 2)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_left_out_counts_for_nothing(temperature: float) -> None:
    """A negative of -inf changes no loss, and no gradient becomes NaN, even where all of a row are left out."""
    positive = torch.tensor([0.5])
    three, two = torch.tensor([[0.1, -0.3, -torch.inf]]), torch.tensor([[0.1, -0.3]])
    for loss in (
        losses.sampled_softmax,
        lambda p, n: losses.adversarial_logistic(p, n, margin=1.0, temperature=temperature),
    ):
        torch.testing.assert_close(loss(positive, three.clone()), loss(positive, two.clone()))
        leaf = torch.tensor([[0.1, -0.3], [0.2, 0.3]], requires_grad=True)
        left_out = torch.tensor([[True, True], [False, True]])
        value = loss(torch.tensor([0.5, 0.5]), leaf.masked_fill(left_out, -torch.inf)).mean()
        value.backward()
        assert value.isfinite() and leaf.grad is not None and bool(leaf.grad.isfinite().all())
        assert leaf.grad[left_out].tolist() == [0, 0, 0] and leaf.grad[1, 0] != 0
