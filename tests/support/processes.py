"""Processes that a test starts: none outlives its block, and none can make it wait for ever."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(arguments: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """Start a process; however the block ends, it is dead and its pipes are closed afterwards."""
    process = subprocess.Popen(arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()
