"""An extra layer where it can be had: a memory and process limit around all that a worker's candidates start.

Resource limits count each process for itself; a control group counts them together. Version 1 hierarchies and
a delegated version 2 are used if this process may make a group below its own; otherwise there is none, and
`doctor` says so.
"""

import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal

from xftbench.records import Limits

_SPARE_BYTES = 64 << 20  # the zygote, and the kernel's own bookkeeping
_SPARE_PROCESSES = 8
_NEAR_BYTES = 4 << 20
"""What fails to be charged may have been a huge page, or what processors hold in stock."""
_PREFIX = "xftbench-"
_numbers = count()


class Group:
    """The control group of one worker, spread over one directory (version 2) or several (version 1)."""

    def __init__(self, parents: dict[str, Path], limits: Limits) -> None:
        name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self._parents = sorted(set(parents.values()))
        self._directories: list[Path] = []
        self._events = -1
        self._memory = parents.get("memory", Path()) / name
        self._is_v2 = len(self._parents) == 1 and (self._parents[0] / "cgroup.controllers").exists()
        try:
            for parent in self._parents:
                (parent / name).mkdir()
                self._directories.append(parent / name)
            for controller, parent in parents.items():
                self._limit(controller, parent / name, limits)
        except OSError:
            self.remove()
            raise
        self._kills_seen = self._oom_kills()

    def _limit(self, controller: str, directory: Path, limits: Limits) -> None:
        memory = str(limits.memory_bytes + _SPARE_BYTES)
        if controller == "pids":
            (directory / "pids.max").write_text(str(limits.processes + _SPARE_PROCESSES))
            return
        (directory / ("memory.max" if self._is_v2 else "memory.limit_in_bytes")).write_text(memory)
        with suppress(OSError):  # swap is not always accounted for
            name, value = ("memory.swap.max", "0") if self._is_v2 else ("memory.memsw.limit_in_bytes", memory)
            (directory / name).write_text(value)

    def add(self, pid: int) -> None:
        """Move a process in; its later children follow."""
        for directory in self._directories:
            (directory / "cgroup.procs").write_text(str(pid))

    def release(self, pid: int) -> None:
        """Move a process out again."""
        for parent in self._parents:
            (parent / "cgroup.procs").write_text(str(pid))

    def oom_kill(self) -> Literal["", "limit", "machine"]:
        """Return for whose want of memory the kernel has killed a process since the last call, or "".

        Its own if the group was ever at its limit; else that of the machine, or of a group that we are in.
        """
        before, self._kills_seen = self._kills_seen, self._oom_kills()
        if self._kills_seen <= before:
            return ""
        return "limit" if self._was_at_limit() else "machine"

    def _oom_kills(self) -> int:
        try:
            if self._events < 0:  # kept open: it is asked after every program
                name = "memory.events" if self._is_v2 else "memory.oom_control"
                self._events = os.open(self._memory / name, os.O_RDONLY | os.O_CLOEXEC)
            return _count(os.pread(self._events, 4096, 0), b"oom_kill")
        except OSError:
            return 0

    def _was_at_limit(self) -> bool:
        if self._is_v2:
            return _count((self._memory / "memory.events").read_bytes(), b"oom") > 0
        # Not `memory.failcnt`: newer kernels don't count all failures there.
        most, limit = (
            int((self._memory / f"memory.{name}_in_bytes").read_text()) for name in ("max_usage", "limit")
        )
        return most > limit - _NEAR_BYTES

    def remove(self) -> None:
        """Remove the group; its processes are dead by then."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        for directory in self._directories:
            with suppress(OSError):
                directory.rmdir()


def oom_kills_of_machine() -> int:
    """Return how many processes the kernel has killed for want of any memory; 0 if it does not say."""
    try:
        return _count(Path("/proc/vmstat").read_bytes(), b"oom_kill")
    except OSError:
        return 0


def _count(text: bytes, name: bytes) -> int:
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + b" "))


def create(limits: Limits) -> Group | None:
    """Return a new group, or None where this process may not make one."""
    parents = _writable_parents()
    if "memory" not in parents:
        return None
    for parent in set(parents.values()):
        _remove_stale(parent)
    try:
        return Group(parents, limits)
    except OSError:
        return None


def _remove_stale(parent: Path) -> None:
    """Remove groups of harnesses that were killed."""
    for directory in parent.glob(f"{_PREFIX}*-*"):
        pid = directory.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                directory.rmdir()


def _writable_parents() -> dict[str, Path]:
    """Return our own group's directory for each controller that we can give limits to."""
    found: dict[str, Path] = {}
    with suppress(OSError, ValueError):
        mounts = _mounts()
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            for controller in ("memory", "pids"):
                if controller in names.split(",") and controller in mounts:
                    found[controller] = mounts[controller] / path.lstrip("/")
            if not names and "v2" in mounts and "memory" not in found:
                found |= _delegated(mounts["v2"] / path.lstrip("/"))
    return {name: path for name, path in found.items() if os.access(path, os.W_OK)}


def _delegated(own: Path) -> dict[str, Path]:
    """Return the version 2 controllers that children of our group get; none of ours is switched on here."""
    enabled = (own / "cgroup.subtree_control").read_text().split()
    return {name: own for name in ("memory", "pids") if name in enabled}


def _mounts() -> dict[str, Path]:
    """Return where the hierarchies are mounted: by controller name, and "v2"."""
    found = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found["v2"] = Path(where)
        elif kind == "cgroup":
            found |= {name: Path(where) for name in ("memory", "pids") if name in options.split(",")}
    return found
