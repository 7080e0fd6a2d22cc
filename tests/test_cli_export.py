"""`kg export`."""

import json
from pathlib import Path

import numpy as np
from commands import EX, done, refused


def test_export(country_model: Path, tmp_path: Path) -> None:
    done("export", country_model, tmp_path / "vectors.npz")
    with np.load(tmp_path / "vectors.npz") as arrays:
        assert arrays["table.weight"].shape == (len(arrays["entity_terms"]), 32)
        assert EX + "c0" in arrays["entity_terms"]
    done("export", country_model, tmp_path / "vectors.tsv")
    first = (tmp_path / "vectors.tsv").read_text().splitlines()[0].split("\t")
    assert first[0] == "table.weight" and first[1].startswith(EX) and len(first) == 34
    assert json.loads(done("export", country_model, tmp_path / "vectors.tsv", "--json"))["file"].endswith("vectors.tsv")
    assert ".npz or .tsv" in refused("export", country_model, tmp_path / "vectors.pickle")
    assert "No such file" in refused("export", country_model, tmp_path / "nowhere" / "vectors.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.npz", "vectors.tsv"]
