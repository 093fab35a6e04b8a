"""The text of a samples file, plain or gzipped."""

from pathlib import Path

from xftbench.benchmarks.datafiles import unpacked
from xftbench.errors import DataFileError

_ZIP = b"PK\x03\x04"
_WANTED = "samples are JSON or JSON Lines, plain or gzipped; see docs/scoring.md"


def read_text(path: Path) -> str:
    """Return a plain or gzipped file's text.

    Raises:
        DataFileError: If it can't be read, or is not UTF-8.
    """
    data = unpacked(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "it is a zip archive: unpack it first" if data.startswith(_ZIP) else _WANTED
        raise DataFileError(f"{path}, line {line}: not UTF-8 text: {error.reason}", hint=hint) from error
