"""The largest amount of memory that generating took: of our process tree, and on the GPU.

Sampled, so a peak shorter than the interval can be missed. A page that several processes share counts once
(proportional set size). The programs that are executed meanwhile are left out: they are not the model's.
"""

import os
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_INTERVAL_S = 1.0
_EXECUTION = b"xftbench.execution"
"""In the command line of every process that executes programs."""


class MemoryWatch:
    """Watches from a thread while the ``with`` block runs."""

    def __init__(self, interval_s: float = _INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="xftbench-memory", daemon=True)
        self._nvidia_smi = shutil.which("nvidia-smi")
        self.peak_bytes: int | None = None
        """Of this process and its children; None if the kernel does not say."""
        self.peak_gpu_bytes: int | None = None
        """On all GPUs together; None without one."""

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._end.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        pids = list(_tree(os.getpid()))
        sizes = [size for pid in pids if (size := _proportional_size(pid)) is not None]
        if sizes:
            self.peak_bytes = max(self.peak_bytes or 0, sum(sizes))
        if self._nvidia_smi and (used := _gpu_bytes(self._nvidia_smi, set(pids))) is not None:
            self.peak_gpu_bytes = max(self.peak_gpu_bytes or 0, used)


def _tree(root: int) -> Iterator[int]:
    """Yield a process and its descendants, except those that execute programs."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir("/proc") if Path("/proc/self").exists() else ():
        with suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything, so what follows its last parenthesis is read.
            fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
            children[int(fields[1])].append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):
            if pid != root and _EXECUTION in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            yield pid
            waiting += children[pid]


def _proportional_size(pid: int) -> int | None:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    return None


def _gpu_bytes(nvidia_smi: str, pids: set[int]) -> int | None:
    command = [nvidia_smi, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    used = None
    for line in lines.splitlines():
        pid, _, megabytes = line.partition(",")
        if pid.strip().isdigit() and int(pid) in pids and megabytes.strip().isdigit():
            used = (used or 0) + (int(megabytes) << 20)
    return used
