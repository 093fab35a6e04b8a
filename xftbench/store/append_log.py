"""An append-only JSON Lines file of keyed records that survives `kill -9` and a full disk."""

import errno
import logging
import os
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from xftbench import jsonl
from xftbench.errors import StoreError
from xftbench.records import SampleKey

_logger = logging.getLogger(__name__)


class Keyed(Protocol):
    """A record that knows which sample it belongs to."""

    @property
    def key(self) -> SampleKey:
        """Identity within the file; a later record replaces an earlier one."""
        ...


R = TypeVar("R", bound=Keyed)


class AppendLog(Generic[R]):
    """The records of one file, in memory and on disk."""

    def __init__(self, path: Path, record_type: type[R], *, read_only: bool = False) -> None:
        """Open or create the file; a torn last line, left by a killed process, is cut off with a warning.

        With `read_only` the file may be missing, and nothing is written.

        Raises:
            OSError: If the file can't be opened or read.
            StoreError: If a whole line is not a record of this type.
        """
        self.path = path
        self.records: dict[SampleKey, R] = {}
        self._fd: int | None = None
        if read_only:
            if path.exists():
                self._recover(record_type)
            return
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._recover(record_type)
        except BaseException:
            self.close()
            raise

    def _recover(self, record_type: type[R]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data) and self._fd is not None:
            _logger.warning("%s: dropped a torn last line of %d bytes", self.path, len(data) - len(whole))
            os.ftruncate(self._fd, len(whole))
        decoder = msgspec.json.Decoder(record_type)
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            try:
                record = decoder.decode(line)
            except jsonl.BAD_JSON as error:
                raise StoreError(
                    f"{self.path}, line {number}: {error}",
                    hint="something else changed the file; delete that line, and what it held is made again",
                ) from error
            self.records[record.key] = record

    def append(self, record: R) -> None:
        """Add a record; once this returns, only a crash of the whole machine can lose it.

        Raises:
            OSError: If the line did not fit on the disk; no part of it stays in the file.
            StoreError: If the file was opened for reading only.
        """
        if self._fd is None:
            raise StoreError(
                f"{self.path} is of a complete run, which is only read",
                hint="remove its scores.json to have made again what is missing",
            )
        line = jsonl.encode_line(record)
        end = os.fstat(self._fd).st_size
        written = os.write(self._fd, line)
        if written < len(line):  # a full disk takes as much as fits
            os.ftruncate(self._fd, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.records[record.key] = record

    def close(self) -> None:
        """Close the file; appending is over."""
        if self._fd is not None:
            os.close(self._fd)
