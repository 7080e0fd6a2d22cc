"""The paths of an Evidence as a picture."""

import io
import re
import textwrap
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from kg.errors import extra
from kg.files import write_text
from kg.graph.entailment import Fact
from kg.query.explain.evidence import Evidence

with extra("plot"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.text import Text

_CHARACTERS, _LINES = 22, 3  # of a label; what is longer ends in an ellipsis
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what no XML may hold
_COLOURS = ("tab:blue", "tab:green", "tab:orange", "tab:purple", "tab:brown")  # of the paths, in turn
_BENDS = (0.0, 0.2, -0.2, 0.4, -0.4)  # of the edges between two entities, in turn


def write_svg(evidence: Evidence, path: Path) -> None:
    """The picture in a file."""
    write_text(path, svg(evidence))


def svg(evidence: Evidence) -> str:
    """Subject on the left, object on the right, the facts of each path in its own colour, and the fact itself dashed.

    Arrows point from subject to object of each fact. The same text for the same evidence.
    """
    place = _places(evidence)
    rows = 1 + (len(evidence.paths) + 1) // 2
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "kg", "text.usetex": False, "font.size": 9.0}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # whoever shows the file has fonts of their own
        figure = Figure(figsize=(10.0, 1.4 * rows), dpi=72)  # as SVG is drawn: boxes keep their size
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(-0.15, 1.15), ylim=(-rows, rows))
        axes.set_axis_off()
        nodes = {term: _node(axes, evidence.label(term), *xy) for term, xy in place.items()}
        figure.draw_without_rendering()  # arrows end at the boxes, which now have a size
        _draw_edges(axes, evidence, nodes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _places(evidence: Evidence) -> dict[str, tuple[float, float]]:
    """Where the entities stand: x as far as they are on the way, y in the row of the surest path that they are on.

    Paths have their rows above and below the fact in turn, so that no edge of theirs lies under another's entity.
    """
    subject, _, object_ = evidence.fact
    places = {object_: (1.0, 0.0), subject: (0.0, 0.0)}
    for number, path in enumerate(evidence.paths):
        row = (number // 2 + 1) * (-1) ** number
        at = subject
        for i, (left, _, right) in enumerate(path.facts, 1):
            at = right if at == left else left
            places.setdefault(at, (i / len(path.facts), float(row)))
    return places


def _node(axes: Axes, label: str, x: float, y: float) -> Text:
    box = {"boxstyle": "round,pad=0.4", "facecolor": "#f2f2f2", "edgecolor": "#808080"}
    return _text(axes, x, y, label, bbox=box, zorder=3)


def _text(axes: Axes, x: float, y: float, label: str, **style: Any) -> Text:
    """A label in lines, as it is: no sign in it is markup."""
    plain = _NO_XML.sub("\ufffd", label)
    lines = textwrap.wrap(plain, _CHARACTERS, max_lines=_LINES, placeholder=" …") or [""]
    return axes.text(x, y, "\n".join(lines), ha="center", va="center", parse_math=False, **style)


def _draw_edges(axes: Axes, evidence: Evidence, nodes: dict[str, Text]) -> None:
    """Each fact once, in the colour of the surest path that it is on; edges between the same two beside each other."""
    drawn: dict[Fact, dict[str, Any]] = {evidence.fact: {"color": "black", "linestyle": "--"}}
    for number, path in enumerate(evidence.paths):
        for fact in path.facts:
            drawn.setdefault(fact, {"color": _COLOURS[number % len(_COLOURS)]})
    bends: dict[frozenset[str], int] = defaultdict(int)
    for fact, style in drawn.items():
        left, predicate, right = fact
        pair = frozenset((left, right))
        bend = _BENDS[bends[pair] % len(_BENDS)] * (1 if left == min(pair) else -1)
        bends[pair] += 1
        label = evidence.label(predicate)
        if fact == evidence.fact and evidence.probability is not None:
            label += f" ({evidence.probability:.2f})"
        _edge(axes, nodes[left], nodes[right], label, bend, style)


def _edge(axes: Axes, left: Text, right: Text, label: str, bend: float, style: dict[str, Any]) -> None:
    start, end = left.get_position(), right.get_position()
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=12,
            patchA=left.get_bbox_patch(),
            patchB=right.get_bbox_patch(),
            **style,
        )
    )
    (x1, y1), (x2, y2) = axes.transData.transform([start, end])
    middle = (x1 + x2 + bend * (y2 - y1)) / 2, (y1 + y2 - bend * (x2 - x1)) / 2  # of the arc
    x, y = axes.transData.inverted().transform(middle)
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    _text(axes, x, y, label, color=style["color"], bbox=box, fontsize=8, zorder=2)
