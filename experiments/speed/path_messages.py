"""What a message along an edge costs: the compiled loop against PyTorch and PyTorch Geometric, over the same edges.

    python experiments/speed/path_messages.py [--repetitions 5] [--seed 0]

The graph is made up: entities with 16 facts each, of 20 relations by Zipf's law, a fifth of the ends by Zipf's law,
too. 8 questions spread over it until a hop takes all of its edges; that hop is measured, of dim 32 with 8 attention
channels: what kg.walks.propagation.propagated gives, and the gradients of all that it is given.

compiled   the loop
torch      propagated_plainly: gather, multiply, index_add
pyg        torch_geometric's MessagePassing with the same message, aggr="sum"
network    questions a second of PathNetwork as a whole, three hops unpruned, forward, and forward and backward

Nanoseconds are of processor time on one thread an edge, the fastest of the repetitions; ways take turns. The exponent
is the slope of a line through log(time) against log(edges). `bandwidth_share` is what the loop moves at least (the
state of a target read and written, its two indices) over what copying an array of 256 MB moves in the same time.
`large` is one question over a million entities and ten million facts, hubs of 100,000 edges among them, with 1,000
nodes a hop: the median of 20 in milliseconds of the clock, the tables of the graph made before; and how far memory
rises above what these take (Linux only).

Results go to experiments/results/path_messages.json.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from kg.graph.graph import Graph
from kg.models.path_network import PathNetwork
from kg.models.scorer import Queries
from kg.walks.frontier import Hidden, Hop, adjacency_of, beginning, hop, sources
from kg.walks.propagation import Message, propagated, propagated_plainly

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

SIZES = (500, 1000, 2000, 4000, 8000)  # entities
FACTS, RELATIONS, DIM, KEYS, QUESTIONS, ALL = 16, 20, 32, 8, 8, 1 << 40


def made_up(num_entities: int, seed: int, facts_each: int = FACTS) -> Graph:
    drawn = np.random.default_rng(seed)
    count = facts_each * num_entities

    def zipf(most: int) -> np.ndarray:
        return np.minimum(most - 1, np.exp(drawn.uniform(0, np.log(most + 1), count)).astype(np.int64) - 1)

    head = drawn.integers(0, num_entities, count)
    tail = np.where(drawn.random(count) < 0.2, zipf(num_entities), drawn.integers(0, num_entities, count))
    facts = torch.from_numpy(np.stack([head, zipf(RELATIONS), tail], 1))
    return Graph.from_triples(facts, num_entities, RELATIONS)


def whole_hop(graph: Graph, seed: int) -> tuple[int, Hop]:
    """(nodes before it, the hop) along every edge of the graph for every question."""
    edges, empty = adjacency_of(graph), np.zeros(0, np.int32)
    hidden = Hidden(np.zeros(QUESTIONS + 1, np.int64), empty, empty, empty)
    reached = beginning(np.random.default_rng(seed).integers(0, graph.num_entities, QUESTIONS))
    while True:
        before = len(reached.row)
        chosen = sources(edges, reached, np.zeros(before), ALL, ALL)
        reached, along = hop(edges, reached, chosen, hidden, ALL, np.zeros(QUESTIONS))
        if len(reached.row) == before:
            return before, along


class Convolution(MessagePassing):  # type: ignore[misc]
    """The same sum."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, given: Message, edge_index: Tensor, relation: Tensor) -> Tensor:
        found: Tensor = self.propagate(
            edge_index, x=given.state, gate=given.gate[:, None], key=given.key, relation=relation, given=given
        )
        return found

    def message(self, x_j: Tensor, gate_j: Tensor, key_j: Tensor, relation: Tensor, given: Message) -> Tensor:
        key = (key_j + given.relation_key[relation]).relu()
        factor = gate_j * (key @ given.weight[:-1] + given.weight[-1]).sigmoid()[:, None]
        return factor * (x_j + given.vector[relation])


def seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def ways(num_nodes: int, along: Hop, seed: int) -> dict[str, Callable[[], Tensor]]:
    torch.manual_seed(seed)
    shapes = [
        (num_nodes, DIM),
        (num_nodes,),
        (num_nodes, KEYS),
        (2 * RELATIONS, KEYS),
        (KEYS + 1,),
        (2 * RELATIONS, DIM),
    ]
    given = Message(*(torch.randn(shape, requires_grad=True) for shape in shapes))
    start, convolution = torch.zeros(QUESTIONS, DIM), Convolution()
    edge_index = torch.from_numpy(np.stack([along.edge_source(), along.target])).long()
    relation = torch.from_numpy(along.relation).long()
    found = {
        "compiled": lambda: propagated(given, start, along, False),
        "torch": lambda: propagated_plainly(given, start, along, False),
        "pyg": lambda: convolution(given, edge_index, relation),
    }
    results = [way().detach() for way in found.values()]
    assert all(torch.allclose(each, results[0], rtol=1e-3, atol=1e-3) for each in results)
    return found


def per_edge(graph: Graph, repetitions: int, seed: int) -> tuple[int, dict[str, dict[str, float]]]:
    """Edges of the hop, and nanoseconds for each, forward and forward and backward."""
    num_nodes, along = whole_hop(graph, seed)
    best: dict[str, dict[str, float]] = {}
    for _ in range(repetitions):
        for name, way in ways(num_nodes, along, seed).items():
            with torch.no_grad():
                forward = seconds(way)
            both = seconds(lambda way=way: way().sum().backward())  # type: ignore[misc]
            own = best.setdefault(name, {"forward": np.inf, "both": np.inf})
            own["forward"], own["both"] = min(own["forward"], forward), min(own["both"], both)
    num_edges = len(along.relation)
    return num_edges, {name: {kind: s / num_edges * 1e9 for kind, s in own.items()} for name, own in best.items()}


def copied_bytes_a_second(repetitions: int) -> float:
    array = np.ones(1 << 25)
    return max(2 * array.nbytes / seconds(lambda: array.copy()) for _ in range(repetitions))


def network(graph: Graph, repetitions: int, seed: int) -> dict[str, float]:
    """Questions a second."""
    torch.manual_seed(seed)
    scorer = PathNetwork(graph.num_entities, RELATIONS, num_layers=3, max_nodes=graph.num_entities)
    head, relation = torch.arange(16), torch.arange(16) % RELATIONS
    queries = Queries(head, relation, graph)

    def forward() -> Tensor:
        return scorer.score_tails(queries)

    with torch.no_grad():
        alone = min(seconds(forward) for _ in range(repetitions))
    both = min(seconds(lambda: forward().sum().backward()) for _ in range(repetitions))
    return {"forward": 16 / alone, "both": 16 / both}


@torch.no_grad()
def large(seed: int) -> dict[str, float]:
    graph = made_up(1_000_000, seed, 10)
    scorer = PathNetwork(graph.num_entities, RELATIONS)
    took = []
    for head in range(21):
        if head == 1:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is now
            before = memory("VmRSS")
        began = time.perf_counter()
        scorer.score_tails(Queries(torch.tensor([head]), torch.tensor([0]), graph))
        took.append(time.perf_counter() - began)
    rise = memory("VmHWM") - before
    return {"facts": graph.num_edges // 2, "ms": statistics.median(took[1:]) * 1e3, "first_s": took[0], "rise_gb": rise}


def memory(name: str) -> float:
    """GB, of this process."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, repetitions, seed = [], arguments.repetitions, arguments.seed
    for size in SIZES:
        num_edges, found = per_edge(made_up(size, seed), repetitions, seed)
        rows.append({"entities": size, "edges": num_edges, "nanoseconds": found})
        print(rows[-1], flush=True)
    logs = np.log([[row["edges"], row["edges"] * row["nanoseconds"]["compiled"]["both"]] for row in rows])
    middle = rows[2]["nanoseconds"]
    moved = (2 * 4 * DIM + 8) / (middle["compiled"]["forward"] * 1e-9)
    path = report.write(
        __file__,
        seed,
        rows=rows,
        exponent=float(np.polyfit(*logs.T, 1)[0]),
        times_pyg={kind: middle["pyg"][kind] / middle["compiled"][kind] for kind in ("forward", "both")},
        times_torch={kind: middle["torch"][kind] / middle["compiled"][kind] for kind in ("forward", "both")},
        bandwidth_share=moved / copied_bytes_a_second(repetitions),
        network=network(made_up(SIZES[2], seed), repetitions, seed),
        large=large(seed),
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
