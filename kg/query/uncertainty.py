"""How unsure the answer to one question is: by dropout, or by the models of an ensemble."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.models.scorer import Queries
from kg.probability.uncertainty import entropies

_Member = tuple[Bundle, torch.Generator | None]


@dataclass(frozen=True)
class Uncertainty:
    """How unsure the answer to a question is, in nats; 0 to log(candidates) in all.

    aleatoric: several answers are plausible in every sample. epistemic: the samples, or models, name different ones.
    """

    aleatoric: float
    epistemic: float
    samples: int
    candidates: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def dropout_uncertainty(
    bundle: Bundle, question: Queries, eligible: Bool[Tensor, " N"], samples: int, seed: int
) -> Uncertainty:
    """Of softmax(scores / temperature) over the eligible answers, from samples with dropout as in training (Gal and
    Ghahramani, 2016). A function of the seed; the model and its later answers stay as they are.

    Each sample is a question by itself, so that none shares a mask with another. Batch normalisation goes by its
    running figures, which training gathered with dropout on; those of a batch would be of one question alone.

    UserError where the model draws nothing at random. The temperature is that of answers without dropout, 1 where none
    was fitted.
    """
    if samples < 2:
        raise UserError(f"uncertainty shows between samples: at least 2 are needed, got {samples}")
    if bundle.scorer.training:
        raise ValueError("the scorer is in training: to sample would change what it has gathered of its batches")
    generator = torch.Generator(question.head.device).manual_seed(seed)
    before = generator.get_state()
    found = _uncertainty([(bundle, generator)] * samples, question, eligible)
    if torch.equal(generator.get_state(), before):
        raise UserError("the model was trained without dropout: there is nothing to sample uncertainty from")
    return found


def ensemble_uncertainty(bundles: Sequence[Bundle], question: Queries, eligible: Bool[Tensor, " N"]) -> Uncertainty:
    """The same of several models, each a sample, without dropout. All look at the question's graph.

    UserError where the others know other entities or relations than the first, as those of other facts do.
    """
    own = bundles[0].dataset.vocabulary
    for other in bundles[1:]:
        theirs = other.dataset.vocabulary
        if (theirs.entities, theirs.relations) != (own.entities, own.relations):
            raise UserError(f"{other.path} was trained on other entities or relations than {bundles[0].path}")
    return _uncertainty([(bundle, None) for bundle in bundles], question, eligible)


@torch.no_grad()
def _uncertainty(members: Sequence[_Member], question: Queries, eligible: Bool[Tensor, " N"]) -> Uncertainty:
    if not bool(eligible.any()):
        raise UserError("no candidate is left to be unsure of")

    def probabilities() -> Iterator[Float[Tensor, "1 C"]]:
        for bundle, generator in members:
            asked = Queries(question.head, question.relation, question.graph, generator)
            scores = bundle.scorer.score_tails(asked)[:, eligible]
            yield (scores.double() / (bundle.temperature or 1.0)).softmax(1)  # WORST / T stays finite so

    aleatoric, epistemic = entropies(probabilities())
    return Uncertainty(aleatoric.item(), epistemic.item(), len(members), int(eligible.sum()))
