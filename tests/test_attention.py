"""What every attention mechanism keeps to."""

import random
import re
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np
import pytest
import torch
from templates import module_of
from torch import Tensor, nn
from torch.optim import Adam

from kg.attention import ATTENTIONS
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import Queries
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import train

H, D = 2, 4
ORDER_DEPENDENT = {"star", "expander", "fnet", "window"}
HAS_OWN_KEYS = {"persistent"}  # a row whose keys are all masked still has these

each = pytest.mark.parametrize("name", ATTENTIONS)


class Tokens(NamedTuple):
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor


def mechanism(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return resolve_name(ATTENTIONS[name])(H, D)


def tokens(lengths: list[int], width: int | None = None, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tokens:
    """Rows with so many tokens each, then pads of zeros."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths) if width is None else width
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    drawn = torch.randn(3, len(lengths), H, width, D, generator=generator, dtype=dtype)
    return Tokens(*(drawn * mask[:, None, :, None]), mask)


def scattered(seed: int = 1) -> Tokens:
    """Three rows of 9 tokens, some masked in between and at the end; token 0 never is."""
    found = tokens([9, 9, 9], seed=seed)
    found.mask[0, [2, 3, 6]] = False
    found.mask[1, 4:] = False
    return found


def weights(attend: nn.Module) -> list[Tensor]:
    return list(attend.parameters()) if isinstance(attend, nn.Module) else []


def gradients(attend: nn.Module, given: Tokens, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
    """Of a sum over the valid tokens' outputs in which no two count alike: by q, k, v and every weight."""
    leaves = [x.clone().requires_grad_() for x in given[:3]]
    out = attend(*leaves, given.mask, generator)
    factors = torch.randn(out.shape, generator=torch.Generator().manual_seed(7), dtype=out.dtype).to(out.device)
    total = (out * factors)[given.mask[:, None, :, None].expand_as(out)].sum()
    return torch.autograd.grad(total, [*leaves, *weights(attend)], materialize_grads=True)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@each
def test_the_docstring_tells_cost_and_source(name: str) -> None:
    text = resolve_name(ATTENTIONS[name]).__doc__
    assert "O(" in text and re.search(r"et al\., (19|20)\d\d\)", text)


@each
def test_outputs_and_gradients_are_finite(name: str) -> None:
    attend, given = mechanism(name), scattered()
    out = attend(*given)
    assert out.shape == given.q.shape and out.dtype == given.q.dtype and out.isfinite().all()
    found = gradients(attend, given)
    assert all(x.isfinite().all() for x in found)
    assert all(x.count_nonzero() for x in found[3:]), "a weight that nothing depends on"
    assert all(x.count_nonzero() for x in found[2].transpose(1, 2)[given.mask]), "a value that no output takes in"


@each
@pytest.mark.parametrize("lengths", [[0, 5, 0], [0, 0]], ids=["two of three rows", "all"])
def test_rows_without_keys(name: str, lengths: list[int]) -> None:
    attend = mechanism(name)
    given = tokens([5] * len(lengths))
    given.mask[torch.tensor(lengths) == 0] = False
    leaves = [x.clone().requires_grad_() for x in given[:3]]
    out = attend(*leaves, given.mask)
    empty = out[~given.mask[:, 0]]
    assert out.isfinite().all()
    assert bool(empty.count_nonzero()) == (name in HAS_OWN_KEYS)
    total = out.square().sum() + 0 * leaves[0].sum()  # where nothing is mixed, no output may depend on any token
    found = torch.autograd.grad(total, [*leaves, *weights(attend)], materialize_grads=True)
    assert all(x.isfinite().all() for x in found)
    assert not any(x[~given.mask[:, 0]].count_nonzero() for x in found[1:3])


@each
def test_masked_is_removed(name: str) -> None:
    attend, given = mechanism(name), scattered()
    out = attend(*given)
    for row, mask in enumerate(given.mask):
        q, k, v = (x[row : row + 1, :, mask] for x in given[:3])
        assert_close(out[row : row + 1, :, mask], attend(q, k, v, mask[mask][None]))


@each
def test_pads_change_nothing(name: str) -> None:
    attend, given = mechanism(name), tokens([7, 3, 1])
    expected = attend(*given)
    for pads in (1, 9, 40):
        wider = [nn.functional.pad(x, (0, 0, 0, pads)) for x in given[:3]]
        out = attend(*wider, nn.functional.pad(given.mask, (0, pads)))
        for row, mask in enumerate(given.mask):
            assert_close(out[row, :, :7][:, mask], expected[row][:, mask])


@each
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, 1e30, -1e30])
def test_what_lies_at_masked_keys_has_no_influence(name: str, garbage: float) -> None:
    attend, given = mechanism(name), scattered()
    absent = ~given.mask[:, None, :, None]
    clean = given._replace(k=given.k.masked_fill(absent, 0), v=given.v.masked_fill(absent, 0))
    dirty = given._replace(k=given.k.masked_fill(absent, garbage), v=given.v.masked_fill(absent, garbage))
    before = [x.clone() for x in dirty]
    counts = given.mask[:, None, :, None].expand_as(given.q)
    assert_close(attend(*dirty)[counts], attend(*clean)[counts])
    for found, expected in zip(gradients(attend, dirty), gradients(attend, clean), strict=True):
        assert_close(found, expected)
    for now, then in zip(dirty, before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0, equal_nan=True)  # what was lent is as it was


@each
def test_rows_do_not_influence_each_other(name: str) -> None:
    attend, given = mechanism(name), scattered()
    out = attend(*given)
    for rows in ([0], [1], [2], [2, 0], [1, 1]):
        assert_close(attend(*(x[rows] for x in given)), out[rows])


@each
def test_permuted_neighbours_are_permuted_outputs(name: str) -> None:
    attend, given = mechanism(name), scattered()
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(8, generator=torch.Generator().manual_seed(3))])
    permuted = Tokens(*(x[:, :, order] for x in given[:3]), given.mask[:, order])
    counts = permuted.mask[:, None, :, None].expand_as(given.q)
    found, expected = attend(*permuted)[counts], attend(*given)[:, :, order][counts]
    if name in ORDER_DEPENDENT:
        assert not torch.allclose(found, expected, atol=1e-3)
    else:
        assert_close(found, expected)


@each
def test_other_queries_than_keys(name: str) -> None:
    attend, given = mechanism(name), scattered()
    for queries in (given.q[:, :, :2], torch.cat([given.q, given.q], 2)):
        try:
            out = attend(queries, *given[1:])
        except ValueError as error:
            assert "\n" not in str(error)
            continue
        assert out.shape == queries.shape and out.isfinite().all()
        if name not in ORDER_DEPENDENT:  # a query's output is its own
            together = attend(*given)
            assert_close(out[:, :, :2], together[:, :, :2])


def global_states() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), [str(x) for x in np.random.get_state()]


@each
@pytest.mark.parametrize("training", [False, True])
def test_no_global_random_state_is_touched(name: str, training: bool) -> None:
    attend, given = mechanism(name), tokens([40, 3])
    before = global_states()
    gradients(attend, given, torch.Generator().manual_seed(0) if training else None)
    assert global_states() == before


@each
def test_all_chance_is_the_generators(name: str) -> None:
    given = tokens([40, 3])
    runs = []
    for seed in (5, 5):
        attend, generator = mechanism(name), torch.Generator().manual_seed(seed)
        runs.append([attend(*given, generator) for _ in range(3)])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


@each
def test_without_a_generator_nothing_is_random_and_nothing_is_kept(name: str) -> None:
    attend, given = mechanism(name), tokens([40, 3])
    before = {key: x.clone() for key, x in attend.state_dict().items()} if isinstance(attend, nn.Module) else {}
    assert torch.equal(attend(*given), attend(*given))
    assert all(torch.equal(attend.state_dict()[key], x) for key, x in before.items())


@each
def test_gradients_by_differences(name: str) -> None:
    attend, given = mechanism(name), tokens([6, 4, 1], dtype=torch.float64)
    if isinstance(attend, nn.Module):
        attend = attend.double()
    counts = given.mask[:, None, :, None].expand_as(given.q)
    leaves = [x.requires_grad_() for x in given[:3]]
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, given.mask)[counts], leaves, fast_mode=True)


@each
def test_autocast_costs_the_rounding_of_inputs_and_no_more(name: str) -> None:
    """600 tokens, that sums of weights in bfloat16, which end at 256 ones, would show; values a bfloat16 holds."""
    attend = mechanism(name)
    given = tokens([600, 9])
    given = Tokens(*(x.bfloat16().float() for x in given[:3]), given.mask)
    expected = attend(*given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend(*given)
        low = attend(*(x.bfloat16() for x in given[:3]), given.mask)
        finite = gradients(attend, given)
    counts = given.mask[:, None, :, None].expand_as(given.q)
    scale = expected[counts].abs().max().item()
    for out in (found, low):
        assert out.isfinite().all()
        torch.testing.assert_close(out.float()[counts], expected[counts], rtol=0.02, atol=0.01 * scale)
    assert all(x.isfinite().all() for x in finite)
    assert low.dtype == torch.bfloat16


# A mechanism of one's own

CONTRACT = (
    test_the_docstring_tells_cost_and_source,
    test_outputs_and_gradients_are_finite,
    test_masked_is_removed,
    test_pads_change_nothing,
    test_rows_do_not_influence_each_other,
    test_permuted_neighbours_are_permuted_outputs,
    test_other_queries_than_keys,
    test_all_chance_is_the_generators,
    test_without_a_generator_nothing_is_random_and_nothing_is_kept,
    test_gradients_by_differences,
    test_autocast_costs_the_rounding_of_inputs_and_no_more,
)


def test_a_new_mechanism_is_one_file_and_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_dataset: Dataset
) -> None:
    module_of("attention", "mean_attention", tmp_path, monkeypatch)
    monkeypatch.setitem(ATTENTIONS, "mean", "mean_attention:Mean")
    for promise in CONTRACT:
        promise("mean")
    test_rows_without_keys("mean", [0, 5, 0])
    for garbage in (torch.nan, torch.inf, 1e30):
        test_what_lies_at_masked_keys_has_no_influence("mean", garbage)
    attention = partial(resolve_name(ATTENTIONS["mean"]))
    scorer = partial(NeighbourhoodTransformer, dim=4, width=8, attention=attention)
    run = Run(scorer, GradientDescent(partial(Adam, lr=0.01), hide="exact", epochs=1))
    trained = train(random_dataset, run, tmp_path / "model")
    stored = Bundle.load(tmp_path / "model")
    assert stored.run["scorer"]["arguments"]["attention"] == {"name": "mean", "arguments": {}}
    everything = Queries(torch.arange(50), torch.arange(50) % 6, random_dataset.graph())
    assert torch.equal(stored.scorer.score_tails(everything), trained.scorer.score_tails(everything))
