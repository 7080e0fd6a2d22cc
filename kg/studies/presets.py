"""Presets: Python files with functions that return a Run, named as FILE:name."""

import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from kg.errors import UserError
from kg.training.algorithm import TrainingAlgorithm
from kg.training.run import Run


def preset(reference: str) -> Run:
    """The Run that FILE:name gives, as in experiments/presets/umls.py:complex.

    UserError in one line where there is no such file or function, the function gives no Run, or the file's own code
    raises: then with the file's line.
    """
    file, name = _split(reference)
    functions = _functions(file)
    if not name.isidentifier():
        raise UserError(f"{reference}: name one preset, as in {file}:{next(iter(functions), 'name')}")
    return _run(file, name, functions)


def presets(*references: str) -> dict[str, Run]:
    """The Runs that FILE:a,b,c and others give, by name, in this order; FILE alone: all its public functions.

    UserError as for `preset`; or a name twice.
    """
    found: dict[str, Run] = {}
    for reference in references:
        whole = ":" not in reference or Path(reference).is_file()  # a name of a file may hold a colon
        file, names = (Path(reference), None) if whole else _split(reference)
        functions = _functions(file)
        if names is None and not functions:
            raise UserError(f"{file} has no preset: it defines no public function")
        for name in functions if names is None else names.split(","):
            if name in found:
                raise UserError(f"{reference}: there is a preset {name} already, and results are told apart by name")
            found[name] = _run(file, name, functions)
    return found


def written(run: Run, name: str, about: str) -> str:
    """The source of a preset file: `name` returns this run. about: what its docstring says."""
    imports: dict[str, set[str]] = {_home(Run): {"Run"}}
    for part in _classes(run):
        imports.setdefault(_home(part), set()).add(part.__name__)
    lines = [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(imports.items())]
    theirs, ours = ([line for line in lines if line.startswith("from kg.") == own] for own in (False, True))
    top = "\n\n".join("\n".join(block) for block in (["from functools import partial"], theirs, ours) if block)
    return f'''"""{about}."""\n\n{top}\n\n\ndef {name}() -> Run:\n    return {_laid_out(run, "    ")}\n'''


def _given(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not what they are without a word."""
    found = {}
    for each in sorted(fields(value), key=lambda each: bool(each.kw_only)):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if getattr(value, each.name) != default:
            found[each.name] = getattr(value, each.name)
    return found


def _laid_out(value: Any, indent: str) -> str:
    """Of a run or its algorithm: an argument a line."""
    if not isinstance(value, Run | TrainingAlgorithm) or not _given(value):
        return _code(value)
    inner = f"{indent}    "
    lines = "".join(f"{inner}{key}={_laid_out(each, inner)},\n" for key, each in _given(value).items())
    return f"{type(value).__name__}(\n{lines}{indent})"


def _code(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_code, value))}]"
    if isinstance(value, partial):
        arguments = "".join(f", {key}={_code(each)}" for key, each in value.keywords.items())
        return f"partial({value.func.__name__}{arguments})"
    if is_dataclass(value):
        return f"{type(value).__name__}({', '.join(f'{key}={_code(each)}' for key, each in _given(value).items())})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _classes(value: Any) -> Iterator[Any]:
    """The classes that the code of a value names."""
    if isinstance(value, list):
        for each in value:
            yield from _classes(each)
    elif isinstance(value, partial):
        yield value.func
        for each in value.keywords.values():
            yield from _classes(each)
    elif is_dataclass(value):
        yield type(value)
        for each in _given(value).values():
            yield from _classes(each)


def _home(part: type) -> str:
    """The module to import it from: the package, where that gives it too, as torch.optim does."""
    package = part.__module__.rpartition(".")[0]
    return package if vars(sys.modules[package]).get(part.__name__) is part else part.__module__


def _split(reference: str) -> tuple[Path, str]:
    file, colon, names = reference.rpartition(":")
    if colon:
        return Path(file), names
    raise UserError(f"{reference}: expected FILE:name, a Python file and a function in it that returns a Run")


def _functions(file: Path) -> dict[str, Callable[..., object]]:
    """The public functions that the file itself defines, in its order."""
    if not file.is_file():
        raise UserError(f"{file}: no such file of presets")
    module = ModuleType(f"kg_presets_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses of the file look themselves up there
    try:
        # Compiled here, not imported: Python's cache would take an edit within the same second for no edit.
        exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
    except Exception as error:
        raise _failed(file, error) from error
    finally:
        del sys.modules[module.__name__]
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def _run(file: Path, name: str, functions: dict[str, Callable[..., object]]) -> Run:
    if name not in functions:
        raise UserError(f"{file} has no preset {name!r}: it has {', '.join(functions) or 'none'}")
    try:
        made = functions[name]()
    except Exception as error:
        raise _failed(file, error) from error
    if not isinstance(made, Run):
        raise UserError(f"{file}:{name} is no preset: it returns a {type(made).__name__}, not a Run")
    return made


def _failed(file: Path, error: Exception) -> UserError:
    """One line: where in the file, and what."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = f"{file}:{line}" if line else str(file)
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return UserError(f"{place}: {kind}{what}")
