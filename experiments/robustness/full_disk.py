"""What is left of a store or a model, and what is said, where the disk fills up while it is written?

Ten runs on a file system of 20 MB that is filled first: five of `kg load` into a store that is there, five of `kg train
--resume` of a model that is there. After each, the store or the model is the old one or the new one, whole; an error is
one line; nothing is left beside the generations.

    python experiments/robustness/full_disk.py

It mounts a tmpfs: run it as root, or by `unshare -rm`. Results go to experiments/results/full_disk.json.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kg import bundle
from kg.bundle import Bundle
from kg.store.store import Store

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report

SEED = 0
MEGABYTES = 20
FREE_KILOBYTES = {"load": (0, 100, 1000, 5000, 17000), "train": (0, 40, 200, 400, 600)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder, "disk")
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", disk], check=False)
        if mounted.returncode:
            sys.exit("mount was refused: run this as root, or by unshare -rm")
        try:
            runs = _runs(Path(folder), disk)
        finally:
            subprocess.run(["umount", disk], check=True)
    wrong = [run for run in runs if not run["whole"] or not run["one_line"] or run["left_over"]]
    print(report.write(__file__, SEED, megabytes=MEGABYTES, runs=runs, wrong=len(wrong)))
    assert not wrong, wrong


def _runs(folder: Path, disk: Path) -> list[dict[str, Any]]:
    few, many, store, model = folder / "few.nt", folder / "many.nt", folder / "few.kg", folder / "model"
    _write_facts(few, 3_000)
    _write_facts(many, 60_000)
    _kg("load", store, few)
    _kg("train", store, model, "--dim", 64, "--epochs", 2)
    runs = [_run("load", free, store, disk, (many,)) for free in FREE_KILOBYTES["load"]]
    return runs + [_run("train", free, model, disk, ("--resume", "--epochs", 4)) for free in FREE_KILOBYTES["train"]]


def _run(command: str, free: int, source: Path, disk: Path, more: tuple[object, ...]) -> dict[str, Any]:
    """One command over a copy of what is there, with so many kilobytes free."""
    there, filling = disk / source.name, disk / "filling"
    shutil.copytree(source, there)
    old = int((there / "CURRENT").read_text())
    filling.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - 1024 * free)))
    arguments = (there, *more) if command == "load" else (source, there, *more)
    ran = _kg(command, *arguments, check=False)
    filling.unlink()
    now = int((there / "CURRENT").read_text())
    lines = ran.stderr.splitlines()
    found = {
        "command": command,
        "free_kilobytes": free,
        "exit": ran.returncode,
        "state": "old" if now == old else "new",
        "whole": _whole(there) and (now != old or ran.returncode != 0),
        "one_line": ran.returncode == 0 or (len(lines) == 1 and lines[0].startswith("error: ")),
        "said": lines[-1].replace(str(disk), "DISK") if lines else "",
        "left_over": [each.name for each in there.iterdir() if each.name.startswith(".") or each.suffix == ".draft"],
    }
    shutil.rmtree(there)
    return found


def _whole(path: Path) -> bool:
    if bundle.exists(path) and (path / (path / "CURRENT").read_text().strip() / "config.json").exists():
        return Bundle.load(path).scorer is not None
    with Store(path) as store:
        store.verify()
        return store.count() == len(list(store.match())) == len(store.facts())


def _kg(*arguments: object, check: bool = True) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def _write_facts(path: Path, count: int) -> None:
    draw = random.Random(SEED).randrange
    entities = count // 10
    lines = (f"<urn:e:{draw(entities)}> <urn:r:{draw(5)}> <urn:e:{draw(entities)}> .\n" for _ in range(count))
    path.write_text("".join(lines))


if __name__ == "__main__":
    main()
