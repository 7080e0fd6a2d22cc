"""Files of facts, and what is wrong with them."""

import bz2
import gzip
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import CanonicalizationAlgorithm as Canonical
from pyoxigraph import Dataset, NamedNode, Quad

from kg.errors import UserError
from kg.progress import Progress
from kg.store.reading import read

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

E = "http://e/"
A, B, P = NamedNode(E + "a"), NamedNode(E + "b"), NamedNode(E + "p")
FACT = Quad(A, P, B)
LINE = b"<http://e/a> <http://e/p> <http://e/b> .\n"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}
RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">\n%s\n</rdf:RDF>'
MIB = 1 << 20


class Notes(Progress):
    """Keeps what it is told to tell."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


Make = Callable[[str, bytes | str], Path]  # a file of this name with this content


def error(path: Path, **options: Any) -> str:
    """The message of reading it, less the folder; it is one line and names the file."""
    with pytest.raises(UserError) as caught:
        list(read(path, **options))
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 1000
    return message.removeprefix(f"{path.parent}{os.sep}")


def same(first: list[Quad], second: list[Quad]) -> bool:
    """The same facts, whatever the blank nodes are called."""
    datasets = [Dataset(quads) for quads in (first, second)]
    for dataset in datasets:
        dataset.canonicalize(Canonical.RDFC_1_0)
    return datasets[0] == datasets[1]
