"""The figures of models that `kg train` has made, for runs too long to repeat inside an experiment.

    kg train $KG_DATA/wn18rr models/wn18rr-complex-bf16 --model complex --precision bf16
    python experiments/quality/trained.py models/wn18rr-complex-bf16 [MODEL ...]

Each model is measured on its own test facts; its settings, its course (loss and MRR on valid by epoch and second) and
where it was trained come from its folder. Results go to experiments/results/trained_<model>.json.
"""

import argparse
import sys
from pathlib import Path

from kg.bundle import Bundle
from kg.evaluation.ranking import evaluate

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    for model in arguments.models:
        bundle = Bundle.load(model, arguments.device)
        test = evaluate(bundle.scorer, bundle.dataset, "test", temperature=bundle.temperature).metrics().to_json()
        del test["by_relation"]
        print(f"{model.name}: test MRR {test['mrr']:.4f} after {bundle.metrics['epochs']} epochs")
        told = report.write(
            __file__,
            bundle.run["seed"],
            variant=model.name,
            dataset=Path(bundle.dataset.source).name,
            run=bundle.run,
            trained_with={name: bundle.manifest[name] for name in ("torch", "threads", "cpu_capability")},
            epochs=bundle.metrics["epochs"],
            best_epoch=bundle.metrics["best_epoch"],
            history=bundle.metrics["history"],
            test=test,
        )
        print(told)


if __name__ == "__main__":
    main()
