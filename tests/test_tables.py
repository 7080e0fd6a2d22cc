"""Rows of entities and weights of relations, on paper; and who may look at how they are kept."""

import re
from pathlib import Path

import pytest
import torch
from paper import fill
from test_models import VARIANTS, Made
from torch import nn

from kg.models.tables import EntityTable, RelationWeights, Tie, negated, same, transposed

MODULES = sorted((Path(__file__).parents[1] / "kg").rglob("*.py"))


def test_a_table_gives_rows_blocks_and_all() -> None:
    table = EntityTable(3, 2)
    assert (table.num_rows, table.size) == (3, 2)
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    table.assign(rows)
    assert torch.equal(table.whole(), rows)
    assert table.rows(torch.tensor([[2], [0]])).tolist() == [[[5, 6]], [[1, 2]]]
    assert table.block(slice(1, 5)).tolist() == [[3, 4], [5, 6]]
    table.draw(0.5, num_biases=1)
    assert bool(table.whole()[:, 0].all()) and not bool(table.whole()[:, 1].any())


@pytest.mark.parametrize(
    ("tie", "inverses"),
    [(None, [[7.0, 0.0], [0.0, 1.0]]), (same, [[1.0, 2.0], [3.0, 5.0]]), (negated, [[-1.0, -2.0], [-3.0, -5.0]])],
)
def test_weights_of_inverses_are_tied_or_their_own(tie: Tie | None, inverses: list[list[float]]) -> None:
    weights = RelationWeights(2, 2, tie=tie)
    forward = [[1.0, 2.0], [3.0, 5.0]]
    weights.assign(torch.tensor(forward if tie else forward + inverses))
    assert weights.kept().shape == (2 if tie else 4, 2)
    assert weights.every().tolist() == forward + inverses
    assert weights.rows(torch.tensor([3, 0, 2])).tolist() == [inverses[1], forward[0], inverses[0]]
    assert weights.row(3).tolist() == inverses[1]
    x = torch.tensor([[10.0, 1.0]])
    assert torch.equal(weights.dots(x), x @ weights.every().T)


def test_a_tied_matrix_is_transposed() -> None:
    weights = RelationWeights(1, 2, 2, tie=transposed)
    fill(weights.kept(), [[[1.0, 2.0], [3.0, 4.0]]])
    assert weights.rows(torch.tensor([1, 0])).tolist() == [[[1, 3], [2, 4]], [[1, 2], [3, 4]]]


def test_dropout_needs_a_generator() -> None:
    weights = RelationWeights(2, 100, dropout=0.5)
    weights.assign(1.0)
    relation = torch.tensor([0, 3])
    assert bool((weights.rows(relation) == 1).all())
    dropped = weights.rows(relation, torch.Generator().manual_seed(0))
    assert sorted(dropped.unique().tolist()) == [0, 2] and torch.equal(
        dropped, weights.rows(relation, torch.Generator().manual_seed(0))
    )


def test_vectors_are_drawn_as_embeddings_are() -> None:
    """Once when they are made, and then again: the weights of a seed are those of models trained long ago."""
    torch.manual_seed(0)
    table, weights = EntityTable(9, 4), RelationWeights(3, 4)
    table.draw(0.1)
    weights.draw(0.1)
    torch.manual_seed(0)
    expected = nn.Embedding(9, 4), nn.Embedding(6, 4)
    for made, embedding in zip((table, weights), expected, strict=True):
        nn.init.normal_(embedding.weight, std=0.1)
        assert torch.equal(made.weight, embedding.weight)


def holders(make: Made) -> set[str]:
    """The attributes of a scorer, and of its parts, that hold rows."""
    found = make().named_modules()
    return {name.rpartition(".")[2] for name, part in found if isinstance(part, EntityTable | RelationWeights)}


def test_nobody_else_reads_how_rows_are_kept() -> None:
    names = set().union(*map(holders, VARIANTS))
    assert {"table", "head_table", "diagonal", "matrix", "translation", "phase", "gate", "scale"} <= names
    reads = re.compile(rf"\.(?:{'|'.join(sorted(names))}|weights)\.weight\b")
    assert reads.search("rows = scorer.table.weight") and reads.search("self.weights.weight.T")
    for module in MODULES:
        found = reads.search(module.read_text(encoding="utf-8"))
        assert module.name == "tables.py" or not found, f"{module} reads {found and found[0]}"
