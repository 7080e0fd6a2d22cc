"""`kg serve` in a process of its own, over a graph and a model that are made for it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kg.files import shipped

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def made(folder: Path, *settings: str) -> tuple[Path, Path]:
    """A store of the world that ships with kg, and a model trained on it with these settings; made once."""
    store, model = folder / "world.kg", folder / "model"
    if not (model / "CURRENT").exists():
        run("load", store, shipped("world.ttl"))
        run("train", store, model, *settings)
    return store, model


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "kg", *map(str, arguments)], check=True, env=ENVIRONMENT)


def started(store: Path, model: Path, *settings: str) -> tuple[subprocess.Popen[str], str]:
    """The process, and its address: it answers from now on."""
    line = [sys.executable, "-m", "kg", "serve", store, "--model", model, "--port", "0", *settings]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout
    return process, process.stdout.readline().strip().rstrip("/")


@contextmanager
def serving(store: Path, model: Path, *settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The same, ended at the end."""
    process, address = started(store, model, *settings)
    try:
        yield process, address
    finally:
        process.terminate()
        process.wait()


def resident_mb(process: subprocess.Popen[str]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000
