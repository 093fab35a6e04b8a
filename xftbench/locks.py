"""One at a time: a lock between threads and processes, which the kernel lets go of when its holder dies."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file, which is made and stays: if it went, who waits would let in another one.

    Args:
        path: Of the file; its folder must exist.
        on_wait: Called once if another one holds the lock.

    Raises:
        OSError: If the file can't be opened.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough if a process was forked meanwhile
