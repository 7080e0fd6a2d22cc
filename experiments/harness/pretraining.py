"""Trains the weights of `--model pretrained` on fresh cuts of public graphs.

    python experiments/harness/pretraining.py models/pretraining --minutes 60 [--data $KG_DATA]

Goes on where it was stopped. On each cut, a graph of 400 to 2,500 entities from which facts were taken out, it asks for
some of these facts, in both directions alike, rare relations more often than their share. Every few minutes the
averaged weights are measured on graphs that no cut is made of, and kept where they are the best so far by the mean of
their MRR: the valid facts of nations, umls, fb237-v1-ind and wn18rr-v1-ind. Never looked at: codex-s, ilpc/small-ind,
and the test facts of these.
"""

import argparse
import copy
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from kg.evaluation import ranking
from kg.graph.dataset import Dataset
from kg.graph.sources import open_dataset
from kg.models.pretrained import PretrainedPathNetwork
from kg.models.scorer import Queries
from kg.training.objectives import Batch, OneVsUnknown

sys.path.append(str(Path(__file__).parent))
from cuts import Cut, Source

CORPUS = {"fb15k-237": 4, "wn18rr": 2, "ilpc/small": 2, "ilpc/large": 3}  # and how often each is cut
MEASURED = ("nations", "umls", "grail/fb237-v1-ind", "grail/wn18rr-v1-ind")
_STEPS_A_CUT = 12
_RELATIONS, _QUESTIONS, _ANSWERS = 4, 16, 8  # of a step; answers that share a question
_RATE, _WARM_UP, _CLIP, _AVERAGING = 3e-3, 300, 1.0, 0.999
_COOLING = 0.3  # of the time the learning rate falls to nothing
_MEASURE_EVERY, _MEASURED = 240.0, 150  # CPU seconds; facts of each graph


class Pretraining:
    def __init__(self, folder: Path, data: Path, seed: int) -> None:
        torch.manual_seed(seed)
        self.folder, self.seed = folder, seed
        self.network = PretrainedPathNetwork(1, 1, max_nodes=1 << 30)
        self.averaged = copy.deepcopy(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=_RATE)
        self.sources = [source(open_dataset(data / name)) for name in CORPUS]
        self.measured = {name: open_dataset(data / name) for name in MEASURED}
        self.step, self.spent, self.asked, self.best, self.losses = 0, 0.0, 0, 0.0, 0.0
        if (folder / "state.pt").exists():
            self._load()

    def train(self, minutes: float) -> None:
        """Until so many minutes of CPU time are spent in all."""
        budget, began, before = 60 * minutes, time.process_time(), self.spent
        due = self.spent + _MEASURE_EVERY
        while self.spent < budget:
            random = np.random.default_rng((self.seed, self.step))
            weights = np.array(list(CORPUS.values())) / sum(CORPUS.values())
            cut = self.sources[int(random.choice(len(weights), p=weights))].cut(random)
            if cut is None:
                self.step += 1
                continue
            for batch in batches(cut, random):
                self._take_step(batch, cut, self.spent / budget)
            self.spent = before + time.process_time() - began
            if self.spent >= due or self.spent >= budget:
                self._measure()
                due = self.spent + _MEASURE_EVERY
                began, before = time.process_time(), self.spent

    def _take_step(self, batch: Batch, cut: Cut, progress: float) -> None:
        scorer = on(self.network, cut.graph.num_entities, cut.graph.num_relations)
        for group in self.optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (self.step + 1) / _WARM_UP, (1 - progress) / _COOLING + 0.01)
        self.optimizer.zero_grad()
        loss = OneVsUnknown(max_answers=_ANSWERS)(scorer, batch)
        loss.backward()
        clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self.step += 1
        self.asked += len(batch.row)
        share = max(1 - _AVERAGING, 1 / (self.step + 1))
        with torch.no_grad():
            for own, new in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                own.lerp_(new, share)
        self.losses += (loss.item() - self.losses) * max(0.01, 1 / (self.step + 1))

    def _measure(self) -> None:
        found = {name: zero_shot(self.averaged, data, "valid", _MEASURED) for name, data in self.measured.items()}
        mean = float(np.mean(list(found.values())))
        line = {"cpu_seconds": round(self.spent), "steps": self.step, "answers": self.asked, "loss": self.losses}
        print(json.dumps({**line, "mean": mean, **found}), flush=True)
        with (self.folder / "course.jsonl").open("a") as course:
            course.write(json.dumps({**line, "mean": mean, **found}) + "\n")
        if mean > self.best:
            self.best = mean
            torch.save(self.averaged.state_dict(), self.folder / "best.pt")
        self._save()

    def _save(self) -> None:
        parts = {name: getattr(self, name).state_dict() for name in ("network", "averaged", "optimizer")}
        counts = {name: getattr(self, name) for name in ("step", "spent", "asked", "best", "losses")}
        torch.save({**parts, "counts": counts}, self.folder / "state.new")
        (self.folder / "state.new").replace(self.folder / "state.pt")

    def _load(self) -> None:
        state = torch.load(self.folder / "state.pt", weights_only=True)
        for name in ("network", "averaged", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        vars(self).update(state["counts"])


def source(dataset: Dataset) -> Source:
    return Source(dataset.train.numpy(), dataset.num_entities, dataset.num_relations)


def batches(cut: Cut, random: np.random.Generator) -> list[Batch]:
    """Questions of a few relations each, so many that each is asked once at most."""
    num = cut.graph.num_relations
    hrt = cut.held_out
    turned = torch.stack([hrt[:, 2], hrt[:, 1] + num, hrt[:, 0]], 1)
    facts = torch.cat([hrt, turned]).numpy()
    facts = facts[random.permutation(len(facts))]
    key = facts[:, 1] * cut.graph.num_entities + facts[:, 0]
    order = np.argsort(key, kind="stable")
    questions = np.split(facts[order], np.flatnonzero(np.diff(key[order])) + 1)
    of_relation: dict[int, list[np.ndarray]] = {}
    for place in random.permutation(len(questions)):
        of_relation.setdefault(int(questions[place][0, 1]), []).append(questions[place])
    found = []
    for _ in range(_STEPS_A_CUT):
        count = np.array([len(each) for each in of_relation.values()], dtype=float) ** 0.75
        if not count.any():
            break
        names = list(of_relation)
        drawn = random.choice(len(names), min(_RELATIONS, int((count > 0).sum())), replace=False, p=count / count.sum())
        chosen = [
            of_relation[names[i]].pop() for i in drawn for _ in range(_QUESTIONS // len(drawn)) if of_relation[names[i]]
        ]
        found.append(batch_of(chosen, cut))
    return found


def batch_of(questions: list[np.ndarray], cut: Cut) -> Batch:
    kept = [each[:_ANSWERS] for each in questions]
    row = torch.from_numpy(np.repeat(np.arange(len(kept)), [len(each) for each in kept]))
    head, relation = (torch.tensor([int(each[0, place]) for each in kept]) for place in (0, 1))
    tail = torch.from_numpy(np.concatenate([each[:, 2] for each in kept]))
    return Batch(Queries(head, relation, cut.graph), row, tail, cut.known)


def on(network: PretrainedPathNetwork, num_entities: int, num_relations: int) -> PretrainedPathNetwork:
    """The same weights, for another graph."""
    scorer = copy.copy(network)
    scorer.num_entities, scorer.num_relations = num_entities, num_relations
    return scorer


def zero_shot(network: PretrainedPathNetwork, dataset: Dataset, split: str, sample: int | None) -> float:
    scorer = on(network, dataset.num_entities, dataset.num_relations)
    return ranking.evaluate(scorer, dataset, split, sample=sample).metrics().mrr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="of CPU time, those of before included")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KG_DATA", "data")))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    Pretraining(given.folder, given.data, given.seed).train(given.minutes)


if __name__ == "__main__":
    main()
