"""What the demo may delete."""

from pathlib import Path

from commands import run


def test_folders_of_others_stay(tmp_path: Path) -> None:
    mine = tmp_path / "rescal" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("ten years of work")
    ran = run("demo", tmp_path, "--json")
    assert ran.code == 1 and "rescal is no model: it holds other files, such as thesis.txt" in ran.stderr
    assert mine.exists()
