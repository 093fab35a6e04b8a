"""The standard streams, as a command that runs for hours wants them.

Imports nothing heavy: both command lines start with it.
"""

import contextlib
import io
import os
import sys
from typing import Any


class _Unfailing(io.FileIO):
    """A file that forgets what can't be written."""

    def write(self, data: Any) -> int:
        """Write bytes."""
        with contextlib.suppress(OSError):
            return super().write(data) or 0
        return len(data)


def secure() -> None:
    """Have messages never end the work, and no file of ours take the number of a stream that is closed.

    A full disk, or a reader that went away, behind stderr loses the messages. stdout is no such stream: what
    is written there is the result.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    raw = _Unfailing(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(sys.stderr, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
