"""PretrainedPathNetwork: nothing is trained, unless it is asked to go on from there."""

from functools import partial

from torch.optim import Adam

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.algorithms.transfer import FineTuning, Transfer
from kg.training.gradient_descent import GradientDescent, WarmUp
from kg.training.objectives import OneVsUnknown
from kg.training.recipes import Recipe
from kg.training.recipes.space import Choice, Space
from kg.training.run import Run


def _default(_: Dataset) -> Run:
    return Run(partial(scorer_class("pretrained")), Transfer())


def fine_tuned(run: Run) -> Run:
    """The same, and gradient descent on this graph's own facts after it. UserError where its weights are not the
    pretrained ones."""
    if not isinstance(run.algorithm, Transfer):
        raise UserError("fine_tune goes on from the weights of the model pretrained, and of no other", "fine_tune")
    descent = GradientDescent(
        partial(Adam, lr=0.001),
        OneVsUnknown(max_answers=8),
        schedule=WarmUp(),
        batch_size=16,
        hide="exact",
        questions=5_000,
        averaging=0.998,
        epochs=6,
        valid_every=1,
        patience=3,
    )
    return Run(run.scorer, FineTuning(descent), run.seed)


RECIPES = {"pretrained": Recipe(Space({"max_nodes": Choice((1000, 5000, 20_000))}), _default)}
