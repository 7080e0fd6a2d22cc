"""How good are a model's probabilities on its test facts? Figures and a reliability diagram.

    kg calibrate models/codex-s-complex
    python experiments/quality/reliability.py models/codex-s-complex [MODEL ...]

Candidates are sampled (see kg.probability.candidate_sample), so each model is measured with several seeds; the diagram
is of the first. Results: reliability_<model>.json and .png.
"""

import argparse
import sys
import time
from pathlib import Path

from kg.bundle import Bundle
from kg.probability.calibration import calibration_of
from kg.probability.reliability import held_out_reliability, plot

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

SEEDS = (2, 3, 4)  # with 0 and 1 the candidates were drawn that calibrations are fitted on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    for model in parser.parse_args().models:
        bundle = Bundle.load(model)
        calibration = calibration_of(bundle)
        assert calibration is not None, f"kg calibrate {model}"
        start = time.perf_counter()
        found = [
            held_out_reliability(calibration, bundle.scorer, bundle.dataset, "test", bundle.temperature, seed=seed)
            for seed in SEEDS
        ]
        seconds = (time.perf_counter() - start) / len(SEEDS)
        for each in found:
            print(f"{model.name}: {' '.join(f'{k} {v:.4g}' for k, v in each.to_json().items() if k != 'bins')}")
        plot(found[0], report.RESULTS / f"reliability_{model.name}.png", f"{model.name}, test")
        report.write(
            __file__,
            SEEDS[0],
            variant=model.name,
            dataset=Path(bundle.dataset.source).name,
            run=bundle.run,
            shape=calibration.shape,
            seconds_a_seed=seconds,
            seeds={seed: each.to_json() for seed, each in zip(SEEDS, found, strict=True)},
        )


if __name__ == "__main__":
    main()
