"""`kg explain`."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from commands import EX, done, refused, run


def test_explain(country_store: Path, country_model: Path, tmp_path: Path) -> None:
    explained = run("explain", country_model, "Country 3", "borders", "Country 4", "--svg", tmp_path / "a [b].svg")
    assert re.search(r"\npaths\n    \S.* => borders\(X,Y\)  0\.\d\d  \(\d+/\d+\)\n        \S.*\n", explained.stdout)
    assert explained.stdout.startswith("(Country 3, borders, Country 4): ") and "\nagainst it\n" in explained.stdout
    assert "a [b].svg" in explained.stderr and f"the store {country_store}" in explained.stderr.replace("\n", "")
    assert ElementTree.parse(tmp_path / "a [b].svg").getroot().tag.endswith("svg")
    found = json.loads(done("explain", country_model, f"(<{EX}c3>, ex:borders, Country 4)", "--json", "--top", 2))
    assert 1 <= len(found["paths"]) <= 2 and found["paths"][0]["rule"] in explained.stdout
    given = [EX + "c3", EX + "borders", EX + "c4"]
    assert [found["subject"], found["predicate"], found["object"]] == given
    assert all({edge[0], edge[2]} != {EX + "c3", EX + "c4"} for path in found["paths"] for edge in path["facts"])
    wrong = run("explain", country_model, "(Country 3, memberOf, Country 3)")
    assert wrong.code == 0 and "paths\n    none found\n" in wrong.stdout
    assert "without '?'" in refused("explain", country_model, "(Country 3, memberOf, ?)")
    assert "no entity 'Country'" in refused("explain", country_model, "(Country, memberOf, union0)")
    assert "got 2 of them" in refused("explain", country_model, "Country 3", "memberOf")
    assert "--top must be at least 1" in refused("explain", country_model, "(Country 3, memberOf, union0)", "--top", 0)
