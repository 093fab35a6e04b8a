"""The CPU seconds of this process and of all that it starts, for the scripts beside this one."""

import os
import resource
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_ACCOUNTS = Path("/sys/fs/cgroup/cpuacct")


class CpuAccount:
    """Counts while the ``with`` block runs.

    A fresh cpuacct cgroup counts the whole tree, killed processes included. Without one (another kernel, not
    root) it is what `getrusage` knows, which misses killed trees; `is_whole` says so.
    """

    def __init__(self) -> None:
        self._group: Path | None = _ACCOUNTS / f"xftbench-perf-{os.getpid()}"
        self._before = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether killed processes count."""
        return self._group is not None

    def cpu_s(self) -> float:
        """Return the seconds since the block began."""
        return self._total_s() - self._before

    def _total_s(self) -> float:
        if self._group:
            return int((self._group / "cpuacct.usage").read_text()) / 1e9
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def __enter__(self) -> Self:
        assert self._group
        try:
            self._group.mkdir()
            (self._group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            self._group = None
        self._before = self._total_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._group:
            (_ACCOUNTS / "cgroup.procs").write_text(str(os.getpid()))
            with suppress(OSError):
                self._group.rmdir()
