"""JSON Lines files: encode a line, read a file strictly, replace one atomically."""

import glob
import gzip
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from xftbench.errors import DataFileError

T = TypeVar("T")


BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding raises for bytes that are no such record, or no text at all."""


def encode_line(record: object) -> bytes:
    """Return a record as one line of JSON, newline included.

    Models emit lone surrogates (half of a split emoji); JSON can't hold them raw, so they travel as
    backslash escapes inside the text.
    """
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_surrogates(msgspec.to_builtins(record))) + b"\n"


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_surrogates(item) for item in value]
    return value


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) for each non-blank line of a plain or gzipped file.

    Raises:
        DataFileError: If the file is missing, unreadable or a cut-off gzip stream.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError) as error:  # EOFError: gzip's word for a truncated stream
        raise DataFileError(f"can't read {path}: {error}") from error


def read(path: Path, record_type: type[T]) -> list[T]:
    """Return every record of a file.

    Raises:
        DataFileError: If a line is not a record of that type; the message names line and field.
    """
    return _decoded(read_lines(path), record_type, path)


def decode(data: bytes, record_type: type[T], source: str) -> list[T]:
    """Return every record of a file's content; `source` names it in messages.

    Raises:
        DataFileError: If a line is not a record of that type; the message names line and field.
    """
    lines = enumerate(data.splitlines(), start=1)
    return _decoded(((number, line) for number, line in lines if line.strip()), record_type, source)


def _decoded(lines: Iterable[tuple[int, bytes]], record_type: type[T], source: object) -> list[T]:
    decoder = msgspec.json.Decoder(record_type)
    records = []
    for number, line in lines:
        try:
            records.append(decoder.decode(line))
        except BAD_JSON as error:
            raise DataFileError(f"{source}, line {number}: {error}") from error
    return records


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader finds the old file or the whole new one, never a part.

    What killed processes left of earlier attempts is removed.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        owner = leftover.name.split(".")[-2]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            leftover.unlink(missing_ok=True)
    # Two threads of one process may write the same file, too.
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, records: Iterable[object]) -> None:
    """Replace a JSON Lines file atomically."""
    write_atomically(path, b"".join(encode_line(record) for record in records))
