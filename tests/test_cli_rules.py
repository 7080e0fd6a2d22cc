"""`kg rules`."""

import json
import re
from pathlib import Path

from commands import EX, done, refused, run


def test_rules(country_store: Path, tmp_path: Path) -> None:
    mined = run("rules", country_store, "--max-length", 2, "-o", tmp_path / "rules.tsv", "--top", 3)
    assert mined.code == 0, mined.stderr
    header, *rows = [line.split("\t") for line in (tmp_path / "rules.tsv").read_text().splitlines()]
    assert f"{len(rows)} rules are in {tmp_path / 'rules.tsv'}" in mined.stderr.replace("\n", "")
    assert header[:4] == ["rule", "confidence", "support", "body"] and len(rows) > 3
    shown = [re.fullmatch(r"(.+=> .+?) +(\d\.\d\d)  \((\d+)/(\d+)\) *", line) for line in mined.stdout.splitlines()]
    for row, line in zip(rows, shown, strict=False):
        assert line and [line[1], line[3], line[4]] == [row[0], *row[2:4]] and line[2] == f"{float(row[1]):.2f}"
    found = {row[0]: row[1:4] for row in rows}
    assert "borders(Y,X) => borders(X,Y)" in found and "borders(X,Z) & memberOf(Z,Y) => memberOf(X,Y)" in found
    assert not any(rule.startswith("=>") for rule in found)
    surest = [(-float(row[1]), -int(row[2]), row[0]) for row in rows]
    assert surest == sorted(surest)
    arguments = ("rules", country_store, "--max-length", 2, "--relation", "memberOf", "--min-support", 5, "--json")
    for rule in json.loads(done(*arguments, "--min-confidence", 0.4)):
        assert f"<{EX}memberOf>" in rule["head_pattern"] and rule["support"] >= 5 and rule["confidence"] >= 0.4
    assert "no rule was found" in done("rules", country_store, "--timeout", 1e-9)


def test_rules_errors(country_store: Path, tmp_path: Path) -> None:
    for option, said in (
        (("--relation", "likes"), "no relation 'likes'"),
        (("--min-confidence", 1), "--min-confidence must be"),
        (("--top", 0), "--top must be at least 1: got 0"),
        (("-o", tmp_path / "nowhere" / "rules.tsv"), "no directory"),
    ):
        assert said in refused("rules", country_store, *option)
