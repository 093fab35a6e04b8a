"""The directory on the machine's own disk that a worker without namespaces keeps its candidates in."""

import fcntl
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "xftbench-scratch-"
_YOUNG_S = 60.0  # one that was made just now may not be locked yet


class Scratch:
    """A directory that goes with its owner: if that is killed, the next one to be made removes it.

    Its owner holds a lock on it, which the kernel lets go of at its end.
    """

    def __init__(self) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        self.path = tempfile.mkdtemp(prefix=_PREFIX)
        self._fd = _lock(self.path)

    def remove(self) -> None:
        """Remove it, whatever is in it."""
        _remove(self.path)
        os.close(self._fd)


def _lock(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _remove(path: str) -> None:
    # Not shutil.rmtree: a candidate may have nested it deeper than that can follow.
    subprocess.run(["rm", "-rf", "--", path], check=False)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or its owner lives, or somebody else removes it
            if path.stat().st_uid == os.geteuid() and time.time() - path.stat().st_mtime > _YOUNG_S:
                os.close(_lock(str(path)))
                _remove(str(path))
