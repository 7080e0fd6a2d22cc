"""What a folder was begun with, and what it must still be."""

import pytest

from kg.errors import UserError
from kg.studies.provenance import check_same


def test_the_first_difference_is_named() -> None:
    check_same("the run", {"dim": 4, "parts": (1, 2)}, {"parts": [1, 2], "dim": 4})
    with pytest.raises(UserError, match=r"^the run has changed \(scorer\.dim 4 -> 8\): choose another folder"):
        check_same("the run", {"scorer": {"dim": 4}, "seed": 0}, {"scorer": {"dim": 8}, "seed": 1})
    with pytest.raises(UserError, match=r"\(base none -> 1\)"):
        check_same("the run", {}, {"base": 1})
