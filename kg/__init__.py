"""kg learns from a knowledge graph what it is missing: load RDF, train a link predictor, ask for candidate facts."""

from typing import TYPE_CHECKING, Any

from kg.errors import UserError

if TYPE_CHECKING:
    from kg.api import evaluate, load, remove, replace, suggest, train
    from kg.bundle import Bundle
    from kg.graph.dataset import Dataset
    from kg.graph.graph import Graph
    from kg.graph.vocabulary import Vocabulary
    from kg.query.predictor import Predictor
    from kg.query.sparql.scored import ScoredStore
    from kg.store.store import Store
    from kg.training.gradient_descent import GradientDescent
    from kg.training.run import Run

__version__ = "0.3.0"

# Resolved on first use, so that `kg --help`, `kg info` and `kg load` never wait for torch.
_HOMES = {
    "Bundle": "kg.bundle",
    "Dataset": "kg.graph.dataset",
    "GradientDescent": "kg.training.gradient_descent",
    "Graph": "kg.graph.graph",
    "Predictor": "kg.query.predictor",
    "Run": "kg.training.run",
    "ScoredStore": "kg.query.sparql.scored",
    "Store": "kg.store.store",
    "Vocabulary": "kg.graph.vocabulary",
    "evaluate": "kg.api",
    "load": "kg.api",
    "remove": "kg.api",
    "replace": "kg.api",
    "suggest": "kg.api",
    "train": "kg.api",
}

__all__ = [
    "Bundle",
    "Dataset",
    "GradientDescent",
    "Graph",
    "Predictor",
    "Run",
    "ScoredStore",
    "Store",
    "UserError",
    "Vocabulary",
    "evaluate",
    "load",
    "remove",
    "replace",
    "suggest",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kg' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
