"""Outcomes of programs that were run before, in one SQLite file that any number of processes may share.

An outcome is found again only for the same bytes run by the same executor within the same limits. What a
second run might judge otherwise is not kept: time limits, and failures of our own machinery. A cache that
can't be used costs time, never correctness: it is left alone and said so once.
"""

import contextlib
import logging
import sqlite3
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from xftbench.records import Outcome, VerdictName

_logger = logging.getLogger(__name__)

KEPT: frozenset[VerdictName] = frozenset({"passed", "failed", "compile_error"})
"""Verdicts that depend on the program alone."""
_BUSY_S = 30.0
_SUM_BYTES = 4
_SCHEMA = "CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, outcome BLOB NOT NULL) WITHOUT ROWID"


class OutcomeCache:
    """A context manager; used by one thread."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None is a cache that holds nothing."""
        self._connection: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer at a time
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last ones, no more
            connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            self._give_up(f"{path}: {error}")

    def get(self, key: str) -> Outcome | None:
        """Return what is known under a key."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT outcome FROM outcomes WHERE key = ?", (key,)).fetchone()
            if row is None or row[0] != _sealed(key, bytes(row[0])[_SUM_BYTES:]):
                return None  # changed by a disk; it is written again
            return msgspec.json.decode(row[0][_SUM_BYTES:], type=Outcome)
        except (msgspec.DecodeError, TypeError):
            return None  # of another version; it is written again
        except sqlite3.Error as error:
            self._give_up(str(error))
            return None

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome, if it is of a kind that is kept, and JSON can hold its texts."""
        if self._connection is None or not is_kept(outcome):
            return
        try:
            encoded = msgspec.json.encode(outcome)
        except UnicodeEncodeError:  # half of an emoji; the program is run again, as one that was never run
            return
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?)", (key, _sealed(key, encoded))
            )
        except sqlite3.Error as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        _logger.warning("the cache of outcomes is not used: %s", reason)
        self.close()

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _sealed(key: str, encoded: bytes) -> bytes:
    """Return an outcome behind its checksum."""
    return zlib.crc32(encoded, zlib.crc32(key.encode())).to_bytes(_SUM_BYTES) + encoded


def is_kept(outcome: Outcome) -> bool:
    """Return whether every part of an outcome depends on the program alone."""
    parts = (outcome.verdict, outcome.base, outcome.plus, outcome.strict)
    return all(part is None or part in KEPT for part in parts)
