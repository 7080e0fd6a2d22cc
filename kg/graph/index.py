"""An index of a dataset: what answers need of it, as arrays that a file maps, so that none of it is built anew.

All of it follows from the dataset; who has none builds what it needs. Names lie as bytes, with the order of terms, of
labels and of the last parts of IRIs, in which a name is found by bisection; all facts as sorted edges and answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.graph.ids import check_ids
from kg.graph.known import KnownAnswers
from kg.graph.names import SortedNames
from kg.graph.packed import PackedIds, PackedLabels, PackedTexts, check_order, sorted_places
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import local_name

_TEXTS = ("terms", "labels")
_ORDERS = ("by_term", "by_label", "by_local")
_KINDS = {  # each a row
    **dict.fromkeys(("words", *_TEXTS), torch.uint8),
    **dict.fromkeys(_ORDERS, torch.int32),
    **dict.fromkeys([f"{name}_end" for name in _TEXTS], torch.int64),
    **dict.fromkeys(("edge_offset", "edge_relation", "edge_tail", "question", "answer_offset"), torch.int64),
    **dict.fromkeys(("relation_offset", "relation_tail"), torch.int64),
    "reflexive": torch.bool,
}


@final
@dataclass(frozen=True, eq=False)
class Index:
    """vocabulary, schema: those of the dataset. names: of its entities. graph, known: all of its facts."""

    vocabulary: Vocabulary
    schema: Schema
    names: SortedNames
    graph: Graph
    known: KnownAnswers

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> "Index":
        """What arrays_of gave. Where it is something else: ValueError, KeyError or TypeError. O(bytes), at the speed
        of memory."""
        for name, kind in _KINDS.items():
            if arrays[name].dtype != kind or arrays[name].ndim != 1:
                raise ValueError(f"{name} must be a row of {kind}: it is {arrays[name].ndim}-d of {arrays[name].dtype}")
        said = json.loads(arrays["words"].numpy().tobytes())
        terms, labels = (PackedTexts(arrays[each].numpy(), arrays[f"{each}_end"].numpy()) for each in _TEXTS)
        for name, each in zip(_TEXTS, (terms, labels), strict=True):
            each.check(name)
        if len(terms) != len(labels) or bool((np.diff(terms.ends, prepend=0) == 0).any()) or 10 in terms.content:
            raise ValueError("terms must be lines, none of them empty, with a label each")
        by_term, by_label, by_local = orders = [arrays[each].numpy() for each in _ORDERS]
        for name, order in zip(_ORDERS, orders, strict=True):
            check_order(name, order, len(terms))
        ids = PackedIds(terms, by_term)
        vocabulary = Vocabulary.packed(terms, ids, by_term, said["relations"])
        bare = Schema.from_json(said["schema"])
        schema = replace(bare, labels=PackedLabels(ids, labels, bare.labels))
        names = SortedNames(vocabulary, schema, by_label, by_local)
        return cls(vocabulary, schema, names, *_facts(arrays, len(terms), len(vocabulary.relations)))


def arrays_of(vocabulary: Vocabulary, schema: Schema, facts: Int[Tensor, "T 3"]) -> dict[str, Tensor]:
    """An index of these entities, what is said of them, and all facts. O(N log N + T log T)."""
    entities, relations = list(vocabulary.entities), list(vocabulary.relations)
    labels = dict(schema.labels)
    terms, called = PackedTexts.of(entities), PackedTexts.of(labels.pop(term, "") for term in entities)
    words = {"relations": relations, "schema": replace(schema, labels=labels).to_json()}
    texts = zip(entities, called, strict=True)
    orders = (entities, [(label or local_name(term)).casefold() for term, label in texts], [*map(local_name, entities)])
    graph = Graph.from_triples(facts, len(entities), len(relations))
    known = KnownAnswers.from_graph(graph)
    offset, tail = known.tails_of_relations
    return {
        "words": torch.frombuffer(bytearray(json.dumps(words, ensure_ascii=False).encode()), dtype=torch.uint8),
        **{name: torch.from_numpy(each.content) for name, each in zip(_TEXTS, (terms, called), strict=True)},
        **{f"{name}_end": torch.from_numpy(each.ends) for name, each in zip(_TEXTS, (terms, called), strict=True)},
        **{name: torch.from_numpy(sorted_places(keys)) for name, keys in zip(_ORDERS, orders, strict=True)},
        "edge_offset": graph.offsets,
        "edge_relation": graph.relation,
        "edge_tail": graph.tail.clone(),  # which `known` shares
        "question": known.questions,
        "answer_offset": known.offsets,
        "reflexive": known.reflexive,
        "relation_offset": offset,
        "relation_tail": tail,
    }


def _facts(arrays: Mapping[str, Tensor], num_entities: int, num_relations: int) -> tuple[Graph, KnownAnswers]:
    """ValueError where an array could not be indexed by, or into, or is out of order as a whole."""
    num = 2 * num_relations
    relation, tail = arrays["edge_relation"], arrays["edge_tail"]
    offset, question, answer_offset = arrays["edge_offset"], arrays["question"], arrays["answer_offset"]
    relation_offset, relation_tail = arrays["relation_offset"], arrays["relation_tail"]
    wanted = {
        "edge_offset": (num_entities, len(tail)),
        "answer_offset": (len(question), len(tail)),
        "relation_offset": (num, len(relation_tail)),
    }
    for name, (count, last) in wanted.items():
        each = arrays[name].numpy()
        if len(each) != count + 1 or each[0] != 0 or each[-1] != last or bool((each[1:] < each[:-1]).any()):
            raise ValueError(f"{name} must rise from 0 to {last:,} in {count:,} steps")
    questions = question.numpy()
    if len(relation) != len(tail) or bool((questions[1:] <= questions[:-1]).any()):
        raise ValueError("edges must have a relation and a tail each, and questions rise")
    check_ids("edge_relation", relation, 0, num)
    check_ids("question", question, 0, num_entities * num)
    for name, ids in (("edge_tail", tail), ("relation_tail", relation_tail)):
        check_ids(name, ids, 0, num_entities)
    reflexive = arrays["reflexive"]
    if reflexive.shape != (num_relations,):
        raise ValueError("reflexive must be true or false of each relation")
    graph = Graph(num_entities, num_relations, offset, relation, tail)
    known = KnownAnswers(num_relations, question, answer_offset, tail)
    known.__dict__.update({"reflexive": reflexive, "tails_of_relations": (relation_offset, relation_tail)})
    return graph, known
