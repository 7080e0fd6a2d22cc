"""Bad lines, put aside so that the rest can be loaded."""

from pathlib import Path
from types import TracebackType

from kg.files import failing_as


class Quarantine:
    """Where the bad lines of a load go: `line number<TAB>reason<TAB>the line`, under a `# path` for each file with any.

    Only a syntax of one fact a line has lines to leave out: N-Triples, N-Quads, TSV, CSV. In the others an error stays
    an error. A row of CSV over several lines is written as one, with a backslash and an n for each line end in it.
    Lines are written out as their block is read, so a load that fails later leaves what it found. `count` is how many
    there are so far. UserError: the path cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.count = 0
        self._source: Path | None = None
        with failing_as(self.path):
            self._file = self.path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n")

    def add(self, source: Path, line: int, reason: str, text: bytes) -> None:
        """Note one bad line of a file."""
        row = text.decode("utf-8", errors="replace").removesuffix("\r").replace("\r", "\\r").replace("\n", "\\n")
        with failing_as(self.path):
            if source != self._source:
                self._file.write(f"# {source}\n")
                self._source = source
            self._file.write(f"{line}\t{reason}\t{row}\n")
        self.count += 1

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        with failing_as(self.path):
            self._file.flush()

    def close(self) -> None:
        """Add no more."""
        with failing_as(self.path):
            self._file.close()

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
