"""The weaker jail, for kernels without user namespaces: the same limits and filter, but no world of its own.

What is missing: a pid namespace (a candidate sees other processes in /proc unless Landlock is there), a size
limit of the scratch directory as a whole, and the certainty that killing one process kills all.
"""

# ruff: noqa: PTH - in the jail pathlib would be one more import
import os
import shutil
import signal
import time
from typing import Any

from xftbench.execution.inside import landlock, linux, seccomp
from xftbench.execution.inside.jail import limit_candidate

_FIRST_UID = 0x40000000  # plus our pid: a user that owns nothing and that no other worker has
_READ_EVERYTHING = 1 << 2  # CAP_DAC_READ_SEARCH
_KILL_S = 5.0
_SPARE_TASKS = 512


class WeakJail:
    """Keeps candidates by limits, a system call filter and, where the kernel has it, Landlock."""

    namespaces = 0

    def __init__(self, config: dict[str, Any]) -> None:
        self._limits = dict(config["limits"])
        self._scratch: str = config["scratch"]
        self._user = _FIRST_UID + os.getpid() if os.geteuid() == 0 else None
        if self._user:
            os.chmod(self._scratch, 0o711)
        else:
            self._limits["processes"] += _tasks_of(os.getuid()) + _SPARE_TASKS
        linux.become_subreaper()
        self._rules = self._make_rules(config["view"])
        self.kept_fds = [self._rules] if self._rules >= 0 else []
        self._job = 0

    def _make_rules(self, view: dict[str, Any]) -> int:
        readable = [source for source, _ in view["directories"]] + list(view["files"])
        devices = [path for path in view["files"] if path.startswith("/dev/")]
        try:
            return landlock.ruleset(readable, [self._scratch, *devices], view["masks"])
        except OSError:
            return -1

    def info(self) -> dict[str, Any]:
        """Return what is known about the layers."""
        user = "self" if self._user is None else "throw-away"
        return {"isolation": "rlimits", "user": user, "landlock": self._rules >= 0}

    def library_paths(self, view: dict[str, Any]) -> list[str]:
        """Return what goes on the module search path: nothing, third-party packages are not let in here."""
        return []

    def prepare(self) -> None:
        """Before the fork of a candidate: make its directory."""
        self._job += 1
        os.mkdir(self._directory(), 0o700)
        if self._user:
            os.chown(self._directory(), self._user, self._user)

    def _directory(self) -> str:
        return f"{self._scratch}/{self._job}"

    def confine_candidate(self) -> None:
        """In the child: the limits, another user, and the filters last."""
        os.chdir(self._directory())
        os.environ.update(HOME=self._directory(), TMPDIR=self._directory())
        limit_candidate(self._limits)
        self._renounce()

    def confine_checker(self) -> None:
        """In the checker's process: the same without the limits."""
        self._renounce()

    def _renounce(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        keep = 0
        if self._user:
            # Under Landlock reading everything means reading what the rules allow, even below a closed /root.
            keep = _READ_EVERYTHING if self._rules >= 0 else 0
            linux.become_user(self._user, keep_capabilities=bool(keep))
        linux.drop_capabilities(keep)
        linux.set_dumpable(False)
        linux.die_with_parent()
        if self._rules >= 0:
            landlock.restrict_self(self._rules)
            os.close(self._rules)
        linux.install_filter(seccomp.for_candidate(os.getpid()))

    def clean_up(self, spared: set[int]) -> None:
        """Kill all descendants but `spared` and remove what the candidate wrote.

        Raises:
            OSError: If some won't die (EBUSY).
        """
        deadline = time.monotonic() + _KILL_S
        while orphans := _children(os.getpid()) - spared:
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if time.monotonic() > deadline:
                raise OSError(16, "descendants of a candidate do not die")
        shutil.rmtree(self._directory(), ignore_errors=True)


def _children(parent: int) -> set[int]:
    try:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return {int(pid) for pid in file.read().split()}
    except FileNotFoundError:  # the kernel was built without that file
        return {pid for pid, fields in _processes() if int(fields[1]) == parent}


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    found.append((int(name), file.read().rpartition(")")[2].split()))
            except OSError:
                continue  # it has ended
    return found


def _tasks_of(user: int) -> int:
    count = 0
    for pid, fields in _processes():
        try:
            if os.stat(f"/proc/{pid}").st_uid == user:
                count += int(fields[17])
        except OSError:
            continue
    return count
