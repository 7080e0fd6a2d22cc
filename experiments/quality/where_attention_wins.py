"""Where one model is better than another: MRR on test by relation, and by how much is known of the given entity.

    kg bench $KG_DATA/codex-s --preset experiments/presets/codex_s.py:neighbourhood,complex --out bench/codex-s
    python experiments/quality/where_attention_wins.py bench/codex-s/neighbourhood bench/codex-s/complex

A preset's models of all seeds, in folders named <preset>-<seed> as `kg bench` leaves them, are ranked anew and compared
with the last preset's. An entry is a test fact in one direction, its reciprocal rank the mean over the seeds. Its
bucket is the degree, in the training graph, of the entity that is given in the question. Beside each preset stands its
difference from the reference with a paired bootstrap interval over test facts (kg/evaluation/bootstrap.py). It tells of
other test facts, not of other seeds; of many intervals at 95 % one in twenty leaves out a difference of zero by chance;
and of a handful of facts it is too narrow.

Results go to experiments/results/where_attention_wins_<dataset>.json, .md and .png.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from kg.bundle import Bundle
from kg.evaluation.bootstrap import difference, in_order, part
from kg.evaluation.ranking import Ranking, evaluate

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

BOUNDS = (0, 2, 5, 10, 30, 100)  # the largest degree of each bucket but the last
BUCKETS = ("0", "1-2", "3-5", "6-10", "11-30", "31-100", ">100")
SHOWN = 30  # relations in the Markdown table: those with most ranks

Groups = dict[str, Tensor]  # which entries, by name


def mean_over(rankings: list[Ranking]) -> Ranking:
    """The entries' ranks made the harmonic mean over the seeds: its reciprocal is the mean reciprocal rank."""
    ordered = [in_order(ranking) for ranking in rankings]
    reciprocal = torch.stack([ranking.rank.double().reciprocal() for ranking in ordered]).mean(0)
    return replace(ordered[0], rank=reciprocal.reciprocal())


def ranked(models: list[Path]) -> tuple[Ranking, Bundle]:
    """The mean ranks of these models on their test facts, and one of them."""
    rankings = []
    for model in models:
        bundle = Bundle.load(model)
        rankings.append(evaluate(bundle.scorer, bundle.dataset, "test", temperature=None))
        print(f"{model.name}: test MRR {rankings[-1].metrics().mrr:.4f}", flush=True)
    return mean_over(rankings), bundle


def groups(ranking: Ranking, bundle: Bundle) -> dict[str, Groups]:
    degree = bundle.dataset.graph().degree()[ranking.head]
    bucket = torch.bucketize(degree, torch.tensor(BOUNDS))
    relation = ranking.relation % ranking.num_relations
    by_bucket = {name: (bucket == i).nonzero()[:, 0] for i, name in enumerate(BUCKETS)}
    terms = bundle.dataset.vocabulary.relations
    by_relation = {name: (relation == i).nonzero()[:, 0] for i, name in enumerate(terms)}
    largest_first = sorted(by_relation.items(), key=lambda item: -len(item[1]))
    found = {"all": {"all": torch.arange(len(relation))}, "by_degree": by_bucket, "by_relation": dict(largest_first)}
    return {kind: {name: rows for name, rows in group.items() if len(rows)} for kind, group in found.items()}


def compared(means: dict[str, Ranking], rows: Tensor, reference: str, seed: int, samples: int) -> dict[str, Any]:
    """The MRR of each preset on these entries, and its difference from the reference."""
    figures: dict[str, Any] = {"num_ranks": len(rows)}
    for preset, mean in means.items():
        mine, theirs = part(mean, rows), part(means[reference], rows)
        figures[preset] = {"mrr": mine.rank.reciprocal().mean().item()}
        if preset != reference:
            generator = torch.Generator().manual_seed(seed)
            figures[preset]["less_reference"] = asdict(difference(mine, theirs, generator, samples))
    return figures


def table(title: str, figures: dict[str, Any], presets: list[str], label: Callable[[str], str] = str) -> str:
    lines = [["", "ranks", *presets], ["---"] * (len(presets) + 2)]
    for name, row in figures.items():
        cells = (cell(row[preset]) for preset in presets)
        lines.append([label(name).replace("|", "\\|"), f"{row['num_ranks']:,}", *cells])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {title}\n\n{body}\n"


def cell(figures: dict[str, Any]) -> str:
    told = f"{figures['mrr']:.3f}"
    less = figures.get("less_reference")
    return f"{told} ({less['mean']:+.3f}: {less['low']:+.3f} to {less['high']:+.3f})" if less else told


def picture(figures: dict[str, Any], presets: list[str], title: str, groups: str, file: Path) -> None:
    """MRR by group, a bar a preset."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(presets)
    for number, preset in enumerate(presets):
        places = [i - 0.4 + (number + 0.5) * width for i in range(len(figures))]
        axes.bar(places, [row[preset]["mrr"] for row in figures.values()], width, label=preset, color=f"C{number}")
    axes.set_xticks(range(len(figures)), [f"{name}\n{row['num_ranks']:,} ranks" for name, row in figures.items()])
    axes.set(xlabel=groups, ylabel="MRR on test", title=title)
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside right upper")
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", type=Path, nargs="+", metavar="PRESET", help="two or more, the reference last")
    parser.add_argument("--samples", type=int, default=10_000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    given = parser.parse_args()
    models = {path.name: sorted(path.parent.glob(f"{path.name}-*")) for path in given.presets}
    if len(models) < 2 or not all(models.values()):
        parser.error(f"name two or more kinds of models that are there: got {models}")
    presets, reference = list(models), list(models)[-1]
    found = {preset: ranked(paths) for preset, paths in models.items()}
    digests = {bundle.dataset.digest() for _, bundle in found.values()}
    if len(digests) > 1:
        parser.error("the models were not trained on the same facts")
    means = {preset: mean for preset, (mean, _) in found.items()}
    chosen = groups(means[reference], found[reference][1])
    figures = {
        kind: {name: compared(means, rows, reference, given.seed, given.samples) for name, rows in group.items()}
        for kind, group in chosen.items()
    }
    dataset = found[reference][1].dataset
    told = report.write(
        __file__,
        given.seed,
        variant=Path(dataset.source).name,
        dataset={"facts": dataset.describe(), "sha256": digests.pop()},
        models={preset: [path.name for path in paths] for preset, paths in models.items()},
        reference=reference,
        **figures,
    )
    title = Path(dataset.source).name
    groups_are = "degree of the given entity in the training graph"
    picture(figures["by_degree"], presets, title, groups_are, told.with_suffix(".png"))
    relations = dict(list(figures["by_relation"].items())[:SHOWN])
    tables = [
        table("All", figures["all"], presets),
        table("By the degree of the given entity", figures["by_degree"], presets),
        table(f"By relation, the {len(relations)} with most ranks", relations, presets, dataset.schema.label),
    ]
    heading = f"# {title}: MRR on test\n\nIn brackets: less {reference}, and the 95 % interval of a"
    told.with_suffix(".md").write_text(
        f"{heading} paired bootstrap over test facts. Means over\nseeds: "
        f"{', '.join(f'{preset} {len(models[preset])}' for preset in presets)}. All relations are in `{told.name}`.\n\n"
        f"![MRR by degree]({told.with_suffix('.png').name})\n\n" + "\n".join(tables),
        encoding="utf-8",
    )
    print(told.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
