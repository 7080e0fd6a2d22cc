"""Steps that touch a few rows of the entities' tables: nothing as large as a table is read, written or made."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.optim import Optimizer

from kg.models.scorer import Scorer
from kg.models.tables import EntityTable


def touched_tables(scorer: Scorer, most_rows: int | None) -> list[EntityTable]:
    """The tables of which a step that asks for so many entities at most (None: for all) reads less than half; none
    where the scorer reads the graph."""
    if most_rows is None or scorer.reads_graph:
        return []
    tables = [module for module in scorer.modules() if isinstance(module, EntityTable)]
    return [table for table in tables if 2 * most_rows < table.num_rows]


@final
class TouchedRows:
    """The rows of tables that a step reads, each gathered once; they alone get gradients, and are optimized.

    With Adagrad that is the dense step itself, as a gradient of 0 changes nothing there. Adam's averages of a row stay
    as they are while it isn't touched (the usual sparse Adam), and weight decay reaches the rows touched.
    """

    def __init__(self, tables: Sequence[EntityTable], ids: Int[Tensor, " M"]) -> None:
        self._tables = tables
        self._ids = torch.unique(ids) if tables else ids
        self._rows: list[nn.Parameter] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Scorers read these rows alone meanwhile: the loss, and its way back."""
        with ExitStack() as stack:
            self._rows = [stack.enter_context(table.holding(self._ids)) for table in self._tables]
            yield

    @torch.no_grad()
    def step(self, optimizer: Optimizer, new_optimizer: Callable[[list[nn.Parameter]], Optimizer]) -> None:
        """What the optimizer of the tables would do: by a small one over these rows, lent their part of its state."""
        ids = self._ids
        for table, rows in zip(self._tables, self._rows, strict=True):
            (whole,) = table.parameters()
            small, state = new_optimizer([rows]), optimizer.state[whole]
            group = next(group for group in optimizer.param_groups if any(each is whole for each in group["params"]))
            small.param_groups[0].update({name: value for name, value in group.items() if name != "params"})
            for name, value in state.items():
                small.state[rows][name] = value.index_select(0, ids) if value.ndim else value
            small.step()
            table.replace(ids, rows.detach())
            for name, value in small.state[rows].items():
                if name not in state:
                    state[name] = value.new_zeros(whole.shape) if value.ndim else value
                if value.ndim:
                    state[name].index_copy_(0, ids, value)
