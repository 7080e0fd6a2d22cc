"""`kg evaluate`."""

import json
from pathlib import Path

import pytest
from commands import EX, done, refused, run


def test_evaluate(country_model: Path) -> None:
    result = run("evaluate", country_model, "--json")
    figures = json.loads(result.stdout)
    names = {"mrr", "mean_rank", "amri", "hits_at_1", "hits_at_3", "hits_at_10", "perplexity", "num_ranks"}
    assert names | {"by_relation"} <= set(figures)
    assert 0 < figures["mrr"] <= 1 and figures["num_ranks"] % 2 == 0
    assert set(figures["by_relation"]) <= {EX + "borders", EX + "memberOf"}
    probability = figures["probability"]
    assert 0 <= probability["brier"] <= 1 and probability["threshold"] == 0.5
    assert sum(each["facts"] for each in probability["bins"]) == pytest.approx(probability["facts"])
    table = done("evaluate", country_model, "--split", "valid")
    assert "MRR" in table and "borders" in table
    assert "probability of being in valid" in table and "Brier score, skill" in table


def test_a_sample_says_within_which_bounds_all_lie(country_model: Path) -> None:
    whole = json.loads(run("evaluate", country_model, "--json").stdout)
    few = json.loads(run("evaluate", country_model, "--sample", 3, "--json").stdout)
    assert few["num_ranks"] == 6 < whole["num_ranks"] and "mrr_within" not in whole
    low, high = few["mrr_within"]
    assert low <= few["mrr"] <= high and low <= whole["mrr"] <= high
    assert "the MRR of all is from" in done("evaluate", country_model, "--sample", 3)
    assert "sample" in refused("evaluate", country_model, "--sample", 0)


def test_evaluate_against_negatives(country_model: Path, tmp_path: Path) -> None:
    lines = [f"{EX}c{i}\t{EX}borders\t{EX}c{(i + 6) % 12}\n" for i in range(12)]
    (tmp_path / "valid_negatives.tsv").write_text("".join(lines[:6]))
    (tmp_path / "test_negatives.tsv").write_text("".join(lines[6:]))
    picture = tmp_path / "reliability.svg"
    result = run("evaluate", country_model, "--negatives", tmp_path, "--plot", picture, "--threshold", 0.2)
    assert "best on valid" in result.stdout and "6 negatives" in result.stdout
    assert "precision, recall at 0.2" in result.stdout
    assert "<svg" in picture.read_text()
    assert "no valid_negatives" in refused("evaluate", country_model, "--negatives", tmp_path / "nowhere", "--json")


def test_evaluate_says_at_once_what_is_wrong(country_model: Path, tmp_path: Path) -> None:
    assert "above 0 and at most 1: got 1.5" in refused("evaluate", country_model, "--threshold", "1.5")
    assert "leave split out" in refused("evaluate", country_model, "--split", "valid", "--negatives", tmp_path)
    assert "ends in .png or .svg" in refused("evaluate", country_model, "--plot", tmp_path / "x.pdf")
    assert "no directory" in refused("evaluate", country_model, "--plot", tmp_path / "nowhere" / "x.png")


def test_evaluate_without_a_calibration(country_model: Path, tmp_path: Path) -> None:
    from kg import bundle as bundles

    trained = bundles.Bundle.load(country_model)
    told = {name: getattr(trained, name) for name in ("dataset", "run", "state", "metrics", "temperature")}
    bundles.save(tmp_path / "bare", weights=trained.scorer.state_dict(), **told)
    result = run("evaluate", tmp_path / "bare", "--json")
    assert json.loads(result.stdout)["probability"] is None
    assert result.stderr == f"{tmp_path / 'bare'} gives no probabilities (kg calibrate {tmp_path / 'bare'})\n"
    assert "Brier" not in done("evaluate", tmp_path / "bare")
    assert "gives no probabilities" in refused("evaluate", tmp_path / "bare", "--plot", tmp_path / "x.png")
