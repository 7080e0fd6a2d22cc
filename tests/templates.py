"""The templates of CONTRIBUTING.md: what a page tells people to write is what the tests run."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def template(name: str) -> str:
    """The source under the heading `... a <name>`: its first block of code."""
    section = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (found,) = (part for part in section if re.match(rf"\.\.\. an? {name}\n", part))
    block = re.search(r"```python\n(.*?)```", found, flags=re.DOTALL)
    assert block, f"no code for {name}"
    return block[1]


def module_of(name: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The template as a module that was imported from a file of its own."""
    (folder / f"{module}.py").write_text(template(name), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)
    return __import__(module)
