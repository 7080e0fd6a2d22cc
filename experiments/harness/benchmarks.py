"""Where the public benchmarks lie: below --data, else below $KG_DATA, else in shared/datasets beside the checkout.

data/README.md says where to get them.
"""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def home(data: Path | None = None) -> Path:
    """The folder that holds a folder a benchmark."""
    return data or Path(os.environ.get("KG_DATA") or ROOT.parent / "shared" / "datasets")


def find(name: str, data: Path | None = None) -> Path | None:
    """The folder of a benchmark by its name (umls, grail/fb237-v1) or by its path. None: it is not there."""
    return next((path for path in (home(data) / name, Path(name)) if path.is_dir()), None)


def missing(name: str, data: Path | None = None) -> str:
    """What to say then."""
    return f"{name}: no such folder, here or in {home(data)}; data/README.md says where to get it, KG_DATA where it is"


def folder(name: str, data: Path | None = None) -> Path:
    """SystemExit in one line if it is not there."""
    found = find(name, data)
    if found is None:
        raise SystemExit(missing(name, data))
    return found


def add(parser: ArgumentParser, default: str | None = None) -> None:
    """The arguments of a script that reads one benchmark: its name or folder, and --data."""
    parser.add_argument(
        "folder", nargs="?" if default else None, default=default, help="a benchmark, by name or folder"
    )
    add_data(parser)


def add_data(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="the folder of the benchmarks ($KG_DATA, or beside the checkout)")


def parsed(parser: ArgumentParser) -> Namespace:
    """Its arguments: `folder` is where the benchmark lies."""
    arguments = parser.parse_args()
    arguments.folder = folder(arguments.folder, arguments.data)
    return arguments
