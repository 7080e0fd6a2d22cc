"""`kg sparql`."""

import csv
import io
import json
from pathlib import Path

from commands import EX, done, run


def test_sparql(country_store: Path) -> None:
    query = "SELECT ?c ?n WHERE { ?c ex:memberOf ex:union0 ; ex:population ?n } ORDER BY ?n LIMIT 2"
    found = json.loads(done("sparql", country_store, query, "--format", "json"))
    assert [row["c"]["value"] for row in found["results"]["bindings"]] == [EX + "c0", EX + "c1"]
    assert found["results"]["bindings"][1]["n"]["datatype"].endswith("integer")
    rows = list(csv.reader(io.StringIO(done("sparql", country_store, query, "--format", "csv"))))
    assert rows == [["c", "n"], [EX + "c0", "0"], [EX + "c1", "1"]]
    assert "ex:c1" in done("sparql", country_store, query)
    asked = run("sparql", country_store, "ASK { ex:c0 ex:borders ex:c1 }")
    assert asked.stdout == "true\n"
    query = "CONSTRUCT { ?a ex:near ?b } WHERE { ?a ex:borders ?b }"
    assert len(done("sparql", country_store, query, "--format", "csv").splitlines()) == 97
