"""Models made of others: only the caller can say of which."""

from kg.training.recipes import Recipe
from kg.training.recipes.space import DROPOUT, Space

RECIPES = {
    "gated": Recipe(Space({"base_dropout": DROPOUT})),
    "combine": Recipe(Space({})),  # its parts have settings, it has none
    "rank_ensemble": Recipe(Space({})),
}
