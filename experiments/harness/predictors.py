"""A model as it answers where a part of its facts is all that is known."""

import torch

from kg.bundle import Bundle
from kg.query.knowledge import Knowledge
from kg.query.predictor import Predictor


def knowing(bundle: Bundle, *parts: str) -> Predictor:
    """parts: of train, valid and test."""
    data = bundle.dataset
    facts = torch.cat([data.part(part) for part in parts])
    return Predictor(bundle, Knowledge.of_facts(data.vocabulary, facts, data.schema, " and ".join(parts)))
