"""What a GPU machine without a network needs beside a checkout: wheels that it lacks, and the benchmarks.

    python experiments/gpu/pack.py FOLDER [--python 3.12] [--data DATA]

The machine is taken to have PyTorch for its card, and what comes with it. It needs no installation of kg: `run.py`
puts the wheels into a folder of their own and starts everything from the checkout.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks

WHEELS = ("pyoxigraph", "backports.zstd", "beartype")  # what kg and its tests import and such machines lack
DATA = ("fb15k-237", "wn18rr", "codex-s", "umls")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def pinned(name: str) -> str:
    """The requirement as constraints.txt has it."""
    lines = (benchmarks.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if re.match(rf"{re.escape(name)}==", line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="of the GPU machine (3.12)")
    benchmarks.add_data(parser)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", arguments.python, "--implementation", "cp", "--dest", str(arguments.folder)]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *map(pinned, WHEELS)], check=True)
    for name in DATA:
        shutil.copytree(benchmarks.folder(name, arguments.data), arguments.folder / "data" / name, dirs_exist_ok=True)
    size = sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file())
    print(f"{arguments.folder}: {size / 2**20:.0f} MB; there: python experiments/gpu/run.py OUT --carried <folder>")


if __name__ == "__main__":
    main()
