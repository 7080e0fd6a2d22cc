"""What reading a neighbourhood costs against its size, for every attention mechanism: encode, forward and backward.

    python experiments/speed/attention_cost.py [--repetitions 3] [--seed 0]

The graph is made up: hubs with exactly n edges of 8 relations, each leaf at one hub, 8,192 edges however they are
dealt out. A call encodes the questions about all hubs by a ninth relation, with NeighbourhoodTransformer of width 64,
4 heads and 2 layers in training, and takes the gradients of all weights; scores of candidates are not part of it. All
neighbours are read: none are drawn. Beside ATTENTIONS:

no_context    no edges at all: what a call costs anyway (the table's copy and gradient)
query         attention=None: only the query token looks, exactly
window_query  DifferentiableWindow alone, outside the model: one query a row and one layer, gradients of all inputs

The differentiable window holds about 24 maps of N x N numbers a head and layer: as self-attention it is asked about
fewer hubs at once, and stops at 2,048 neighbours (by that count 4,096 would take 13 GB). Its maps pass 32 MB there,
and the C library fetches such memory from the kernel each time, which costs several times what the arithmetic does: so
its exponent comes out above 2.

Milliseconds are of processor time on one thread, the kernel's for it included, a question, in the fastest of the
repetitions; mechanisms take turns, so that a busy moment of the machine hits all alike. The exponent is the slope of a
line through log(ms) against log(n), n from 512 on. peak_mb is how far a call's resident memory rises above where it
began, in an untimed call (Linux only).

Results go to experiments/results/attention_cost.json and .png.
"""

import argparse
import ctypes
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from kg.attention import ATTENTIONS
from kg.attention.window import DifferentiableWindow
from kg.graph.graph import Graph
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import Queries

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

TOKENS = 1 << 13
NEIGHBOURS = [1 << i for i in range(4, 14)]
FITTED_FROM = 512
SHOWN = (64, 512, 4096)  # in the table, and measured for memory
NUM_RELATIONS = 9  # the last is asked for, and no edge has it
SHAPE = {"dim": 64, "width": 64, "num_heads": 4, "num_layers": 2}
WINDOW_SCORES, WINDOW_NEIGHBOURS = 1 << 20, 1 << 11  # at most, in one call and of one hub

Call = Callable[[], None]


def hubs(n: int, seed: int) -> Graph:
    """Entities 0 ... TOKENS - 1 are the leaves, dealt out to TOKENS / n hubs."""
    generator = torch.Generator().manual_seed(seed)
    leaf = torch.randperm(TOKENS, generator=generator)
    relation = torch.randint(NUM_RELATIONS - 1, (TOKENS,), generator=generator)
    hub = TOKENS + torch.arange(TOKENS) // n
    return Graph.from_triples(torch.stack([hub, relation, leaf], 1), num_entities(), NUM_RELATIONS)


def num_entities() -> int:
    return TOKENS + TOKENS // NEIGHBOURS[0]


def encoding(scorer: NeighbourhoodTransformer, graph: Graph, num_questions: int, seed: int) -> Call:
    head = TOKENS + torch.arange(num_questions)
    generator = torch.Generator().manual_seed(seed)
    queries = Queries(head, torch.full_like(head, NUM_RELATIONS - 1), graph, generator)

    def call() -> None:
        scorer.zero_grad()
        state = scorer.encode(queries)
        (state.vector.sum() + state.votes.sum()).backward()

    return call


def window_of_queries(n: int, num_questions: int) -> Call:
    heads, head_dim = SHAPE["num_heads"], SHAPE["width"] // SHAPE["num_heads"]
    attention = DifferentiableWindow(heads, head_dim)
    q = torch.randn(num_questions, heads, 1, head_dim, requires_grad=True)
    k, v = (torch.randn(num_questions, heads, n, head_dim, requires_grad=True) for _ in range(2))
    mask = torch.ones(num_questions, n, dtype=torch.bool)

    def call() -> None:
        for tensor in (q, k, v, *attention.parameters()):
            tensor.grad = None
        attention(q, k, v, mask).sum().backward()

    return call


def num_questions(name: str, n: int) -> int:
    return max(1, min(TOKENS // n, WINDOW_SCORES // n**2)) if name == "window" else TOKENS // n


def calls(seed: int) -> dict[tuple[int, str], Call]:
    """Every (n, mechanism), in the order of a repetition."""
    torch.manual_seed(seed)
    parts = {name: partial(resolve_name(home)) for name, home in ATTENTIONS.items()}
    scorers = {
        name: NeighbourhoodTransformer(
            num_entities(),
            NUM_RELATIONS,
            **SHAPE,
            attention=parts.get(name),
            context=name != "no_context",
            num_neighbours=NEIGHBOURS[-1] + 1,
        )
        for name in ("no_context", "query", *parts)
    }
    found: dict[tuple[int, str], Call] = {}
    for n in NEIGHBOURS:
        graph = hubs(n, seed)
        for name, scorer in scorers.items():
            if name != "window" or n <= WINDOW_NEIGHBOURS:
                found[n, name] = encoding(scorer, graph, num_questions(name, n), seed)
        found[n, "window_query"] = window_of_queries(n, num_questions("window_query", n))
    return found


def milliseconds(call: Call) -> float:
    start = time.process_time()  # others on the same core are not counted
    call()
    return (time.process_time() - start) * 1000


def peak_mb(call: Call) -> float | None:
    """How far resident memory rises; None where the kernel does not tell."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls freed must not be there already
    reset.write_text("5")  # VmHWM starts anew
    before = status_mb("VmRSS")
    call()
    return round(status_mb("VmHWM") - before)


def status_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def exponent(taken: dict[int, float]) -> float:
    """The slope of log(ms) against log(n), by least squares."""
    fitted = [n for n in taken if n >= FITTED_FROM]
    slope, _ = np.polyfit(np.log(fitted), np.log([taken[n] for n in fitted]), 1)
    return round(float(slope), 3)


def measured(repetitions: int, seed: int) -> dict[str, Any]:
    found = calls(seed)
    memory = {(n, name): peak_mb(call) for (n, name), call in found.items() if n in SHOWN}
    fastest = dict.fromkeys(found, float("inf"))
    for repetition in range(repetitions):
        for key, call in found.items():
            fastest[key] = min(fastest[key], milliseconds(call))
        print(f"repetition {repetition + 1} of {repetitions}", flush=True)
    mechanisms: dict[str, dict[str, Any]] = defaultdict(lambda: {"exponent": 0.0, "ms_a_question": {}, "peak_mb": {}})
    for (n, name), taken in fastest.items():
        mechanisms[name]["ms_a_question"][n] = round(taken / num_questions(name, n), 4)
        if n in SHOWN:
            mechanisms[name]["peak_mb"][n] = memory[n, name]
    for figures in mechanisms.values():
        figures["exponent"] = exponent(figures["ms_a_question"])
    return dict(mechanisms)


def table(mechanisms: dict[str, Any]) -> str:
    lines = [["mechanism", "exponent", *(f"ms at {n:,}" for n in SHOWN)], ["---"] * 5]
    for name, figures in mechanisms.items():
        taken = (figures["ms_a_question"].get(n) for n in SHOWN)
        lines.append([name, f"{figures['exponent']:.2f}", *("-" if ms is None else f"{ms:,.3g}" for ms in taken)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def picture(mechanisms: dict[str, Any], file: Path) -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, figures) in enumerate(mechanisms.items()):
        taken = figures["ms_a_question"]
        style = {"marker": "os^"[number % 3], "color": [*(f"C{i}" for i in range(10)), "black"][number]}
        style["linestyle"] = "--" if figures["exponent"] > 1.5 else "-"
        axes.loglog(list(taken), list(taken.values()), label=f"{name}: {figures['exponent']:.2f}", base=2, **style)
    axes.set_yscale("log", base=10)
    axes.set(xlabel="neighbours", ylabel="ms a question, forward and backward", title="One thread; dashed: quadratic")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", title=f"exponent from {FITTED_FROM}")
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mechanisms = measured(arguments.repetitions, arguments.seed)
    print(table(mechanisms))
    picture(mechanisms, report.RESULTS / "attention_cost.png")
    about = {"tokens_a_call": TOKENS, "model": SHAPE, "repetitions": arguments.repetitions, "threads": 1}
    print(report.write(__file__, arguments.seed, **about, mechanisms=mechanisms))


if __name__ == "__main__":
    main()
