"""Can models tell facts from what people found false? The triple classification of CoDEx (Safavi and Koutra, 2020).

    kg calibrate models/codex-s-complex
    python experiments/quality/classification.py $KG_DATA/codex-s models/codex-s-complex [MODEL ...]

Each model's own valid and test facts stand against the negatives in the folder; everything is fitted on valid, and the
input is chosen there (see kg.probability.triple_classification). Which relation a statement has tells much by itself:
accuracy of the commoner answer of its relation is given beside. Results: classification_<folder>.json.
"""

import argparse
import sys
from pathlib import Path

import torch

from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.graph.from_folder import dataset_from_folder, facts_named
from kg.probability.calibration import calibration_of
from kg.probability.triple_classification import classify

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks
import report

SEED = 0
PUBLISHED = {"rescal": {"accuracy": 0.843, "f1": 0.852}}  # the paper's best on codex-s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks.add(parser)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    arguments = benchmarks.parsed(parser)
    results = {}
    for model in arguments.models:
        bundle = Bundle.load(model)
        found = classify(
            bundle.scorer, bundle.dataset, arguments.folder, bundle.temperature, calibration_of(bundle), SEED
        ).to_json()
        told = found["inputs"][found["chosen"]]
        print(f"{model.name}: {found['chosen']}, {' '.join(f'{name} {value:.4f}' for name, value in told.items())}")
        results[model.name] = {"run": bundle.run["scorer"]["name"], **found}
    best = max(results, key=lambda name: results[name]["inputs"][results[name]["chosen"]]["valid_accuracy"])
    by_relation = relation_alone(dataset_from_folder(arguments.folder), arguments.folder)
    print(f"best on valid: {best}; by the relation alone: accuracy {by_relation['accuracy']:.4f}")
    report.write(
        __file__,
        SEED,
        variant=arguments.folder.name,
        dataset=arguments.folder.name,
        published=PUBLISHED,
        relation_alone=by_relation,
        best_on_valid=best,
        models=results,
    )


def relation_alone(dataset: Dataset, folder: Path) -> dict[str, float]:
    """Every statement of a relation is said to be what most of them are on valid."""
    more = {}
    for part in ("valid", "test"):
        facts, negatives = (
            torch.bincount(hrt[:, 1], minlength=dataset.num_relations).double()
            for hrt in (dataset.part(part), facts_named(dataset.vocabulary, folder, f"{part}_negatives"))
        )
        more[part] = (facts, negatives)
    says = more["valid"][0] >= more["valid"][1]
    facts, negatives = more["test"]
    right = (facts * says + negatives * ~says).sum()
    hits = (facts * says).sum()
    return {
        "accuracy": (right / (facts + negatives).sum()).item(),
        "f1": (2 * hits / ((facts + negatives)[says].sum() + facts.sum())).item(),
    }


if __name__ == "__main__":
    main()
