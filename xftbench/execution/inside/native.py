"""A program in another language: its supervisor, which compiles it, runs it and reports how each step ended.

The supervisor is the first process of the program's pid namespace. It runs none of the program's code, can't
be looked into or signalled from there, and when it ends everything else has. Like a cell (see `cell`) it may
be given another program, if the one before has left nothing behind in a /tmp that held its source text alone.
"""

# ruff: noqa: PTH103, PTH108, PTH120, PTH123, PTH208
# pathlib would be one more import in every jail

import base64
import contextlib
import errno
import itertools
import json
import os
import resource
import select
import signal
import stat
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from xftbench.execution.inside import channel, linux, waits

if TYPE_CHECKING:
    from xftbench.execution.inside.jail import NamespaceJail
    from xftbench.execution.inside.weak import WeakJail

_BLOCK = 1 << 16
_HEAD, _TAIL = 1 << 18, 1 << 16
_FLOOD = 1 << 29
_LOOK_S = 1.0
_TREE_STRETCH = 2
"""All processes of a step together get this many times the CPU time that each of them gets."""
_MAX_STRETCH = 8
"""A program that other work keeps from the processors gets at most this many times its wall limit."""
_FILES = 256
_MOST = 200
"""Programs of one supervisor."""
_MAX_JOB = 64 << 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CAN_NOT_EXECUTE = 126 << 8
"""As a shell says it, in the form of waitpid."""
_OUR_TROUBLE = (None, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EPERM)
"""What keeps any command from starting; all else is said of a file."""


def serve(job_fd: int, rpc: int, jail: "NamespaceJail | WeakJail") -> NoReturn:
    """Run the steps that `job_fd` holds until one fails, and report over `rpc`; then perhaps those of others.

    A job that is "alone" has a jail to itself. Others come over `rpc`, as long as they leave no trace.
    """
    job = json.loads(channel.read_file(job_fd))
    try:
        work = jail.enter_native()
    except OSError as error:
        _send(rpc, {"unjailed": str(error)})
        os._exit(1)
    # The first process of a pid namespace is deaf to signals from inside that it has no handler for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    frames = channel.FrameReader(rpc)
    with contextlib.suppress(channel.ChannelClosed):
        for number in itertools.count(1):
            report = _run_steps(job, work, jail, is_last=number == _MOST)
            _send(rpc, report)
            if not report.get("again"):
                break
            job = json.loads(frames.read(_MAX_JOB))
    os._exit(0)


def _run_steps(
    job: dict[str, Any], work: str, jail: "NamespaceJail | WeakJail", *, is_last: bool
) -> dict[str, Any]:
    """Run a job's steps until one fails; return the report."""
    try:
        for name, content in job["files"].items():
            _write(name, content)
        scratch = None if job["alone"] or is_last else _Scratch(job["files"])
        steps = []
        for step in job["steps"]:
            _make_executable(step["argv"][0])
            steps.append(_run_quickly(step, work, jail))
            if steps[-1]["status"] or steps[-1]["why"] or steps[-1]["unstarted"]:
                break
            for name in step["remove"]:
                with contextlib.suppress(OSError):
                    os.unlink(name)
        again = scratch is not None and not _is_tired(job) and scratch.was_cleared()
        return {"steps": steps, "again": again}
    except OSError as error:
        return {"broken": str(error)}


def _is_tired(job: dict[str, Any]) -> bool:
    """Return whether we have used much of the CPU time that a job's limits leave to us, too."""
    return any(time.process_time() > step["cpu_s"] / 20 for step in job["steps"])


class _Scratch:
    """The directory that a program runs in, which holds these files and nothing else."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names
        os.utime(".", ns=(0, 0))
        self._before = linux.state_of(".")

    def was_cleared(self) -> bool:
        """Remove the files, if a program has changed nothing here; return whether it has not."""
        try:
            if linux.state_of(".") != self._before:
                return False
            for name in self._names:
                os.unlink(name)
            return not os.listdir(".")
        except OSError:  # not even allowed to look
            return False


def become(job_fd: int, connection: int, jail: "NamespaceJail | WeakJail") -> NoReturn:
    """Become a compiler that serves many programs, with a connection as its stdin and stdout."""
    job = json.loads(channel.read_file(job_fd))
    work = jail.enter_native()
    for name, content in job["files"].items():
        _write(name, content)
    os.dup2(connection, 0)
    os.dup2(connection, 1)
    jail.confine_step()
    _exec(job["step"], work)


def _send(rpc: int, report: dict[str, Any]) -> None:
    with contextlib.suppress(channel.ChannelClosed):
        channel.write_frame(rpc, json.dumps(report).encode("ascii"))


def _write(name: str, content: str) -> None:
    """Write a file that has come as base64."""
    if "/" in name:
        os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(base64.b64decode(content))


def _make_executable(path: str) -> None:
    """Do for a linker what a system call filter may have kept it from."""
    if not path.startswith("./"):
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.fchmod(fd, 0o700)
        os.close(fd)


def _run_quickly(step: dict[str, Any], work: str, jail: "NamespaceJail | WeakJail") -> dict[str, Any]:
    """Run a step by its quick command, if it has one; what that refuses is for the ordinary one to tell.

    One that has used up much of the time, the ordinary one would use up as well.
    """
    tried_s = 0.0
    if step["quick"]:
        ended = _run(step | {"argv": step["quick"]}, work, jail)
        tried_s = ended["cpu_s"]
        if not ended["status"] or ended["why"] or tried_s > step["cpu_s"] / 2:
            return ended
    ended = _run(step, work, jail)
    return ended | {"cpu_s": ended["cpu_s"] + tried_s}


def _run(step: dict[str, Any], work: str, jail: "NamespaceJail | WeakJail") -> dict[str, Any]:
    """Run one command to its end and return how that was."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    for fd in (out, err):
        os.set_blocking(fd, False)  # a program may take back what it wrote, just before we read it
    try:
        child = jail.start_step(step, work, (out_end, err_end))
    except OSError as error:
        os.close(out)
        os.close(err)
        return _unstarted(step["argv"][0], error)
    finally:
        os.close(out_end)
        os.close(err_end)
    watch = _Watch(child, {out: _Kept(), err: _Kept()}, step, sees_all=jail.namespaces != 0)
    why = watch.wait()
    status = jail.kill_step(child)
    for fd, kept in watch.streams.items():
        _drain(fd, kept)
        os.close(fd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not why and cpu_s > watch.most_s:  # since the last look, or by processes that no look has met
        why = "cpu"
    return {
        "unstarted": "",
        "status": status,
        "why": why,
        "cpu_s": cpu_s,
        "wall_s": time.monotonic() - started,
        "stdout": watch.streams[out].text(),
        "stderr": watch.streams[err].text(),
    }


def _unstarted(command: str, error: OSError) -> dict[str, Any]:
    """Return the report on a command that did not start.

    What the step before has made is the program's own (a library, a file that asks for a loader which is not
    there), and that it can't be run is how the program ends. All else is a toolchain's, and our fault.
    """
    is_own = command.startswith("./") and error.errno not in _OUR_TROUBLE
    return {
        "unstarted": "" if is_own else f"{command}: {error}",
        "status": _CAN_NOT_EXECUTE,
        "why": "",
        "cpu_s": 0.0,
        "wall_s": 0.0,
        "stdout": [],
        "stderr": [f"{command}: {error.strerror}"],
    }


def spawn(step: dict[str, Any], work: str, ends: tuple[int, int]) -> int:
    """Start a command with limits that this process takes upon itself; `ends` are for stdout and stderr.

    So nothing of ours is copied for it. Limits only ever get narrower: no step may want wider ones than the
    step before.

    Raises:
        OSError: If it can't be started.
    """
    argv, environment = _limited(step, work)
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(ends, 1)
    ]
    # Of its own: a lock or a flag on ours would outlive it.
    actions.append((os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0))
    return os.posix_spawn(argv[0], argv, environment, file_actions=actions, setsid=True)


def fork(step: dict[str, Any], work: str, ends: tuple[int, int], confine: Callable[[], None]) -> int:
    """Start a command in a process that `confine` has to be called in.

    Raises:
        OSError: If it can't be started.
    """
    trouble, trouble_end = os.pipe()
    if child := os.fork():
        os.close(trouble_end)
        with open(trouble, "rb") as file:  # closed when the command starts
            if said := file.read():
                os.waitpid(child, 0)
                raise OSError(*json.loads(said))
        return child
    is_confined = False
    try:
        os.setsid()
        for number, end in enumerate(ends, 1):
            os.dup2(end, number)
        confine()
        is_confined = True
        _exec(step, work)
    except OSError as error:
        fault = error.errno if is_confined else None
        os.write(trouble_end, json.dumps([fault, error.strerror or str(error)]).encode())
    finally:
        os._exit(1)


def _exec(step: dict[str, Any], work: str) -> NoReturn:
    argv, environment = _limited(step, work)
    os.execve(argv[0], argv, environment)


def _limited(step: dict[str, Any], work: str) -> tuple[list[str], dict[str, str]]:
    """Set this process' limits to a step's; return its command and environment."""
    linux.limit(resource.RLIMIT_CPU, step["cpu_s"])
    if not step["runtime_memory"]:
        linux.limit(resource.RLIMIT_AS, step["memory_bytes"])
    linux.limit(resource.RLIMIT_DATA, step["memory_bytes"])  # what is only reserved does not count here
    environment = {name: value.replace("{work}", work) for name, value in step["environment"].items()}
    return [part.replace("{work}", work) for part in step["argv"]], environment


def limit_all(limits: dict[str, int]) -> None:
    """Set the limits that hold for every step."""
    linux.limit(resource.RLIMIT_FSIZE, limits["disk_bytes"])
    linux.limit(resource.RLIMIT_NPROC, limits["processes"])
    linux.limit(resource.RLIMIT_NOFILE, _FILES)
    linux.limit(resource.RLIMIT_CORE, 0)
    linux.limit(resource.RLIMIT_MEMLOCK, 0)
    linux.limit(resource.RLIMIT_MSGQUEUE, 0)


class _Kept:
    """The beginning and the end of a stream."""

    def __init__(self) -> None:
        self.size = 0
        self._head = b""
        self._tail = b""

    def add(self, block: bytes) -> None:
        self.size += len(block)
        room = _HEAD - len(self._head)
        if room > 0:
            self._head += block[:room]
            block = block[room:]
        if block:
            self._tail = (self._tail + block)[-_TAIL:]

    def text(self) -> list[str]:
        """Return [beginning, end]; the end is empty if the beginning is all."""
        return [part.decode("utf-8", "replace") for part in (self._head, self._tail)]


def _drain(fd: int, kept: _Kept) -> None:
    """Read what is there; a daemon may keep the pipe open, so not to its end."""
    with contextlib.suppress(OSError):
        while kept.size < _FLOOD and (block := os.read(fd, _BLOCK)):
            kept.add(block)


class _Watch:
    """Waits for a step, reading what it writes."""

    def __init__(
        self, child: int, streams: dict[int, _Kept], step: dict[str, Any], *, sees_all: bool
    ) -> None:
        self.streams = streams
        self._sees_all = sees_all
        self._child = child
        self._pidfd = os.pidfd_open(child)
        self._started = time.monotonic()
        self._wall_s = step["wall_s"]
        self.most_s = _TREE_STRETCH * step["cpu_s"]
        """CPU seconds of all its processes together."""
        self._longest = waits.Longest()
        self._waited_s = 0.0
        self._poll = select.poll()
        for fd in (*streams, self._pidfd):
            self._poll.register(fd, select.POLLIN)

    def wait(self) -> str:
        """Return why the step must be ended ("wall", "cpu" or "flood"), or nothing once it has."""
        try:
            return self._wait()
        finally:
            os.close(self._pidfd)

    def _wait(self) -> str:
        deadline = self._started + self._wall_s
        look = self._started + _LOOK_S
        while True:
            now = time.monotonic()
            if now >= look:  # by the clock: one that writes all the time is never quiet
                look = now + _LOOK_S
                if self._times()[0] > self.most_s:
                    return "cpu"
            left_s = deadline - now
            if left_s <= 0:
                busy_s = self._times()[1]
                deadline = self._started + min(self._wall_s + busy_s, _MAX_STRETCH * self._wall_s)
                if deadline <= time.monotonic():
                    return "wall"
                continue
            for fd, _ in self._poll.poll(min(left_s, look - now) * 1000 + 1):
                if fd == self._pidfd:
                    return ""
                if self._read(fd):
                    return "flood"

    def _read(self, fd: int) -> bool:
        kept = self.streams[fd]
        with contextlib.suppress(BlockingIOError):
            if block := os.read(fd, _BLOCK):
                kept.add(block)
            else:
                self._poll.unregister(fd)
        return kept.size > _FLOOD

    def _times(self) -> tuple[float, float]:
        """Return how long all processes together have run, and how long the busiest has run or had to wait.

        That others had the processors is not its loss: a verdict must not depend on how busy the machine is.
        """
        ran_s = longest_s = 0.0
        waited: dict[str, float] = {}
        everybody = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        for name in everybody if self._sees_all else [str(self._child)]:
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    used_s = sum(map(int, file.read().rpartition(")")[2].split()[11:15])) / _TICKS_PER_S
                ran_s += used_s
                longest_s = max(longest_s, used_s)
                waited |= waits.of_threads(name)
        self._waited_s += self._longest.since_last(waited)
        return ran_s, longest_s + self._waited_s


def kill_everything(child: int) -> int:
    """As the first process of a pid namespace: kill all others, bury them, and return the child's status."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    status = 0
    while True:
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if pid == child:
            status = ended


def kill_group(child: int) -> int:
    """Where there is no pid namespace: kill the step's own processes; the zygote looks for the others."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status
