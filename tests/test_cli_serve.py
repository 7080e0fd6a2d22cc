"""`kg serve`."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from commands import run


def test_the_command_refuses_what_would_let_others_in(country_store: Path, country_model: Path, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("Ann=short")
    for line, message in (
        (("--host", "0.0.0.0"), "lets other machines in: --tokens FILE says who they are"),
        (("--port", "70000"), "port must be from 0 to 65535"),
        (("--tokens", tmp_path / "people.txt"), "a token has at least 16 characters"),
    ):
        ran = run("serve", country_store, "--model", country_model, *line)
        assert ran.code == 1 and message in ran.stderr


@pytest.mark.parametrize("trained", [True, False])
def test_from_the_command_to_the_first_page(country_store: Path, country_model: Path, trained: bool) -> None:
    """At a port that was free, until Ctrl-C; with a model, and with nothing trained."""
    model = ("--model", country_model) if trained else ()
    line = [sys.executable, "-m", "kg", "serve", country_store, *model, "--port", "0", "--top", "20"]
    ran = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ran.stdout
    with ran.stdout:
        try:
            address = ran.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}api/v1/health", timeout=60) as answer:
                assert json.load(answer)["status"] == "ok"
            with urllib.request.urlopen(f"{address}review", timeout=60) as answer:
                assert b"Accept" in answer.read()
            os.kill(ran.pid, signal.SIGINT)
            assert ran.wait(60) in (0, 130)
        finally:
            ran.kill()
