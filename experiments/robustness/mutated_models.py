"""What comes of models with one thing changed, their checksums right again: an error that names a file, or answers.

    python experiments/robustness/mutated_models.py [--mutations 2000] [--seed 0]

A small model of each of six kinds is trained. Of each as many mutations are drawn (harness/mutations.py says which
there are), of each of its files in turn, and every mutated model is asked, ranked, explained and completed, and what a
resume needs is read. That happens in processes of their own, so that one that dies of a signal is seen and counted; an
error that is none of the user's, or names no file, is counted as such and told.
"""

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from mutations import KINDS, drawn, make_models, outcome

BATCH = 50  # mutations a process


def one_batch(model: Path, number: int, seed: int, first: int) -> None:
    """A line each, from this one on: its outcome."""
    for each in drawn(model, number, seed)[first : first + BATCH]:
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder) / "model"
            shutil.copytree(model, changed)
            each.apply(changed)
            try:
                found = outcome(changed)
            except Exception as error:
                found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        print(found, flush=True)


def outcomes(model: Path, number: int, seed: int) -> list[str]:
    """Of all mutations drawn of a model."""
    found: list[str] = []
    while len(found) < number:
        batch = [sys.executable, "-W", "ignore", __file__, "--batch", str(model), str(number), str(seed)]
        ran = subprocess.run([*batch, str(len(found))], stdout=subprocess.PIPE, text=True)
        found += ran.stdout.splitlines()
        if ran.returncode:
            found.append(f"signal {-ran.returncode}" if ran.returncode < 0 else f"exit {ran.returncode}")
        print(f"{model.name}: {len(found)} of {number}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        model, *numbers = given.batch
        one_batch(Path(model), *map(int, numbers))
        return
    each, kinds, told = math.ceil(given.mutations / len(KINDS)), {}, []
    with tempfile.TemporaryDirectory() as folder:
        for kind, model in make_models(Path(folder)).items():
            found = outcomes(model, each, given.seed)
            names = drawn(model, each, given.seed)
            counts = Counter("signal" if x.startswith("signal") else x.split(":")[0] for x in found)
            kinds[kind] = {"mutations": each, **dict(sorted(counts.items()))}
            told += [
                {"model": kind, "file": mutation.file, "what": mutation.what, "outcome": line}
                for mutation, line in zip(names, found, strict=True)
                if line not in ("refused", "answered")
            ]
    total = Counter({name: sum(row.get(name, 0) for row in kinds.values()) for row in kinds.values() for name in row})
    print(report.write(__file__, given.seed, all=dict(total), kinds=kinds, findings=told))


if __name__ == "__main__":
    main()
