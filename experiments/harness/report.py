"""The frame of every result file: what was run, where, with what."""

import json
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import kg

RESULTS = Path(__file__).resolve().parents[1] / "results"
_PACKAGES = ("torch", "numpy", "scipy", "numba", "scikit-learn", "pyoxigraph", "rdflib")


def _anywhere(argument: str) -> str:
    """A path of this machine alone, as it might be called on another: its last two parts."""
    return "/".join(Path(argument).parts[-2:]) if Path(argument).is_absolute() else argument


def write(script: str, seed: int, variant: str = "", **results: Any) -> Path:
    """Write `results` of a script (its __file__), with command, seed, versions and hardware: to results/<script>.json,
    or <script>_<variant>.json.
    """
    place = Path(script).resolve().relative_to(RESULTS.parents[1])
    path = RESULTS / (f"{place.stem}_{variant}.json" if variant else f"{place.stem}.json")
    report = {
        "command": shlex.join(["python", place.as_posix(), *map(_anywhere, sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "versions": {"python": platform.python_version(), "kg": kg.__version__, **_versions()},
        "hardware": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
            "load_average": [round(load, 2) for load in os.getloadavg()],
        },
        **results,
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def _versions() -> dict[str, str]:
    """Of those that are there: a checkout need not be installed, nor all that kg can use."""
    return {name: version(name) for name in _PACKAGES if find_spec(name.replace("scikit-learn", "sklearn"))}


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        if names:
            return f"{names[0]} ({platform.machine()})"
    return platform.processor() or platform.machine()
