"""Facts as TorchKGE holds them. In the peers' interpreter."""

from typing import Any

import numpy as np
import torch
from torchkge.data_structures import KnowledgeGraph


def knowledge_graph(facts: Any, part: str, filters: tuple[str, ...]) -> KnowledgeGraph:
    """The facts of a part, and as its known ones those of the parts `filters`."""
    names = [{i: i for i in range(int(facts[key]))} for key in ("num_entities", "num_relations")]
    every = _graph(np.concatenate([facts[name] for name in filters]), names, {})
    dicts = {name: getattr(every, name) for name in ("dict_of_heads", "dict_of_tails", "dict_of_rels")}
    return _graph(facts[part], names, dicts)


def _graph(triples: Any, names: list[dict[int, int]], dicts: dict[str, Any]) -> KnowledgeGraph:
    heads, relations, tails = torch.from_numpy(triples).unbind(1)
    columns = {"heads": heads.contiguous(), "tails": tails.contiguous(), "relations": relations.contiguous()}
    return KnowledgeGraph(kg=columns, ent2ix=names[0], rel2ix=names[1], **dicts)
