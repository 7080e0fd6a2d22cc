"""Scorers by name. Naming one imports that one alone."""

from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name
from typing import Any

from kg.attention import ATTENTIONS
from kg.errors import UserError, one_line
from kg.models.arguments import check_values
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
    "rules": "kg.models.rules:RuleScorer",
    "path_ranking": "kg.models.path_ranking:PathRanking",
    "are": "kg.models.are:ARE",
    "common_neighbours": "kg.models.similarity:CommonNeighbours",
    "adamic_adar": "kg.models.similarity:AdamicAdar",
    "preferential_attachment": "kg.models.similarity:PreferentialAttachment",
    "katz": "kg.models.similarity:Katz",
    "pagerank": "kg.models.similarity:PageRank",
    "rgcn": "kg.models.rgcn:RGCN",
    "compgcn": "kg.models.compgcn:CompGCN",
    "neighbourhood": "kg.models.neighbourhood:NeighbourhoodTransformer",
    "paths": "kg.models.path_network:PathNetwork",
    "pretrained": "kg.models.pretrained:PretrainedPathNetwork",
    "gated": "kg.models.gated:Gated",
    "combine": "kg.models.combined:Combined",
    "rank_ensemble": "kg.models.rank_ensemble:RankEnsemble",
}


def scorer_class(name: str) -> Callable[..., Scorer]:
    """The class behind a name of SCORERS, (num_entities, num_relations, ...) -> Scorer; UserError for another name."""
    if name not in SCORERS:
        raise UserError(f"no model {name!r}: choose one of {', '.join(SCORERS)}")
    found: Callable[..., Scorer] = resolve_name(SCORERS[name])
    return found


def described(made: "partial[Any]") -> dict[str, Any]:
    """The name and the arguments of a scorer, and of the parts among its arguments: scorers and attentions, as JSON.

    Lists of parts are lists of their descriptions. UserError for what stands in neither SCORERS nor ATTENTIONS.
    """
    home = f"{made.func.__module__}:{made.func.__qualname__}"
    for name, other in (SCORERS | ATTENTIONS).items():
        if other == home:
            return {"name": name, "arguments": {key: _described(value) for key, value in made.keywords.items()}}
    raise UserError(f"{made.func} has no name to be stored under: known are {', '.join(SCORERS | ATTENTIONS)}")


def from_description(stored: Any) -> "partial[Any]":
    """What `described` described. UserError where it is no such description: a name is unknown, or an argument is no
    value of its parameter."""
    made = _part(stored)
    if not issubclass(made.func, Scorer):  # type: ignore[arg-type]
        raise UserError(f"{stored['name']} is no model, but a part of one")
    check_values(made)
    return made


def _part(stored: Any) -> "partial[Any]":
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise UserError(f"expected the name and the arguments of a model: got {one_line(str(stored))[:80]}")
    name, arguments = stored["name"], stored.get("arguments")
    if not isinstance(arguments, dict):
        raise UserError(f"expected the arguments of {name}: got {one_line(str(arguments))[:80]}")
    found = resolve_name(ATTENTIONS[name]) if name in ATTENTIONS else scorer_class(name)
    return partial(found, **{key: _from_description(value) for key, value in arguments.items()})


def _described(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_described(each) for each in value]
    return described(value) if isinstance(value, partial) else value


def _from_description(stored: Any) -> Any:
    if isinstance(stored, list):
        return [_from_description(each) for each in stored]
    return _part(stored) if isinstance(stored, dict) else stored
