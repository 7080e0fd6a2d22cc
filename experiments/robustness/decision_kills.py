"""Whether a decision that was acknowledged is there after `kg serve` was killed: every one, and none twice.

    python experiments/robustness/decision_kills.py [--decisions 1000] [--kills 20] [--seed 0]

Two people decide at once, through the API, each on their half of the decisions; the service is killed (SIGKILL) at
random moments and started again. What was not acknowledged is sent once more with the same id.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import report
import served

from kg.decisions.journal import Journal
from kg.query.predictor import Predictor


class Place:
    """Where the service is now."""

    def __init__(self) -> None:
        self.address = ""


def decide(place: Place, person: str, token: str, facts: list[dict[str, str]], acknowledged: list[str]) -> None:
    with httpx.Client(headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
        for number, fact in enumerate(facts):
            id_ = f"{person}-{number}"
            while True:
                try:
                    body = fact | {"verdict": ("accept", "reject", "unsure")[number % 3], "id": id_}
                    answer = client.post(f"{place.address}/api/v1/decisions", json=body)
                except httpx.TransportError:
                    time.sleep(0.05)
                    continue
                assert answer.status_code == 201, answer.text
                acknowledged.append(id_)
                break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, model = served.made(folder, "--model", "distmult", "--dim", "16", "--epochs", "2")
        tokens = {"Ann": "a" * 16, "Ben": "b" * 16}
        (folder / "people.txt").write_text("".join(f"{who}={token}\n" for who, token in tokens.items()))
        found = Predictor.load(model).complete(arguments.decisions, order="probability")
        facts = [{part: getattr(each, part) for part in ("subject", "predicate", "object")} for each in found]
        place, acknowledged = Place(), {who: list[str]() for who in tokens}
        settings = ("--top", "20", "--tokens", str(folder / "people.txt"))
        process, place.address = served.started(store, model, *settings)
        threads = [
            threading.Thread(target=decide, args=(place, who, token, facts[i::2], acknowledged[who]))
            for i, (who, token) in enumerate(tokens.items())
        ]
        for thread in threads:
            thread.start()
        kills, total = 0, len(facts)
        while any(thread.is_alive() for thread in threads):
            done = sum(map(len, acknowledged.values()))
            if kills < arguments.kills and done >= kills * total // arguments.kills:
                time.sleep(draw.random() * 0.3)
                process.kill()
                process.wait()
                kills += 1
                process, place.address = served.started(store, model, *settings)
                print(f"killed {kills} times, {done} acknowledged", flush=True)
            time.sleep(0.01)
        process.kill()
        process.wait()
        there = [each.id for each in Journal(store).decisions()]
    sent = [id_ for ids in acknowledged.values() for id_ in ids]
    figures = {
        "kills": kills,
        "acknowledged": len(sent),
        "missing": len(set(sent) - set(there)),
        "twice": len(there) - len(set(there)),
        "not_sent": len(set(there) - set(sent)),
    }
    print(figures)
    print(report.write(__file__, arguments.seed, **figures))
    sys.exit(bool(figures["missing"] or figures["twice"]))


if __name__ == "__main__":
    main()
