"""Commands as the tests run them: in this process, where to start another would take longer than all the rest."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from typer.main import get_command
from typer.testing import CliRunner

from kg.cli.app import app

ROOT = Path(__file__).parents[1]
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]  # as `kg --help` lists them
EX = "http://example.org/"
PREFIXES = """
@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
ex:borders a owl:SymmetricProperty ; rdfs:label "borders" .
"""
PRESET = """
from functools import partial
from torch.optim import Adam
from kg.models.distmult import DistMult
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run

def small():
    return Run(partial(DistMult, dim=4), GradientDescent(partial(Adam, lr=0.01), batch_size=64, epochs=2), seed=7)
"""


class Ran(NamedTuple):
    code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Ran:
    """A command in this process. What is no error of the user is raised here."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="kg")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def process(*arguments: object, **environment: str) -> Ran:
    """A command as a shell starts it: where signals, pipes, encodings or exit codes are the point."""
    command = [sys.executable, "-m", "kg", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, timeout=300, env=os.environ | environment)
    return Ran(result.returncode, result.stdout.decode(), result.stderr.decode())


def done(*arguments: object) -> str:
    """What a command that works prints."""
    ran = run(*arguments)
    assert ran.code == 0, ran.stderr
    return ran.stdout


def refused(*arguments: object) -> str:
    """The one line of a user's error, after what was said of facts that do not train."""
    ran = run(*arguments)
    assert ran.code == 1 and ran.stdout == "", ran
    lines = [line for line in ran.stderr.strip().splitlines() if "RDFS, OWL and SHACL do not train" not in line]
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]
