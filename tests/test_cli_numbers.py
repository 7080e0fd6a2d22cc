"""Every number that a command takes, as far out as it can be written: it works, or it is an error of one line."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from commands import COMMANDS, done, run
from hostile_lines import Ground

from kg.cli.command import VERBS

VALUES: dict[type, tuple[object, ...]] = {
    int: (0, -1, 10**20, -(10**20)),
    float: (0, -1, "inf", "-inf", "nan", "1e400", "1e300"),
}


def numbers() -> list[tuple[str, str, str, type]]:
    """(command, parameter, its option, int or float) of every option that is a number."""
    found = []
    for verb in VERBS:
        name = verb.function.__name__
        hints = get_type_hints(verb.function)
        for param in COMMANDS[name].params:
            kinds = {hints[param.name], *get_args(hints[param.name])} & VALUES.keys()
            found += [(name, param.name, max(param.opts, key=len), kind) for kind in kinds]
    return found


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    ground = Ground(tmp_path_factory.mktemp("numbers"))
    ground.write()
    for name in ("load", "train", "complete"):
        done(name, *ground.lines()[name])
    return ground


@pytest.mark.parametrize(("name", "param", "flag", "kind"), numbers(), ids=lambda value: str(value))
def test_a_number(ground: Ground, tmp_path: Path, name: str, param: str, flag: str, kind: type) -> None:
    for value in VALUES[kind]:
        if not flag.startswith("-") and str(value).startswith("-"):
            continue  # an option, to whoever reads the line
        arguments = _elsewhere(ground.lines()[name], name, tmp_path / str(value))
        if name == "publish" or param == "per_relation":
            arguments = arguments[:1]  # each says how many itself
        if not flag.startswith("-"):
            places = [each.name for each in COMMANDS[name].params if each.param_type_name == "argument"]
            arguments = arguments[: places.index(param)]
        if flag in arguments:
            arguments[arguments.index(flag) + 1] = value
        else:
            arguments += [flag, value] if flag.startswith("-") else [value]
        ran = run(name, *arguments)  # raises what would be a traceback
        if (name, param, value) == ("serve", "port", 0):  # any that is free: it fails of the model, which is not there
            continue
        if ran.code:
            line = ran.stderr.splitlines()[-1]
            assert (
                ran.code == 1 and line.startswith("error: ") and (flag in line or param in line or f"/{value} " in line)
            ), (value, ran)
            assert ran.stderr.count("error: ") == 1


def _elsewhere(arguments: list[object], name: str, folder: Path) -> list[object]:
    """What makes a folder makes this one."""
    place = {"train": 1, "tune": 1, "bench": arguments.index("-o") + 1 if name == "bench" else 0}.get(name)
    return [folder if index == place else argument for index, argument in enumerate(arguments)]


def test_there_are_numbers() -> None:
    assert {("train", "lr", float), ("ask", "top", int)} <= {(name, param, kind) for name, param, _, kind in numbers()}
