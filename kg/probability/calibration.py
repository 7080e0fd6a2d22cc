"""From scores to probabilities: how likely is it that a candidate is a fact which training did not see?

The probability of a fact is that of being held out of training, among all (head, relation, tail) that training did not
see. It says: were as many facts missing from the graph as were held out of it, and missing in the same way, so many of
the candidates with this probability would be among them. Nothing is known of facts that nobody ever wrote down, so in
an open world it is a lower bound of being true.

    logit = w_r . x   of relation r, with x the features of kg.probability.features, and 1
    p = f(logit)      f the same for all relations, and increasing

w_r is a logistic regression (Platt, 1999) on the valid facts of r against its candidates in their true number, drawn
towards the regression of all relations, and never falling with a score. f is the logistic function of a line of a few
pieces, each of which rises. kg.probability.fitting says what they are fitted to, and when they are withheld.
Test facts are candidates like any other here, since nobody may look at them; that among what is not in valid there are
so many held out too is known: a fact is in valid with the same probability, whatever it is (Elkan and Noto, 2008,
sec. 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kg.bundle import CALIBRATION, Bundle
from kg.errors import UserError, one_line
from kg.probability.bins import Bin, bins_from_json, bins_to_json
from kg.probability.candidate_sample import CandidateSample
from kg.probability.features import names_of
from kg.probability.query_scores import ScoreBlock

# Models before 0.4 have one of the others: the logistic function of a line, or of no more than its slope, or steps.
SHAPES = ("pieces", "platt", "temperature", "isotonic")
# Of a scorer that is asked one way: what a regression of all relations together found for the pretrained network on the
# graph of the world that the package carries.
_UNFITTED = {
    "asked_log_softmax": 1.0,
    "asked_log_known": 1.5,
    "other_log_known": 0.6,
    "asked_any_known": -1.9,
    "other_any_known": -1.2,
    "asked_log_fit": 1.1,
    "other_log_fit": 0.3,
}
_LARGEST = 1e12  # of what is fitted; with numbers near the largest of all, a probability would be none


@final
@dataclass(frozen=True, eq=False)
class Calibration:
    """weights: of 1, then of the features (kg.probability.features), a row a relation.

    asked: of each relation the directed one whose question is asked (see QueryScores); none where both are.
    shape: of f, one of SHAPES. knots: of pieces the logits, then what they become, between which a line is drawn, and
    beyond which the last ones go on; of an isotonic one the logits, then the probabilities; else the slope and the
    shift of the line. reason: why no probability holds, None where they do. withheld: the relations of which none does.
    tried: of each relation what fits that had not seen the entities said of candidates, and how many were facts (see
    bins_of_relations); None of models that kg 0.3 or older calibrated.
    """

    weights: Float[Tensor, "R W"]
    shape: str
    knots: tuple[tuple[float, ...], ...]
    reason: str | None = None
    withheld: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    tried: tuple[tuple[Bin, ...], ...] | None = None

    @classmethod
    def shared(cls, num_relations: int, weights: Mapping[str, float], asked: tuple[int, ...] = ()) -> "Calibration":
        """These weights for every relation, 0 for what is not named; p is the logistic function of the logit."""
        line = torch.tensor([weights.get(name, 0.0) for name in ("constant", *names_of(bool(asked)))])
        return cls(line.repeat(num_relations, 1), "platt", ((1.0, 0.0),), asked=asked)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of the weights."""
        return ("constant", *names_of(bool(self.asked)))

    def of_relation(self, relation: int) -> dict[str, float]:
        """Its weights by name. A relation may be given in either direction."""
        return dict(zip(self.names, self.weights[relation % len(self.weights)].tolist(), strict=True))

    def of_scores(self, relation: int) -> tuple[float, float]:
        """What the scores of (head, r, ?) and those of (tail, r + R, ?) count in a logit."""
        weights = self.of_relation(relation)
        if self.asked:
            of_score = weights["asked_log_softmax"]
            return (of_score, 0.0) if self.asked[relation] == relation else (0.0, of_score)
        half = weights["mean_score"] / 2
        return half + weights["forward_log_softmax"], half + weights["backward_log_softmax"]

    def of_question(self, relation: int, block: ScoreBlock) -> Float[Tensor, " B"]:
        """What a directed question adds to the logits of all its candidates; r's also the constant."""
        weights = self.of_relation(relation)
        is_forward = relation < len(self.weights)
        role = "forward" if is_forward else "backward"
        if self.asked:
            role = "asked" if relation in self.asked else "other"
        softmax, count, any_, fit = (
            weights.get(f"{role}_{name}", 0.0) for name in ("log_softmax", "log_known", "any_known", "log_fit")
        )
        known = block.count.float()
        constant = weights["constant"] if is_forward else 0.0
        found: Tensor = constant - softmax * block.normaliser + count * known.log1p() + any_ * (known > 0)
        return found + fit * block.log_fit

    def logits(self, relation: int, forward: ScoreBlock, backward: ScoreBlock) -> Float[Tensor, "H T"]:
        """Of all pairs of the heads asked `forward` and the tails asked `backward`."""
        there, back = self.of_scores(relation)
        inverse = relation + len(self.weights)
        of_ends = self.of_question(relation, forward)[:, None] + self.of_question(inverse, backward)
        logits: Tensor = there * forward.scores + back * backward.scores.T + of_ends
        return logits

    def probabilities(self, logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.shape == "isotonic":
            found: Any = np.interp(logits.cpu().double().numpy(), np.array(self.knots[0]), np.array(self.knots[1]))
            return torch.from_numpy(np.asarray(found)).to(logits)
        if self.shape == "pieces":
            return self._along(logits).sigmoid()
        ((slope, shift),) = self.knots
        along: Tensor = slope * logits + shift
        return along.sigmoid()

    def _along(self, logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        x, y = (torch.tensor(each, dtype=logits.dtype, device=logits.device) for each in self.knots)
        slope = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
        piece = torch.searchsorted(x[1:-1].contiguous(), logits.contiguous())
        found: Tensor = y[piece] + slope[piece] * (logits - x[piece])
        return found

    def of_sample(self, sample: CandidateSample) -> Float[Tensor, " P"]:
        """The probabilities of its candidates, in fp64. It must be of the same features."""
        assert sample.names == self.names[1:]
        return self.probabilities(sample.logits(self.weights))

    def to_json(self) -> dict[str, Any]:
        knots = [list(each) for each in self.knots]
        return {
            "features": list(self.names),
            "asked": list(self.asked),
            "weights": self.weights.tolist(),
            "shape": self.shape,
            "knots": knots,
            "reason": self.reason,
            "withheld": list(self.withheld),
            "tried": None if self.tried is None else bins_to_json(self.tried),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Calibration":
        """ValueError where it was fitted to other features, or to nothing. (Where none are named, both questions were
        asked.)"""
        asked = _listed(stored.get("asked", []))
        wanted = ["constant", *names_of(bool(asked))]
        names = _listed(stored.get("features", wanted))
        if names != wanted:
            raise ValueError(f"it is of {one_line(', '.join(map(str, names)))}, this version knows {', '.join(wanted)}")
        rows = [_numbers(row) for row in _listed(stored.get("weights"))]
        if any(len(row) != len(wanted) for row in rows):
            raise ValueError(f"its weights must be rows of {len(wanted)} numbers")
        if asked and not (len(asked) == len(rows) and all(each in (i, i + len(rows)) for i, each in enumerate(asked))):
            raise ValueError("asked must say of each of its relations which way it is asked")
        knots = tuple(_numbers(each) for each in _listed(stored.get("knots")))
        shape = stored.get("shape")
        if shape not in SHAPES:
            raise ValueError(f"its shape must be one of {', '.join(SHAPES)}: got {one_line(str(shape))[:80]}")
        if shape == "isotonic":
            _check_steps(knots)
        elif shape == "pieces":
            _check_pieces(knots)
        elif len(knots) != 1 or len(knots[0]) != 2:
            raise ValueError("its knots must be one slope and one shift")
        reason, withheld = stored.get("reason"), _listed(stored.get("withheld", []))
        if not isinstance(reason, str | None):
            raise ValueError(f"its reason must be a text: got {one_line(str(reason))[:80]}")
        if any(type(each) is not int or not 0 <= each < len(rows) for each in withheld):
            raise ValueError(f"withheld must be numbers of its {len(rows)} relations")
        tried = None if stored.get("tried") is None else bins_from_json(stored["tried"], len(rows))
        weights = torch.tensor(rows).view(-1, len(wanted))
        return cls(weights, shape, knots, reason, tuple(withheld), tuple(map(int, asked)), tried)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list: got {one_line(str(value))[:80]}")
    return value


def _numbers(value: Any) -> tuple[float, ...]:
    for each in _listed(value):
        if not isinstance(each, int | float) or isinstance(each, bool) or not abs(each) <= _LARGEST:
            raise ValueError(f"expected numbers of at most {_LARGEST:g}: got {one_line(str(each))[:80]}")
    return tuple(value)


def _check_steps(knots: tuple[tuple[float, ...], ...]) -> None:
    """ValueError unless there are logits and as many probabilities, both in rising order."""
    if len(knots) != 2 or not 0 < len(knots[0]) == len(knots[1]):
        raise ValueError("its knots must be logits and as many probabilities")
    if any(left > right for each in knots for left, right in pairwise(each)) or not min(knots[1]) >= 0:
        raise ValueError("its knots must rise, from a probability of at least 0")
    if max(knots[1]) > 1 + 1e-9:
        raise ValueError(f"its knots must be probabilities: got {max(knots[1]):g}")


def _check_pieces(knots: tuple[tuple[float, ...], ...]) -> None:
    """ValueError unless there are points of a line that rises."""
    if len(knots) != 2 or not 1 < len(knots[0]) == len(knots[1]):
        raise ValueError("its knots must be two logits or more, and what they become")
    if any(left >= right for each in knots for left, right in pairwise(each)):
        raise ValueError("its knots must rise")


def calibration_of(bundle: Bundle) -> Calibration | None:
    """That of a trained model, None where it was not calibrated. UserError where it is of other features, of other
    relations, or none that was ever fitted."""
    if bundle.calibration is None:
        return None
    try:
        found = Calibration.from_json(bundle.calibration)
        if len(found.weights) != bundle.dataset.num_relations:
            raise ValueError(f"it is of {len(found.weights)} relations, not {bundle.dataset.num_relations}")
    except ValueError as error:
        raise UserError(f"{bundle.path} must be calibrated anew: in its {CALIBRATION} {error}") from None
    return found


def by_log_softmax(num_relations: int, asked: tuple[int, ...] = ()) -> Calibration:
    """What candidates are ordered by where a model was not calibrated: the mean log-softmax of both directions. Of a
    scorer that is asked one way, that of the asked one, and how likely the question has an answer that is not known."""
    if asked:
        return Calibration.shared(num_relations, _UNFITTED, asked)
    return Calibration.shared(num_relations, {"forward_log_softmax": 0.5, "backward_log_softmax": 0.5})
