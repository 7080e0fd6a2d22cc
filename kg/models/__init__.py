"""Scorers by name. Naming one imports that one alone."""

from collections.abc import Callable
from pkgutil import resolve_name

from kg.errors import UserError
from kg.models.scorer import Scorer

SCORERS = {
    "rescal": "kg.models.rescal:RESCAL",
    "transe": "kg.models.transe:TransE",
    "distmult": "kg.models.distmult:DistMult",
    "complex": "kg.models.complex:ComplEx",
    "cp": "kg.models.cp:CP",
    "simple": "kg.models.simple:SimplE",
    "hole": "kg.models.hole:HolE",
    "rotate": "kg.models.rotate:RotatE",
    "conve": "kg.models.conve:ConvE",
    "tucker": "kg.models.tucker:TuckER",
    "ntn": "kg.models.ntn:NTN",
    "er_mlp": "kg.models.er_mlp:ERMLP",
    "se": "kg.models.structured:StructuredEmbedding",
    "frequency": "kg.models.frequency:Frequency",
    "naive_bayes": "kg.models.naive_bayes:NaiveBayes",
    "rgcn": "kg.models.rgcn:RGCN",
    "compgcn": "kg.models.compgcn:CompGCN",
}


def scorer_class(name: str) -> Callable[..., Scorer]:
    """The class behind a name of SCORERS, (num_entities, num_relations, ...) -> Scorer; UserError for another name."""
    if name not in SCORERS:
        raise UserError(f"no model {name!r}: choose one of {', '.join(SCORERS)}")
    found: Callable[..., Scorer] = resolve_name(SCORERS[name])
    return found
