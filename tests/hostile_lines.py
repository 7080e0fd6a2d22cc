"""A command line for every command, over a graph whose every name and label is hostile to a terminal."""

from dataclasses import dataclass
from pathlib import Path

from commands import EX, PRESET

# Each would move the cursor, ask the terminal something, set its title, ring, turn the text round or hide in it.
HOSTILE = "\r\x1b[13;37H\x1b[6n\x1b]0;title\x07\x9b6n\x00\x08\x7f\u200b\u202e\u2066\u2028\ufeff\U000e0041"
FOLDER = "caf\x1b]0;t\x07\u202e :smile: [red]"  # all that the name of a file may hold, but what is no UTF-8
IN_IRI = "\u202e\u200b\u2028\u2066"  # what an IRI may hold


@dataclass(frozen=True)
class Ground:
    """Where the command lines work: store and model are made by the first two of them."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "graph.kg"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def write(self) -> None:
        """What people wrote."""
        escaped = HOSTILE.encode("unicode_escape").decode().replace("\\x", "\\u00")
        lines = [f"@prefix ex: <{EX}{IN_IRI}> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> ."]
        lines.append(f'ex:borders rdfs:label "borders {escaped} [red] :smile:" .')
        for i in range(12):
            lines.append(f'ex:c{i} rdfs:label "C{i}{escaped} [red] :smile:" ; ex:borders ex:c{(i + 1) % 12} .')
            lines.append(f"ex:c{i} ex:borders ex:c{(i + 2) % 12} ; ex:in ex:u{i % 2} .")
        (self.folder / "graph.ttl").write_text("\n".join(lines), encoding="utf-8")
        (self.folder / "bad.nt").write_text(f"<{EX}{HOSTILE}> <{EX}p> .\n", encoding="utf-8")
        (self.folder / "names.tsv").write_text("a\x1b[6n\u202e\tp\x9b6n\tb\x07\n", encoding="utf-8")
        (self.folder / "presets.py").write_text(PRESET)

    def lines(self) -> dict[str, list[object]]:
        """The arguments of each command, in an order in which they can be run."""
        folder, store, model = self.folder, self.store, self.model
        borders, first = f"{EX}{IN_IRI}borders", f"{EX}{IN_IRI}c0"
        return {
            "load": [store, folder / "graph.ttl", folder / "names.tsv"],
            "train": [store, model, "--dim", 4, "--epochs", 1],
            "ask": [model, f"({first}, {borders}, ?)"],
            "info": [store],
            "sparql": [store, "SELECT * { ?s ?p ?o }"],
            "complete": [model, "--top", 5, "-o", folder / "best.jsonl"],
            "explain": [model, first, borders, first, "--svg", folder / "why.svg"],
            "evaluate": [model, "--plot", folder / "plot.svg"],
            "calibrate": [model],
            "publish": [model, folder / "best.jsonl"],
            "retract": [store],
            "decide": [store, "accept", first, borders, f"{EX}{IN_IRI}c5", "--by", FOLDER, "--note", FOLDER],
            "decisions": [store],
            "review": [model, "--top", 5],
            "serve": [store, "--model", folder / "nowhere"],
            "remove": [store, folder / "names.tsv"],
            "history": [store],
            "diff": [store, 1],
            "verify": [store],
            "restore": [store, 2],
            "rules": [store, "--min-support", 1, "-o", folder / "rules.tsv"],
            "export": [model, folder / "vectors.npz"],
            "bench": [store, "--preset", folder / "presets.py", "--seeds", 1, "-o", folder / "bench"],
            "tune": [store, folder / "tuned", "--model", "distmult", "--trials", 1, "--epochs", 1],
            "demo": [folder / "presets.py"],  # which is no folder: the demo's own graph takes minutes
        }
