"""How good are a model's probabilities on its test facts? Figures and a reliability diagram.

    kg calibrate models/codex-s-complex
    python experiments/quality/reliability.py models/codex-s-complex [MODEL ...]

Candidates are sampled (see kg.probability.candidate_sample), so each model is measured with several seeds; the diagram
is of the first. chance: the calibration error a fact that a perfect calibration would have, as facts fall into bins by
chance. withheld: relations of which no probability is given, each with its test facts and the Brier skill that it would
have had. Results: reliability_<model>.json and .png.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from kg.bundle import Bundle
from kg.probability.calibration import Calibration, calibration_of
from kg.probability.candidate_sample import sample_candidates
from kg.probability.query_scores import QueryScores
from kg.probability.reliability import Reliability, held_out_reliability, plot, reliability
from kg.search.eligibility import Eligibility

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

SEEDS = tuple((1 << 32) + each for each in range(3))  # none by which a calibration draws
_DRAWS = 1000


def chance(found: Reliability, share: float) -> float:
    """share: of what is held out that is measured on; each of these facts stands for 1 / share."""
    expected = np.array([each.predicted * each.candidates for each in found.bins])
    drawn = np.random.default_rng(0).poisson(expected * share, (_DRAWS, len(expected))) / share
    return float((np.abs(drawn - expected).sum(1) / drawn.sum(1)).mean())


def of_withheld(bundle: Bundle, calibration: Calibration) -> dict[str, dict[str, float | None]]:
    """By relation: its test facts, and the skill of its probabilities, were they told."""
    data, found = bundle.dataset, {}
    if not calibration.withheld:
        return {}
    eligible = Eligibility.of_training(data, "train", "valid")
    scores = QueryScores.of_training(bundle.scorer, data, bundle.temperature, calibration.asked)
    sample = sample_candidates(scores, data.test, eligible, SEEDS[0])
    share = len(data.test) / (len(data.valid) + len(data.test))
    for each in calibration.withheld:
        some = sample.of(sample.relation == each)
        skill = None
        if bool(some.is_true.any()):
            weight = torch.where(some.is_true, some.weight / share, some.weight)
            skill = reliability(calibration.of_sample(some), some.is_true, weight).brier.skill
        facts = int((data.test[:, 1] == each).sum())
        found[data.vocabulary.relations[each]] = {"test facts": facts, "skill": skill}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    for model in parser.parse_args().models:
        bundle = Bundle.load(model)
        calibration = calibration_of(bundle)
        assert calibration is not None, f"kg calibrate {model}"
        share = len(bundle.dataset.test) / (len(bundle.dataset.valid) + len(bundle.dataset.test))
        start = time.perf_counter()
        found = [
            each
            for seed in SEEDS
            if (
                each := held_out_reliability(
                    calibration, bundle.scorer, bundle.dataset, "test", bundle.temperature, seed=seed
                )
            )
        ]
        assert found, f"no test fact of {model} is a candidate"
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
            reason=calibration.reason,
            withheld=of_withheld(bundle, calibration),
            chance=chance(found[0], share),
            seconds_a_seed=seconds,
            seeds={seed: each.to_json() for seed, each in zip(SEEDS, found, strict=True)},
        )


if __name__ == "__main__":
    main()
