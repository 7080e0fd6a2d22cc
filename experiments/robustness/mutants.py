"""Whether the tests notice defects: each of a list of them, put into a copy of the code one at a time.

    python experiments/robustness/mutants.py [NAME ...] [--jobs 2] [--check]

A mutant is a text of a file that stands there once, and what takes its place: a defect that would give wrong figures or
wrong answers without an error. It is killed where the tests that are named for it fail. There are two lists: `mutants`,
which tests were written for, and `mutants_fresh`, by someone who had not read the tests. NAME: those mutants, or those
of a file or of a list; otherwise all. --check: only whether each can be put in. What survives is printed, with its
file; the result of all is a file of experiments/results, by list.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
from benchmarks import ROOT

LISTS = ("mutants", "mutants_fresh")
SURVIVED_AT_FIRST = (  # of mutants_fresh, before any test was written for them
    "a tie at the border of the first k is within them",
    "weights of an average precision stand in the order of the rows",
    "relations between two entities are those of the fact turned round",
    "ends of a relation and of its inverse are kept as one",
    "an English skos:prefLabel goes before another's rdfs:label",
)
SECONDS = 600  # a mutant that never ends is killed, too


@dataclass(frozen=True)
class Mutant:
    """`before`, which stands once in `file`, becomes `after`; `tests` are the files of tests that should notice."""

    name: str
    file: str
    before: str
    after: str
    tests: str
    list: str


def mutants() -> list[Mutant]:
    """All, from LISTS beside this: blocks of five lines, `name`, `file`, `- before`, `+ after`, `tests`. In the texts
    \\n is a new line, and leading spaces after the sign count."""
    found = []
    for name_of_list in LISTS:
        text = Path(__file__).with_name(f"{name_of_list}.txt").read_text(encoding="utf-8")
        for block in text.split("\n\n"):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if lines:
                name, file, before, after, tests = lines
                found.append(Mutant(name, file, _plain(before, "- "), _plain(after, "+ "), tests, name_of_list))
    return found


def _plain(line: str, sign: str) -> str:
    assert line.startswith(sign.rstrip()), line
    return line[2:].replace("\\n", "\n")


def mutated(mutant: Mutant) -> str:
    """The file with the defect. SystemExit: its text is not there, or more than once."""
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    count = text.count(mutant.before)
    if count != 1:
        raise SystemExit(f"{mutant.name}: {mutant.before!r} stands {count} times in {mutant.file}")
    return text.replace(mutant.before, mutant.after)


def killed(mutant: Mutant) -> tuple[bool, float]:
    """Whether its tests fail; and the seconds that they took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        ignore = shutil.ignore_patterns(".*", "__pycache__", "results", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=ignore)
        (copy / mutant.file).write_text(mutated(mutant), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests.split()]
        environment = os.environ | {"PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": str(Path(folder) / "numba")}
        environment["OMP_NUM_THREADS"] = "1"
        try:
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return True, time.monotonic() - began
    if done.returncode not in (0, 1):
        raise SystemExit(f"{mutant.name}: the tests did not run\n{done.stdout.decode()[-2000:]}{done.stderr.decode()}")
    return done.returncode == 1, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    every = mutants()
    chosen = [each for each in every if not arguments.names or {each.name, each.file, each.list} & set(arguments.names)]
    for each in chosen:
        mutated(each)
    if arguments.check:
        print(f"{len(chosen)} mutants can be put in")
        return
    alive = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for each, (is_killed, seconds) in zip(chosen, pool.map(killed, chosen), strict=True):
            print(f"{'killed' if is_killed else 'SURVIVED'}  {each.name}  ({each.file}, {seconds:.0f} s)", flush=True)
            if not is_killed:
                alive.append(each)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} killed")
    if len(chosen) == len(every):
        print(report.write(__file__, 0, **_figures(every, alive)))
    sys.exit(bool(alive))


def _figures(every: list[Mutant], alive: list[Mutant]) -> dict[str, Any]:
    """Of all, and of each list; of the fresh one also what the tests made of it as they were found."""

    def of(all_: list[Mutant], survived: list[Mutant]) -> dict[str, Any]:
        names = [each.name for each in survived]
        return {"mutants": len(all_), "killed": len(all_) - len(names), "survived": names}

    lists = {name: of(*([each for each in some if each.list == name] for some in (every, alive))) for name in LISTS}
    at_first = [each for each in every if each.name in SURVIVED_AT_FIRST]
    lists["mutants_fresh"]["at_first"] = of([each for each in every if each.list == "mutants_fresh"], at_first)
    return of(every, alive) | {"lists": lists}


if __name__ == "__main__":
    main()
