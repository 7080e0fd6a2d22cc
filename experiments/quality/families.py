"""Which family wins which relations: latent features, rules, attention, and their combination, on the same test facts.

    python experiments/quality/families.py rules=models/umls-rules latent=models/umls-complex all=models/umls-combine

Each model is named by its family; the last is the reference. MRR on test over all, by the category of the relation and
the side that is asked for, and by relation. A relation is n- where a tail has more than 1.5 heads on average among the
training facts, -n where a head has more than 1.5 tails (Bordes et al., 2013). Beside each family stands its difference
from the reference, with the interval of a paired bootstrap over test facts, as in where_attention_wins.py. A relation
is won by the family with the best MRR, the reference left aside; with fewer than 10 test facts it is nobody's.

Results go to experiments/results/families_<dataset>.json, .md and .png.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

from kg.bundle import Bundle
from kg.evaluation.bootstrap import in_order
from kg.evaluation.ranking import Ranking

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from where_attention_wins import SHOWN, Groups, compared, picture, ranked, table

MANY = 1.5
FEWEST = 20  # ranks of a relation that somebody may win: 10 facts, both directions


def categories(bundle: Bundle) -> list[str]:
    """1-1, 1-n, n-1 or n-n, of each relation."""
    num = bundle.dataset.num_relations
    is_many = bundle.dataset.known("train").answers_a_question > MANY
    return [f"{'n' if is_many[r + num] else '1'}-{'n' if is_many[r] else '1'}" for r in range(num)]


def grouped(ranking: Ranking, bundle: Bundle) -> dict[str, Groups]:
    kinds = categories(bundle)
    relation, asked_head = ranking.relation % ranking.num_relations, ranking.relation >= ranking.num_relations
    by_category = {}
    for kind in ("1-1", "1-n", "n-1", "n-n"):
        inside = torch.tensor([kind == found for found in kinds])[relation]
        by_category[f"{kind}, head asked"] = (inside & asked_head).nonzero()[:, 0]
        by_category[f"{kind}, tail asked"] = (inside & ~asked_head).nonzero()[:, 0]
    by_relation = {term: (relation == i).nonzero()[:, 0] for i, term in enumerate(bundle.dataset.vocabulary.relations)}
    largest_first = dict(sorted(by_relation.items(), key=lambda item: -len(item[1])))
    found = {"all": {"all": torch.arange(len(relation))}, "by_category": by_category, "by_relation": largest_first}
    return {name: {key: rows for key, rows in group.items() if len(rows)} for name, group in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="FAMILY=MODEL", help="two or more, the reference last")
    parser.add_argument("--samples", type=int, default=10_000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    given = parser.parse_args()
    paths = {family: Path(model) for family, _, model in (each.partition("=") for each in given.models)}
    if len(paths) < 2:
        parser.error("name two or more families")
    found = {family: ranked([path]) for family, path in paths.items()}
    families, reference = list(paths), list(paths)[-1]
    digests = {bundle.dataset.digest() for _, bundle in found.values()}
    if len(digests) > 1:
        parser.error("the models were not trained on the same facts")
    means = {family: in_order(mean) for family, (mean, _) in found.items()}
    bundle = found[reference][1]
    figures = {
        kind: {name: compared(means, rows, reference, given.seed, given.samples) for name, rows in group.items()}
        for kind, group in grouped(means[reference], bundle).items()
    }
    kinds = dict(zip(bundle.dataset.vocabulary.relations, categories(bundle), strict=True))
    won = Counter(
        (kinds[term], max(families[:-1], key=lambda family: row[family]["mrr"]))
        for term, row in figures["by_relation"].items()
        if row["num_ranks"] >= FEWEST
    )
    wins = {kind: {family: won[kind, family] for family in families[:-1]} for kind in sorted(set(kinds.values()))}
    title = Path(bundle.dataset.source).name
    told = report.write(
        __file__,
        given.seed,
        variant=title,
        dataset={"facts": bundle.dataset.describe(), "sha256": digests.pop()},
        models={family: path.name for family, path in paths.items()},
        runs={family: each.run["scorer"] for family, (_, each) in found.items()},
        reference=reference,
        relations_won=wins,
        **figures,
    )
    on_lines = {name.replace(", ", "\n"): row for name, row in figures["by_category"].items()}
    picture(on_lines, families, title, "category of the relation, and side asked for", told.with_suffix(".png"))
    shown = dict(list(figures["by_relation"].items())[:SHOWN])
    lines = [["relations won", *families[:-1]], ["---"] * len(families)]
    lines += [[kind, *map(str, row.values())] for kind, row in wins.items()]
    tables = [
        table("All", figures["all"], families),
        table("By category of the relation", figures["by_category"], families),
        "## Relations won\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n",
        table(f"By relation, the {len(shown)} with most ranks", shown, families, bundle.dataset.schema.label),
    ]
    told.with_suffix(".md").write_text(
        f"# {title}: MRR on test by family\n\nIn brackets: less {reference}, and the 95 % interval of a paired "
        f"bootstrap over test facts. One training each.\nAll relations are in `{told.name}`.\n\n"
        f"![MRR by category]({told.with_suffix('.png').name})\n\n" + "\n".join(tables),
        encoding="utf-8",
    )
    print(told.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
