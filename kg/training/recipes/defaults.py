"""What a newcomer who names only the model gets: settings chosen on the valid parts of umls, and of larger graphs too
for rescal, transe, distmult and complex.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Adagrad, Adam

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.objectives import KvsAll, OneVsAll
from kg.training.regularizers import N3
from kg.training.run import Plateau, Procedure, Run, WarmUp

_SMALL = 5_000  # entities: below it a minute or two is enough for any of these, and small vectors overfit less
_FEW = 1_000  # entities: below it a question can bear to have all its answers weighed at once, again and again
_SPARSE = 5.0  # training facts an entity: below it the nuclear norm has to do more


def defaults(model: str) -> Callable[[Dataset], Run]:
    """From a graph (its size decides) to the Run for this model. UserError where no defaults are known."""
    if model not in _DEFAULTS:
        scorer_class(model)  # says which models there are
        raise UserError(f"{model} has no default settings yet: give a Run in Python")
    return _DEFAULTS[model]


def _is_small(dataset: Dataset) -> bool:
    return dataset.num_entities < _SMALL


def _is_sparse(dataset: Dataset) -> bool:
    return len(dataset.train) < _SPARSE * dataset.num_entities


def _nuclear_weight(dataset: Dataset) -> float:
    return 0.01 if _is_small(dataset) else 0.1 if _is_sparse(dataset) else 0.05


# A model's learning rate, its dim on small and on large graphs, and its other arguments. (TransE does a little better
# with the L1 norm, but then without matrix products.)
_DROPOUT: dict[str, tuple[float, int, int, dict[str, Any]]] = {
    "rescal": (0.001, 64, 128, {"entity_dropout": 0.5}),
    "tucker": (0.002, 64, 200, {"entity_dropout": 0.4, "relation_dropout": 0.2}),
    "transe": (0.003, 128, 128, {"norm": 2}),
    "rotate": (0.003, 64, 64, {}),
    "conve": (0.003, 100, 200, {"entity_dropout": 0.2, "feature_map_dropout": 0.2, "projection_dropout": 0.3}),
    "er_mlp": (0.003, 64, 64, {"entity_dropout": 0.3}),
    "ntn": (0.003, 32, 32, {"entity_dropout": 0.3}),
    "se": (0.003, 32, 32, {"entity_dropout": 0.3}),
}


def _with_dropout(model: str, lr: float, small: int, large: int, arguments: dict[str, Any], dataset: Dataset) -> Run:
    """Adam, and dropout against overfitting."""
    return Run(
        partial(scorer_class(model), dim=small if _is_small(dataset) else large, **arguments),
        partial(Adam, lr=lr),
        _one_vs_all(dataset),
        schedule=Plateau(),
        epochs=100,
        patience=5,
    )


def _bilinear(model: str, dataset: Dataset) -> Run:
    """Adagrad and the nuclear 3-norm (Lacroix et al., 2018)."""
    return Run(
        partial(scorer_class(model), dim=128, init=0.001),
        partial(Adagrad, lr=0.1),
        _one_vs_all(dataset),
        N3(_nuclear_weight(dataset)),
        epochs=100 if _is_small(dataset) else 50,
        patience=5,
    )


def _graph_encoder(model: str, lr: float, arguments: dict[str, Any], dataset: Dataset) -> Run:
    """Large batches, since each encodes the whole graph; but what a batch asks for is hidden, and most must be seen."""
    dropout = {"entity_dropout": 0.3, "hidden_dropout": 0.2}
    return Run(
        partial(scorer_class(model), dim=128, init=0.3, **dropout, **arguments),
        partial(Adam, lr=lr),
        _one_vs_all(dataset),
        batch_size=max(32, min(1024 if _is_small(dataset) else 4096, len(dataset.train) // 10)),  # of 2 * train
        epochs=100,
        patience=5,
        hide="exact",
    )


def _neighbourhood(dataset: Dataset) -> Run:
    """On few entities, all answers at once and dropout; on more, ComplEx with the votes of the neighbourhood."""
    if dataset.num_entities < _FEW:
        dropouts = {"entity_dropout": 0.4, "hidden_dropout": 0.3, "neighbour_dropout": 0.3, "identity_dropout": 0.05}
        return Run(
            partial(scorer_class("neighbourhood"), token_dropout=0.2, output_dropout=0.5, **dropouts),
            partial(Adam, lr=0.005),
            KvsAll("bce", label_smoothing=0.1),
            schedule=WarmUp(),
            batch_size=64,
            epochs=60,
            hide="exact",
        )
    sparse = _is_sparse(dataset)
    dropouts = {"token_dropout": 0.8, "neighbour_dropout": 0.7 if sparse else 0.3, "hidden_dropout": 0.3}
    return Run(
        partial(
            scorer_class("neighbourhood"),
            dim=512 if _is_small(dataset) else 128,
            width=32,
            num_neighbours=32,
            readout="votes",
            init=0.001,
            **dropouts,
        ),
        partial(Adagrad, lr=0.03 if _is_small(dataset) else 0.1),
        OneVsAll(max_answers=8),
        N3(_nuclear_weight(dataset)),
        batch_size=max(32, min(256 if _is_small(dataset) else 512, len(dataset.train) // 80)),  # of up to 8 facts a row
        epochs=60 if _is_small(dataset) else 50,
        patience=5,
        hide="exact",
    )


def _one_pass(model: str, procedure: Procedure, **arguments: Any) -> Run:
    return Run(partial(scorer_class(model), **arguments), procedure=procedure, epochs=1, valid_every=1, hide="exact")


# Procedures are imported where they are wanted: Numba and SciPy take a second, which every `kg train` would wait.


def _counted(model: str, _: Dataset) -> Run:
    from kg.training.algorithms.counting import Counting

    return _one_pass(model, Counting())


def _similarity(model: str, dataset: Dataset) -> Run:
    """Nothing is learned. Where heads have few facts, similarity to their known answers must say more."""
    from kg.training.algorithms.counting import Counting

    return _one_pass(model, Counting(), known_weight=1.0 if _is_sparse(dataset) else 0.01)


def _rules(dataset: Dataset) -> Run:
    """In dense graphs three atoms are very many rules, and bring nothing on valid; in large ones twice is by chance."""
    from kg.training.algorithms.mining import Mining

    often = 2 if _is_small(dataset) or _is_sparse(dataset) else 3
    return _one_pass("rules", Mining(max_length=3 if _is_sparse(dataset) else 2, min_constant_support=often))


def _path_ranking(_: Dataset) -> Run:
    from kg.training.algorithms.path_regression import Logistic

    return _one_pass("path_ranking", Logistic())


def _additive(dataset: Dataset) -> Run:
    """RESCAL's settings, but small batches, since what a batch asks for is hidden, and most must be seen."""
    from kg.training.algorithms.additive import Additive

    lr, small, large, dropout = _DROPOUT["rescal"]
    return Run(
        partial(scorer_class("are"), dim=small if _is_small(dataset) else large, **dropout),
        partial(Adam, lr=lr),
        OneVsAll(max_answers=8),
        schedule=Plateau(),
        batch_size=max(32, min(256, len(dataset.train) // 80)),  # of up to 8 facts a row
        epochs=50,
        patience=5,
        hide="exact",
        procedure=Additive(),
    )


def _one_vs_all(dataset: Dataset) -> OneVsAll:
    """On a large graph, answers to a question share a row: as good after the same epochs, in half the time or less."""
    return OneVsAll() if _is_small(dataset) else OneVsAll(max_answers=8)


_DEFAULTS: dict[str, Callable[[Dataset], Run]] = {
    **{model: partial(_counted, model) for model in ("frequency", "naive_bayes", "preferential_attachment")},
    **{model: partial(_similarity, model) for model in ("common_neighbours", "adamic_adar", "katz", "pagerank")},
    "rules": _rules,
    "path_ranking": _path_ranking,
    "are": _additive,
    **{model: partial(_bilinear, model) for model in ("distmult", "complex", "cp", "simple", "hole")},
    "neighbourhood": _neighbourhood,
    "rgcn": partial(_graph_encoder, "rgcn", 0.01, {"num_layers": 1}),
    "compgcn": partial(_graph_encoder, "compgcn", 0.005, {"composition": "sub"}),
    **{model: partial(_with_dropout, model, *arguments) for model, arguments in _DROPOUT.items()},
}
