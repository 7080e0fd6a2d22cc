"""Scorers that begin as models that were trained before."""

from pathlib import Path

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer


def trained_on(dataset: Dataset, model: Path | str, what: str) -> Bundle:
    """A trained model of the same facts, to be the base or a part of another; UserError where it is of others."""
    trained = Bundle.load(model)
    if trained.dataset.digest() != dataset.digest():
        raise UserError(f"{model} was trained on other facts: it cannot be the {what} here")
    return trained


def start_as(scorer: Scorer, what: str, dataset: Dataset, model: str) -> None:
    """Give a scorer, the base or a part of another, the weights of a trained model."""
    trained = trained_on(dataset, model, what)
    if type(trained.scorer) is not type(scorer):  # whose weights may be of the same shapes
        found, declared = type(trained.scorer).__name__, type(scorer).__name__
        raise UserError(f"{model} is not what the {what} is declared as: {found}, not {declared}")
    try:
        scorer.load_state_dict(trained.scorer.state_dict())
    except RuntimeError as error:
        raise UserError(f"{model} is not what the {what} is declared as: {' '.join(str(error).split())}") from error
