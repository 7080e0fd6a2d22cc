"""Terms and the integers they stand for."""

import pytest

from kg.errors import UserError
from kg.graph.vocabulary import Vocabulary


def test_ids_are_positions() -> None:
    names = Vocabulary(["b", "a", "c"], ["s", "r"])
    assert names.entities == ("b", "a", "c") and names.relations == ("s", "r")
    assert names.entity_ids == {"b": 0, "a": 1, "c": 2}
    assert names.relation_ids == {"s": 0, "r": 1}


def test_an_entity_may_be_called_like_a_relation() -> None:
    names = Vocabulary(["x"], ["x"])
    assert names.entity_ids["x"] == names.relation_ids["x"] == 0


@pytest.mark.parametrize(("entities", "relations"), [(["a", "a"], ["r"]), (["a"], ["r", "s", "r"])])
def test_a_term_twice_is_an_error(entities: list[str], relations: list[str]) -> None:
    with pytest.raises(UserError, match="twice"):
        Vocabulary(entities, relations)


def test_extended_appends_the_unknown_and_moves_nothing() -> None:
    names = Vocabulary(["a", "b"], ["r"])
    longer = names.extended(["c", "a", "d"])
    assert longer == Vocabulary(["a", "b", "c", "d"], ["r"])
    assert names.entities == ("a", "b")


def test_extended_takes_a_new_term_once() -> None:
    assert Vocabulary(["a"], ["r"]).extended(["c", "c"]).entities == ("a", "c")


def test_equal_by_terms_and_order() -> None:
    names = Vocabulary(["a", "b"], ["r"])
    assert names == Vocabulary(("a", "b"), ("r",)) and hash(names) == hash(Vocabulary(("a", "b"), ("r",)))
    assert names != Vocabulary(["b", "a"], ["r"]) and names != Vocabulary(["a", "b"], ["s"])
    assert names != "ab"
    assert repr(names) == "Vocabulary(2 entities, 1 relations)"
