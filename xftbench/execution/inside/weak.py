"""The weaker jail, for kernels without user namespaces: the same limits and filter, but no world of its own.

What is missing: a pid namespace (a candidate sees other processes in /proc unless Landlock is there), a size
limit of the scratch directory as a whole, and the certainty that killing one process kills all.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH109, PTH112, PTH114, PTH116, PTH119, PTH123, PTH208, PTH211
# pathlib would be one more import in every jail

import contextlib
import errno
import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from xftbench.execution.inside import landlock, linux, native, seccomp
from xftbench.execution.inside.jail import limit_candidate

_FIRST_UID = 0x40000000  # plus twice our pid: users that own nothing and that no other worker has
_READ_EVERYTHING = 1 << 2  # CAP_DAC_READ_SEARCH
_TO_CHANGE_USER = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
}  # fmt: skip
"""What it takes to give programs to another user, to kill them then, and to remove what they wrote."""
_KILL_S = 5.0
_LOOKED_FOR = ["/usr/share/zoneinfo", "/etc/mime.types"]
"""What libraries do without if it is not there, but not if it can't be read."""
_SPARE_TASKS = 512


class WeakJail:
    """Keeps candidates by limits, a system call filter and, where the kernel has it, Landlock."""

    namespaces = 0

    def __init__(self, config: dict[str, Any]) -> None:
        self._limits = dict(config["limits"])
        self._scratch: str = config["scratch"]
        self._user = _throw_away_user()
        self._jobs = f"{self._scratch}/jobs"
        os.mkdir(self._jobs, 0o711)
        if self._user:
            os.chmod(self._scratch, 0o711)
        else:
            self._limits["processes"] += _tasks_of(os.getuid()) + _SPARE_TASKS
        linux.become_subreaper()
        self._devices = [path for path in config["view"]["files"] if path.startswith("/dev/")]
        self._site = self._link_libraries(config["view"])
        self._shared = ["/dev/shm"] if self._user and os.path.isdir("/dev/shm") else []
        # A referee has a directory of its own in the scratch, with what is right in it.
        self._rules = self._make_rules(config["view"], [self._site, self._jobs])
        self._referee_rules = self._make_rules(config["view"], [self._scratch])
        self.kept_fds = [self._rules, self._referee_rules] if self._rules >= 0 else []
        # Under Landlock reading everything means reading what the rules allow, even below a closed /root.
        kept = _READ_EVERYTHING & linux.effective_capabilities()  # the root of a container may lack it
        self.kept_capabilities = kept if self._user and self._rules >= 0 else 0
        if self._user:
            sources = [source for source, _ in config["view"]["directories"] if not self.kept_capabilities]
            self._check_reach(self._user, [self._jobs, *sources])
        self._job = 0

    def _check_reach(self, user: int, paths: list[str]) -> None:
        """See that candidates can enter what they need, or a right program would seem wrong.

        Raises:
            OSError: If they can't.
        """
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                linux.become_user(user)
                closed = [path for path in paths if not os.access(path, os.X_OK)]
                os.write(writer, os.fsencode("".join(closed[:1])))
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as file:
            first = os.fsdecode(file.read())
        os.waitpid(child, 0)
        if first:
            raise OSError(errno.EACCES, f"programs run as another user, to whom {first} is closed")

    def _link_libraries(self, view: dict[str, Any]) -> str:
        """Return a directory of links to the allowed packages; the one that they are in holds others too."""
        site = f"{self._scratch}/site"
        os.mkdir(site)
        for source, path in view["directories"]:
            if path == view["library_root"]:
                return str(source)  # all of it
            if path.startswith(view["library_root"] + "/"):
                os.symlink(source, f"{site}/{os.path.basename(path)}")
        return site

    def _make_rules(self, view: dict[str, Any], own: list[str]) -> int:
        readable = [source for source, _ in view["directories"]]
        readable += [*view["files"], *own, *self._shared, *_LOOKED_FOR]
        if view["asks_proc"]:
            # Of other processes no more than their names: Landlock forbids to look into them.
            readable += ["/proc", "/sys/fs/cgroup"]
        try:
            return landlock.for_reading(readable, view["masks"])
        except OSError:
            return -1

    def info(self) -> dict[str, Any]:
        """Return what is known about the layers."""
        user = "self" if self._user is None else "throw-away"
        return {"isolation": "rlimits", "user": user, "landlock": self._rules >= 0}

    def settle(self, view: dict[str, Any]) -> None:
        """Nothing: there is no /proc of our own to be had."""

    def library_paths(self, view: dict[str, Any]) -> list[str]:
        """Return what goes on the module search path behind the standard library."""
        return [self._site]

    def open_scratch(self) -> None:
        """Give this process, which is none of a candidate's, a directory of its own."""
        own = f"{self._scratch}/own-{os.getpid()}"
        os.mkdir(own, 0o700)
        if self._user:
            os.chown(own, self._user + 1, self._user + 1)
        _live_in(own)

    def confine_referee(self) -> None:
        """In the process that forked a candidate from itself, and has a directory of its own."""
        limit_candidate(self._limits)
        self._rules, self._referee_rules = self._referee_rules, self._rules
        self._renounce([os.getcwd(), *self._devices], self._user and self._user + 1)

    def prepare(self) -> None:
        """Before the fork of a candidate: make its directory."""
        self._job += 1
        os.mkdir(self._directory(), 0o700)
        if self._user:
            os.chown(self._directory(), self._user, self._user)

    def _directory(self) -> str:
        return f"{self._jobs}/{self._job}"

    def confine_candidate(self) -> None:
        """In the child: the limits, another user, and the filters last."""
        _live_in(self._directory())
        limit_candidate(self._limits)
        self._renounce([self._directory(), *self._devices, *self._shared], self._user)

    def enter_native(self) -> str:
        """In the supervisor of a program in another language; only its commands are confined."""
        linux.die_with_parent()
        linux.set_dumpable(False)
        os.chdir(self._directory())
        return self._directory()

    def confine_step(self) -> None:
        """In a command's process, before it starts."""
        native.limit_all(self._limits)
        self._renounce([self._directory(), *self._devices, *self._shared], self._user, spawns=True)

    def start_step(self, step: dict[str, Any], work: str, ends: tuple[int, int]) -> int:
        """Start a command of the supervisor's, which is not confined itself."""
        return native.fork(step, work, ends, self.confine_step)

    def kill_step(self, child: int) -> int:
        """Kill a command's process group; return how the command itself ended."""
        if self._user:
            self._kill_user(self._user)
        return native.kill_group(child)

    def confine_checker(self) -> None:
        """In the checker's process: the same without the limits."""
        self._renounce(self._devices, self._user and self._user + 1)

    def _renounce(self, changeable: list[str], user: int | None, *, spawns: bool = False) -> None:
        keep = self.kept_capabilities
        if user:
            linux.become_user(user, keep_capabilities=bool(keep))
        linux.drop_capabilities(keep)
        if spawns and keep:
            linux.hand_on_capabilities(keep)
        linux.set_dumpable(False)
        linux.die_with_parent()
        if self._rules >= 0:
            # Only its own directory: not those of later jobs, nor the links to the libraries.
            changing = landlock.for_changing(changeable)
            for rules in (changing, self._rules):
                landlock.restrict_self(rules)
            for fd in (changing, self._rules, self._referee_rules):
                os.close(fd)
        # A user who owns nothing else may set modes, and signal whom he can.
        linux.install_filter(seccomp.for_candidate(None if user else os.getpid()))

    def clean_up(self, spared: set[int]) -> None:
        """Kill all descendants but `spared` and remove what the candidate wrote.

        Raises:
            OSError: If some won't die (EBUSY). As an ordinary user we can't kill faster than a program which
                forks and exits all the time; only a pid namespace can.
        """
        deadline = time.monotonic() + _KILL_S
        while descendants := _descendants(os.getpid()) - spared:
            self._kill(descendants)
            for pid in descendants:
                with contextlib.suppress(ChildProcessError):  # a grandchild, ours as soon as it is an orphan
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "descendants of a candidate do not die")
        for name in os.listdir(self._jobs):
            _remove(f"{self._jobs}/{name}")
        for name in os.listdir(self._scratch):
            if name.startswith("own-") and name != f"own-{os.getpid()}":
                _remove(f"{self._scratch}/{name}")
        for directory in self._shared:
            for entry in os.scandir(directory):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == self._user:
                        _remove(entry.path)

    def _kill(self, pids: set[int]) -> None:
        if self._user:
            self._kill_user(self._user)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _kill_user(self, user: int) -> None:
        """Kill all processes of the candidate's user at once: the kernel lets none of them fork meanwhile."""
        if child := os.fork():
            os.waitpid(child, 0)
            return
        try:
            linux.become_user(user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)


def _throw_away_user() -> int | None:
    """Return the number of a user who owns nothing; None where we can't become another one, nor its follower.

    Raises:
        OSError: If programs would have to run as root then, and that is more than an ordinary user.
    """
    effective, user = linux.effective_capabilities(), _FIRST_UID + 2 * os.getpid()
    lacking = [name for name, number in _TO_CHANGE_USER.items() if not effective >> number & 1]
    # The kernel has more to say: a user namespace may have few users, and forbid setgroups.
    if not lacking and all(_is_allowed(partial(linux.become_user, one)) for one in (user, user + 1)):
        return user
    if os.geteuid() == 0 and (danger := _danger_of_root()):
        reason = f"root lacks {', '.join(lacking)}" if lacking else f"this user namespace has no user {user}"
        raise OSError(
            errno.EPERM,
            f"programs can't be given to another user ({reason}) and must not run as root, {danger}: run "
            "xftbench as an ordinary user (docker run --user 1000), or give root what it lacks",
        )
    return None


def _danger_of_root() -> str:
    """Return why root without capabilities can do more than an ordinary user; nothing if it can't.

    It can't if it is an ordinary user outside of this user namespace, but may own the files of a container.
    """
    if _is_allowed(_exceed_processes):
        return "to whom the kernel sets no limit of processes"
    return "" if landlock.knows_truncating() else "whose files only Landlock could keep (Linux 6.2 or later)"


def _exceed_processes() -> None:
    """Start a process too many.

    Raises:
        OSError: If the limit holds.
    """
    linux.drop_capabilities()
    linux.limit(resource.RLIMIT_NPROC, 1)
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _is_allowed(step: Callable[[], None]) -> bool:
    """Try what can't be undone, in a child."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            step()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _remove(path: str) -> None:
    """Remove what stands at a path; directories may be nested deeper than any function can follow.

    So what is in a directory is moved beside `path` before it is looked into.
    """
    waiting, numbers = [path], itertools.count()
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):
            if os.path.islink(place) or not os.path.isdir(place):
                os.unlink(place)
                continue
            os.chmod(place, 0o700)
            for name in os.listdir(place):
                aside = f"{path}.{os.getpid()}-{next(numbers)}"
                os.rename(f"{place}/{name}", aside)
                waiting.append(aside)
            os.rmdir(place)


def _live_in(directory: str) -> None:
    os.chdir(directory)
    os.environ.update(HOME=directory, TMPDIR=directory)
    if tempfile := sys.modules.get("tempfile"):
        # Or it remembers that of the process we were forked from.
        tempfile.tempdir = None  # type: ignore[attr-defined]


def _descendants(ancestor: int) -> set[int]:
    parents = {pid: int(fields[1]) for pid, fields in _processes()}
    found: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent == ancestor or parent in found} - found:
        found |= more
    return found


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
