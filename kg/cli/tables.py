"""Results as tables that fit into 80 columns."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from kg.cli.console import data

if TYPE_CHECKING:
    from kg.evaluation.metrics import Metrics
    from kg.probability.reliability import Reliability
    from kg.probability.triple_classification import Classification
    from kg.query.complex.cqd import ConjunctiveAnswer
    from kg.rules.rule import Rule
    from kg.store.history import Generation
    from kg.store.sparql import Solutions

# Cells that hold names are data, so that columns are as wide as what is shown.


def answer_table(asked: str, answers: Iterable["ConjunctiveAnswer"], label: Callable[[str], str]) -> Table:
    """Answers to a question of several facts, each with the facts that make it one."""
    table = Table("rank", asked, "probability", "known", "by these facts", padding=(0, 1, 0, 0))
    for answer in answers:
        facts = [
            " ".join(label(term) for term in (fact.subject, fact.predicate, fact.object))
            + (" (known)" if fact.known else f" ({fact.probability:.3f})")
            for fact in answer.facts
        ]
        new = "known" if answer.known else data("new", "bold")
        term = data(label(answer.term))
        table.add_row(str(answer.rank), term, f"{answer.probability:.3f}", new, data("\n".join(facts)))
    return table


def solutions_table(solutions: "Solutions", prefixes: Mapping[str, str]) -> Table:
    from kg.query.sparql.results import shortened

    table = Table(*solutions.variables)
    for row in solutions.rows:
        table.add_row(*(data(shortened(term, prefixes)) for term in row))
    return table


def rules_table(rules: Iterable[tuple[str, "Rule"]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for text, rule in rules:
        counts = f"({'~' if rule.sampled else ''}{rule.support:,}/{rule.body:,})"
        table.add_row(data(text), f"{rule.confidence:.2f}", counts)
    return table


def counts_table(counts: Mapping[str, int]) -> Table:
    table = Table(box=None, show_header=False)
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table


def history_table(generations: Iterable["Generation"]) -> Table:
    """Of the published generation the disk is that of the whole, of the others what they take beside it."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "facts", "came", "went", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("made by", overflow="fold")
    for each in generations:
        counts = ("" if count is None else f"{count:,}" for count in (each.facts, each.added, each.removed))
        others = [f"and {each.others:,} others"] if each.others > 0 else []
        how = each.damaged or " ".join([each.by or "(not recorded)", *each.of, *others])
        when = (each.at or "")[:16].replace("T", " ")
        table.add_row(str(each.number), *counts, f"{each.bytes / 1e6:,.1f}", data(when), data(how))
    return table


def leaderboard_table(rows: Iterable[Mapping[str, str]]) -> Table:
    shown = ("preset", "seeds", "test MRR", "Hits@10", "valid MRR", "seconds")  # as many as 80 columns hold
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in shown:
        table.add_column(heading, no_wrap=heading != "preset")
    for row in rows:
        table.add_row(*(data(row[heading]) for heading in shown))
    return table


def metrics_table(metrics: "Metrics", label: Callable[[str], str], split: str) -> Table:
    names = ("mrr", "mean_rank", "amri", "hits_at_1", "hits_at_3", "hits_at_10", "perplexity", "num_ranks")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(split, overflow="fold")
    for heading in ("MRR", "rank", "AMRI", "Hits@1", "Hits@3", "Hits@10", "perpl.", "ranks"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [("all", metrics), *((f"{side}s", figures) for side, figures in metrics.by_side.items())]
    largest = sorted(metrics.by_relation.items(), key=lambda item: -item[1].num_ranks)
    rows += [(label(name), figures) for name, figures in largest]
    for title, figures in rows:
        values = [getattr(figures, name) for name in names]
        table.add_row(data(title), *(_figure(value) for value in values), end_section=title == "tails")
    return table


def probability_table(found: "Reliability", split: str) -> Table:
    error, above = found.calibration_error, found.above
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = [
        (f"probability of being in {split}" if split == "valid" else "probability of being held out", ""),
        ("candidates, and of them a fact", f"{found.candidates:,.0f}, one in {found.negatives_a_fact + 1:,.0f}"),
        ("Brier score, skill", f"{found.brier.loss:.3g}, {_share(found.brier.skill)}"),
        ("log-loss, skill", f"{found.log_loss.loss:.3g}, {_share(found.log_loss.skill)}"),
        ("calibration error, a fact", f"{error.a_candidate:.3g}, {error.a_fact:.3f}"),
        ("PR-AUC", f"{found.pr_auc:.4f}"),
        (f"precision, recall at {above.threshold:.3g}", f"{_share(above.precision)}, {above.recall:.4f}"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def classification_table(found: "Classification") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (f"{found.facts:,} facts, {found.negatives:,} negatives", "valid", "accuracy", "F1", "PR-AUC"):
        table.add_column(heading, justify="left" if "facts" in heading else "right")
    for name, each in found.inputs.items():
        figures = (each.valid_accuracy, each.accuracy, each.f1, each.pr_auc)
        title = f"{name} (best on valid)" if name == found.chosen else name
        table.add_row(title, *(f"{value:.4f}" for value in figures))
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _figure(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if value != value:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
