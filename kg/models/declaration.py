"""What a scorer would hold, before anything of that size is allocated."""

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from kg.models.scorer import Scorer


def declared(made: Callable[[int, int], Scorer], num_entities: int, num_relations: int) -> Scorer:
    """The scorer on the meta device, where arrays have shapes and dtypes, and no numbers: it takes no memory, and draws
    nothing. RuntimeError where a size has no number below 2^63.
    """
    with torch.device("meta"), _Undrawn():
        return made(num_entities, num_relations)


_DRAWING = {Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}


@final
class _Undrawn(TorchFunctionMode):
    """To draw at random into a tensor does nothing. On the meta device it would change nothing, but import for a second
    what knows that."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if function in _DRAWING:
            return args[0] if args else named["tensor"]
        return function(*args, **named)
