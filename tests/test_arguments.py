"""What a scorer may be made with."""

import re
from functools import partial
from typing import Any

import pytest

from kg.attention.performer import Performer
from kg.errors import UserError
from kg.models import described, from_description
from kg.models.arguments import check_values
from kg.models.combined import Combined
from kg.models.complex import ComplEx
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rgcn import RGCN
from kg.models.rules import RuleScorer
from kg.models.transe import TransE


@pytest.mark.parametrize(
    "made",
    [
        partial(ComplEx, dim=2**31 - 1, tied=True, entity_dropout=1.0, init=0),
        partial(TransE, norm=1),
        partial(RGCN, num_layers=0),
        partial(Gated, own=partial(ComplEx), base=partial(TransE, dim=3), frozen=True),
        partial(Combined, parts=[partial(ComplEx), partial(RuleScorer, aggregation="noisy_or")]),
        partial(NeighbourhoodTransformer, attention=partial(Performer, num_features=8, redraw_every=0)),
        partial(NeighbourhoodTransformer, attention=None),
    ],
)
def test_what_parameters_take(made: "partial[Any]") -> None:
    check_values(made)
    back = from_description(described(made))
    assert (back.func, described(back)) == (made.func, described(made))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (partial(ComplEx, dim="1e9"), "dim must be a whole number from 1 to 2,147,483,647: got 1e9"),
        (partial(ComplEx, dim=[8]), "dim must be a whole number"),
        (partial(ComplEx, dim=True), "dim must be a whole number"),
        (partial(ComplEx, dim=-8), "dim must be a whole number from 1"),
        (partial(ComplEx, dim=10**30), "dim must be a whole number"),
        (partial(ComplEx, tied=1), "tied must be true or false: got 1"),
        (partial(ComplEx, entity_dropout=1.5), "entity_dropout must be a share from 0 to 1: got 1.5"),
        (partial(ComplEx, init=float("nan")), "init must be a number of at least 0: got nan"),
        (partial(ComplEx, num_entities=3), "ComplEx: got an unexpected keyword argument 'num_entities'"),
        (partial(ComplEx, size=3), "ComplEx: got an unexpected keyword argument 'size'"),
        (partial(TransE, norm=3), "norm must be one of 1, 2: got 3"),
        (partial(TransE, norm=True), "norm must be one of 1, 2: got True"),
        (partial(RGCN, num_layers=10**7), "num_layers must be a whole number from 0 to 1,000: got 10000000"),
        (partial(RuleScorer, num_rules=10**9), "num_rules must be a whole number from 1 to 1,000"),
        (partial(RuleScorer, aggregation=None), "aggregation must be one of max_plus, noisy_or: got None"),
        (partial(Gated, own=partial(Performer), base=partial(ComplEx)), "own must be a model"),
        (partial(Gated, own=partial(ComplEx, dim=0), base=partial(ComplEx)), "dim must be a whole number from 1"),
        (partial(Combined, parts=partial(ComplEx)), "parts must be a list of models"),
        (partial(Combined, parts=[3]), "parts must be a list of models"),
        (partial(NeighbourhoodTransformer, attention=partial(ComplEx)), "attention must be a kind of attention"),
        (partial(NeighbourhoodTransformer, attention="performer"), "attention must be a kind of attention"),
    ],
)
def test_what_they_do_not_take(made: "partial[Any]", line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)) as caught:
        check_values(made)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("stored", "line"),
    [
        ([], "expected the name and the arguments of a model: got []"),
        ({"name": ["complex"], "arguments": {}}, "expected the name"),
        ({"name": "complex"}, "expected the arguments of complex: got None"),
        ({"name": "no", "arguments": {}}, "no model 'no'"),
        ({"name": "performer", "arguments": {}}, "performer is no model, but a part of one"),
        ({"name": "combine", "arguments": {"parts": [{"name": "no", "arguments": {}}]}}, "no model 'no'"),
    ],
)
def test_what_is_no_description(stored: Any, line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        from_description(stored)
