"""Models whose files were changed, their checksums too: what someone else may have written."""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from kg import generations
from kg.manifest import write_manifest


def replaced(model: Path, name: str, content: bytes) -> None:
    """Another content of a file of the published generation; its checksum is right again."""
    folder = generations.current(model)
    (folder / name).unlink()  # a generation before it may share the file
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").unlink()
    write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("files", "sha256")})


def with_arrays(model: Path, name: str, **arrays: Tensor) -> None:
    """These arrays of a file in the place of its own; dots in their names are __."""
    file = generations.current(model) / name
    held = {key: value.clone() for key, value in load_file(file).items()}
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    held |= {key.replace("__", "."): value.contiguous() for key, value in arrays.items()}
    changed = file.with_name("changed")
    save_file(held, changed, metadata)
    content = changed.read_bytes()
    changed.unlink()
    replaced(model, name, content)


def with_values(model: Path, name: str, **values: Any) -> None:
    """These values of a JSON object in the place of its own."""
    held = json.loads((generations.current(model) / name).read_text(encoding="utf-8"))
    replaced(model, name, json.dumps({**held, **values}).encode())
