"""What /openapi.json says of the API is so: for requests that it describes, and for ones that it rules out."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from kg.serve import jobs
from kg.serve.app import create_app
from kg.serve.safety import Safety
from kg.serve.service import Service

schemathesis = pytest.importorskip("schemathesis")
EVERY = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def test_what_is_described_is_what_is_answered(
    country_store: Path, country_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, content type and JSON of each answer are described, what is no request is refused, and nothing is a 500.
    That a request can be of names that nobody knows is not to be told from the description."""
    monkeypatch.setattr(jobs, "_TARGETS", dict.fromkeys(("recalibrate", "retrain"), "job_targets:wrong"))
    shutil.copytree(country_store, tmp_path / "graph.kg")
    app = create_app(
        Service(country_model, tmp_path / "graph.kg", top=20), Safety(frozenset({"localhost", "testserver"}), "Ann")
    )
    unknown_names = [schemathesis.checks.positive_data_acceptance]
    asked = set[str]()
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        operation = found.ok()

        @EVERY
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            case.call_and_validate(excluded_checks=unknown_names)

        one()
        asked.add(operation.label)
    assert {"GET /api/v1/ask", "POST /api/v1/decisions", "POST /api/v1/jobs", "POST /api/v1/jobs/{id}/stop"} <= asked
