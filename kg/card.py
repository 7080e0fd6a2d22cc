"""The model card: what a model is, what it was trained on, how good it is."""

from pathlib import Path
from typing import Any

from kg.errors import visible
from kg.graph.dataset import Dataset

_FIGURES = ("mrr", "mean_rank", "amri", "hits_at_1", "hits_at_3", "hits_at_10", "perplexity")


def card(dataset: Dataset, run: dict[str, Any], metrics: dict[str, Any], version: str) -> str:
    """In Markdown. version: of kg."""
    valid = metrics.get("valid") or {}
    figures = "\n".join(f"| {name} | {valid[name]:.4f} |" for name in _FIGURES if valid.get(name) is not None)
    source = visible(Path(dataset.source).name) or "facts given in Python"
    return f"""# {_title(run["scorer"])}

A link predictor: it ranks tails for (head, relation, ?) and heads for (?, relation, tail).

- trained with kg {version} on {source}: {dataset.describe()}
- {run["algorithm"]["name"].replace("_", " ")}, seed {run["seed"]} (all: config.json)
- epochs so far {metrics["epochs"]}, best at {metrics["best_epoch"]}

Filtered ranking on its valid facts, both directions, all entities as candidates{_how(metrics)}:

| | valid |
|---|---|
{figures or "| not measured yet | |"}

It knows nothing but these facts: its errors and gaps are theirs. A score is no probability; what is given as one is
that of being a fact which was held out of training, a lower bound of being true.
"""


def _title(part: dict[str, Any]) -> str:
    """A part as it would be called."""
    return f"{part['name']}({', '.join(f'{key}={_shown(value)}' for key, value in part['arguments'].items())})"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return _title(value) if isinstance(value, dict) else str(value)


def _how(metrics: dict[str, Any]) -> str:
    """What must be said of figures on facts that the model was itself fitted on."""
    return ", each half with weights that the other half gave" if metrics.get("cross_fitted") else ""
