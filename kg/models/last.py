"""What a scorer computes of a whole graph is computed once, where nothing has changed."""

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar, final

import torch
from torch import Tensor, nn

from kg.graph.graph import Graph

_Value = TypeVar("_Value")


@final
class Last(Generic[_Value]):
    """What was computed last of a graph, for a second call with the same graph and weights; for several threads.

    Weights are compared with a copy, number by number, which costs little beside the scores of one question. Autograd's
    count of changes would cost nothing, but optimizers with a fused kernel leave it as it was. The graph is not kept
    alive.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graph: Callable[[], Graph | None] = lambda: None
        self._weights: list[Tensor] = []
        self._value: _Value | None = None

    def __reduce__(self) -> "tuple[type[Last[_Value]], tuple[()]]":
        return Last, ()  # a copied scorer computes anew

    def of(self, scorer: nn.Module, graph: Graph, compute: Callable[[], _Value]) -> _Value:
        with self._lock:
            if self._value is None or self._graph() is not graph or not self._has_weights_of(scorer):
                self._value = compute()
                self._graph, self._weights = weakref.ref(graph), [weight.clone() for weight in scorer.parameters()]
            return self._value

    def _has_weights_of(self, scorer: nn.Module) -> bool:
        pairs = zip(self._weights, scorer.parameters(), strict=True)
        return all(own.dtype == theirs.dtype and torch.equal(own, theirs) for own, theirs in pairs)
