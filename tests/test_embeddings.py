"""Which term stands beside which row."""

from functools import partial
from pathlib import Path

import pytest
from torch.optim import Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.query.embeddings import write_embeddings
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.train import train

ENTITIES = [f"e{i}" for i in range(50)]
RELATIONS = ["r0", "r1", "r2"]
INVERSES = [f"^{relation}" for relation in RELATIONS]
EXPECTED = {
    ("cp", False): {"table.weight": ENTITIES, "head_table.weight": ENTITIES, "diagonal.weight": RELATIONS + INVERSES},
    ("distmult", True): {"table.weight": ENTITIES, "diagonal.weight": RELATIONS},
    ("er_mlp", False): {
        "table.weight": ENTITIES,
        "relation.weight": RELATIONS + INVERSES,
        "blocks": ["0", "1", "2"],  # as many as there are relations, and none of theirs
        "output": [str(i) for i in range(4)],
    },
    ("rescal", True): {"table.weight": ENTITIES, "matrix.weight": RELATIONS},
    ("tucker", False): {
        "table.weight": ENTITIES,
        "mixture.weight": RELATIONS + INVERSES,
        "core": [str(i) for i in range(7)],  # layers have no terms
    },
}


@pytest.mark.parametrize(("model", "tied"), EXPECTED)
def test_terms_stand_beside_their_rows(model: str, tied: bool, random_dataset: Dataset, tmp_path: Path) -> None:
    extra = {"tied": True} if tied else {"relation_dim": 7} if model == "tucker" else {}
    run = Run(partial(scorer_class(model), dim=4, **extra), GradientDescent(partial(Adam, lr=0.01), epochs=1))
    write_embeddings(train(random_dataset, run, tmp_path / "model"), tmp_path / "rows.tsv")
    found: dict[str, list[str]] = {}
    for line in (tmp_path / "rows.tsv").read_text().splitlines():
        name, term, *values = line.split("\t")
        assert values
        found.setdefault(name, []).append(term)
    assert found == EXPECTED[model, tied]
