"""Everything that a GPU is wanted for, in one command, best value first, within so many minutes.

    python experiments/gpu/run.py OUT [--carried FOLDER] [--minutes 25] [--device cuda] [--small]

The tests of the device, then speed.py, then as many of the presets that no CPU could finish as fit, each by `kg train`
and measured on test by quality/trained.py. The same command goes on where it stopped: what is done is not repeated,
a training that was cut off is resumed. OUT holds the models; OUT/results.tar.gz takes every figure.

FOLDER is what pack.py made, for a machine without a network. Nothing is installed but into OUT/site.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import benchmarks

ROOT = benchmarks.ROOT
RESULTS = ROOT / "experiments" / "results"
PRESETS = (  # by what a figure would say, for the minutes it takes
    ("fb15k-237", "fb15k237:complex_with_relation_prediction"),
    ("wn18rr", "wn18rr:rescal"),
    ("fb15k-237", "fb15k237:rescal"),
    ("wn18rr", "wn18rr:complex_with_relation_prediction"),
    ("fb15k-237", "fb15k237:tucker"),
    ("wn18rr", "wn18rr:tucker"),
    ("fb15k-237", "fb15k237:distmult"),
    ("fb15k-237", "fb15k237:transe"),
    ("wn18rr", "wn18rr:transe"),
    ("wn18rr", "wn18rr:rotate"),
    ("fb15k-237", "fb15k237:rotate"),
)
SMALL = (("umls", "umls:complex"), ("umls", "umls:transe"))
SECONDS_TO_STOP = 40  # that a training has to save in, and to be measured


class Session:
    """What is left of the time, and what has been done, in OUT/done.json."""

    def __init__(self, out: Path, minutes: float, environment: dict[str, str]) -> None:
        self._out, self._environment = out, environment
        self._ends = time.monotonic() + 60 * minutes
        self._file = out / "done.json"
        kept = json.loads(self._file.read_text()) if self._file.exists() else {"began": time.time(), "seconds": {}}
        self.began: float = kept["began"]
        self.done: dict[str, float] = kept["seconds"]

    @property
    def data(self) -> Path | None:
        """The folder of the benchmarks, where it was carried along."""
        return Path(self._environment["KG_DATA"]) if "KG_DATA" in self._environment else None

    def left(self) -> float:
        return self._ends - time.monotonic()

    def step(self, name: str, *arguments: object, limit: float | None = None) -> bool:
        """Run Python on these, once for all; stopped by Ctrl-C at the end of the time. Whether it ended well."""
        if name in self.done:
            return True
        seconds = min(self.left() - SECONDS_TO_STOP, limit or float("inf"))
        if seconds < 30:
            return False
        print(f"{name} (at most {seconds:.0f} s)", flush=True)
        began = time.monotonic()
        child = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, env=self._environment)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(SECONDS_TO_STOP / 2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            code = 130
        print(f"{name}: exit {code} after {time.monotonic() - began:.0f} s", flush=True)
        if code == 0:
            self.done[name] = round(time.monotonic() - began, 1)
            self._file.write_text(json.dumps({"began": self.began, "seconds": self.done}, indent=1) + "\n")
        return code == 0

    def pack(self) -> None:
        """The figures written since the first call, the tests' report among them, as one file."""
        with tarfile.open(self._out / "results.tar.gz", "w:gz") as archive:
            for path in (*sorted(self._out.glob("*.json")), *sorted(self._out.glob("*.xml"))):
                archive.add(path, path.name)
            for path in sorted(RESULTS.glob("*.json")):
                if path.stat().st_mtime >= self.began:
                    archive.add(path, f"results/{path.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--carried", type=Path, help="what pack.py made")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny settings, to try it without a GPU")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    session = Session(out, arguments.minutes, environment(out, arguments.carried))
    small = ["--small"] if arguments.small else []
    tests = [
        "-m",
        "pytest",
        "tests/test_device.py",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        f"--junitxml={out}/tests.xml",
    ]
    if arguments.device != "cpu":
        tests += ["-m", "gpu"]
    else:
        tests += ["-k", "complex or softmax"]
    session.step("tests", *tests, limit=300)
    data = "umls" if arguments.small else "fb15k-237"
    session.step("speed", "experiments/gpu/speed.py", data, "--device", arguments.device, *small, limit=420)
    for dataset, preset in SMALL if arguments.small else PRESETS:
        train(session, out, dataset, preset, arguments.device)
    session.pack()
    print(f"{out / 'results.tar.gz'}: {', '.join(session.done) or 'nothing was finished'}")


def train(session: Session, out: Path, dataset: str, preset: str, device: str) -> None:
    """What there is of the model is measured, though the time did not suffice to finish it."""
    file, _, name = preset.partition(":")
    model = out / f"{dataset}-{name}-{device}"
    home = benchmarks.folder(dataset, session.data)
    made = ["--resume"] if (model / "CURRENT").exists() else ["--preset", f"experiments/presets/{file}.py:{name}"]
    session.step(f"train {preset}", "-m", "kg", "train", home, model, *made, "--device", device)
    if (model / "CURRENT").exists():
        session.step(f"test {preset}", "experiments/quality/trained.py", model, "--device", device)


def environment(out: Path, carried: Path | None) -> dict[str, str]:
    """Of every step: the checkout, and what was carried along."""
    paths = [str(ROOT)]
    found = dict(os.environ)
    if carried is not None:
        site = out / "site"
        if not site.exists():
            wheels = sorted(str(path) for path in carried.glob("*.whl"))
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(site)]
            subprocess.run([*pip, *wheels], check=True)
        paths.append(str(site))
        found["KG_DATA"] = str((carried / "data").resolve())
    found["PYTHONPATH"] = os.pathsep.join(paths)
    return found


if __name__ == "__main__":
    main()
