"""What the demo may delete."""

from pathlib import Path

import pytest
from rich.console import Console

from kg.demo import run_demo
from kg.errors import UserError


def test_folders_of_others_stay(tmp_path: Path) -> None:
    mine = tmp_path / "rescal" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("ten years of work")
    with pytest.raises(UserError, match=r"rescal is no model: it holds other files, such as thesis\.txt"):
        run_demo(tmp_path, Console(quiet=True), Console(quiet=True))
    assert mine.exists()
