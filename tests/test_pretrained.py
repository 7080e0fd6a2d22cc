"""A network for any graph: nothing hangs on names, and the weights that the package carries are used as they are."""

from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import kg
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.graph.vocabulary import Vocabulary
from kg.models.pretrained import PretrainedPathNetwork
from kg.models.scorer import Queries
from kg.training.algorithms.transfer import WEIGHTS, Transfer
from kg.training.recipes import default_run
from kg.training.recipes.pretrained import fine_tuned
from kg.training.run import Run
from kg.training.train import train

N, R = 30, 4


def facts() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(0, high, (90,), generator=generator) for high in (N, R, N)]
    return torch.unique(torch.stack(drawn, 1), dim=0)


def made(entities: int = N, relations: int = R) -> PretrainedPathNetwork:
    torch.manual_seed(1)
    return PretrainedPathNetwork(entities, relations, dim=8, num_layers=3).eval()


def scores(triples: Tensor, head: Tensor, relation: Tensor) -> Tensor:
    with torch.no_grad():
        return made().score_tails(Queries(head, relation, Graph.from_triples(triples, N, R)))


HEAD, RELATION = torch.arange(12), torch.arange(12) % (2 * R)


def test_entities_may_have_other_numbers() -> None:
    new = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    moved = facts()
    moved[:, [0, 2]] = new[moved[:, [0, 2]]]
    before, after = scores(facts(), HEAD, RELATION), scores(moved, new[HEAD], RELATION)
    torch.testing.assert_close(after[:, new], before, atol=1e-5, rtol=1e-5)


def test_relations_may_have_other_names_and_stand_the_other_way_round() -> None:
    new = torch.tensor([2, 0, 3, 1])
    renamed = facts()
    renamed[:, 1] = new[renamed[:, 1]]
    turned = renamed[:, 1] == 3  # what was r2
    renamed[turned] = renamed[turned].flip(1)[:, [0, 1, 2]]
    of = torch.cat([new, new + R])
    of[2], of[2 + R] = of[2 + R].clone(), of[2].clone()
    before, after = scores(facts(), HEAD, RELATION), scores(renamed, HEAD, of[RELATION])
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_a_question_is_answered_alike_whatever_else_is_asked() -> None:
    """Questions of several relations read several tables."""
    together = scores(facts(), HEAD, RELATION)
    for i in range(len(HEAD)):
        alone = scores(facts(), HEAD[i : i + 1], RELATION[i : i + 1])
        torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=1e-5)


def test_the_relation_that_is_asked_matters() -> None:
    found = scores(facts(), torch.zeros(2 * R, dtype=torch.long), torch.arange(2 * R))
    assert len(torch.unique(found.round(decimals=4), dim=0)) == 2 * R


@pytest.mark.parametrize("rows", [[[0, 0, 1]], [[0, 0, 0]], []], ids=["one fact", "one loop", "no fact"])
def test_the_least_graphs(rows: list[list[int]]) -> None:
    graph = Graph.from_triples(torch.tensor(rows, dtype=torch.long).reshape(-1, 3), 2, 1)
    found = made(2, 1).score_tails(Queries(torch.tensor([0, 1]), torch.tensor([0, 1]), graph))
    assert found.shape == (2, 2) and bool(found.isfinite().all())


def dataset() -> Dataset:
    names = Vocabulary([f"e{i}" for i in range(N)], [f"r{i}" for i in range(R)])
    return Dataset(facts()[:70], facts()[70:76], facts()[76:], names)


def test_the_weights_of_the_package_are_taken_as_they_are(tmp_path: Path) -> None:
    bundle = train(dataset(), default_run("pretrained")(dataset()), tmp_path / "m")
    shipped = Path(str(files("kg.data") / WEIGHTS))
    carried = load_file(shipped)
    assert shipped.stat().st_size < 1e6
    assert carried.keys() == bundle.scorer.state_dict().keys()
    assert all(torch.equal(value, carried[name]) for name, value in bundle.scorer.state_dict().items())
    assert bundle.metrics["valid"]["mrr"] > 0


def test_fine_tuning_begins_there_and_moves(tmp_path: Path) -> None:
    run = fine_tuned(default_run("pretrained")(dataset()))
    run = replace(run, algorithm=run.algorithm.with_epochs(1))
    carried = load_file(Path(str(files("kg.data") / WEIGHTS)))
    trainer = run.trainer(dataset())
    begun = {name: value.clone() for name, value in trainer.scorer.state_dict().items()}
    assert all(torch.equal(value, carried[name]) for name, value in begun.items())
    next(iter(trainer))
    assert not torch.equal(trainer.scorer.state_dict()["asked.weight"], begun["asked.weight"])


def test_what_the_weights_do_not_fit_is_said() -> None:
    run = Run(partial(PretrainedPathNetwork, dim=8), Transfer())
    with pytest.raises(UserError, match="pretrained weights are of another size"):
        run.trainer(dataset())
    with pytest.raises(UserError, match="transfer is to PretrainedPathNetwork, not ComplEx"):
        Run(partial(kg.models.complex.ComplEx, dim=8), Transfer()).trainer(dataset())
