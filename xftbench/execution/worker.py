"""One worker as the harness sees it: a process tree that judges one program at a time, watched by a thread.

The harness decides three things alone: when time is up, that everything is dead, and what the evidence means.
"""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from xftbench.execution import cgroup
from xftbench.execution.inside import heap
from xftbench.execution.inside.channel import ChannelClosed, Control
from xftbench.execution.interpreter import Interpreter, own
from xftbench.execution.outcome import InfrastructureError
from xftbench.execution.scratch import Scratch
from xftbench.records import Limits

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_S = 60.0
GRACE_S = 30.0  # for what must follow at once from a kill; generous, because the machine may be loaded
_CHECKER_MEMORY_BYTES = 2 << 30
_CODE_ROOT = str(Path(__file__).resolve().parents[2])
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",  # or each thread reserves 128 MiB of the address space that is limited
}
# `random` must not seed itself in each child, which costs a tenth of a fork: they do it with a fixed number.
_BOOT = """
import os, sys
register, os.register_at_fork = os.register_at_fork, lambda **_: None
import random
os.register_at_fork = register
sys.path.append(sys.argv[3])
from xftbench.execution.inside.zygote import main
main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
"""


class _Cell(NamedTuple):
    """A jail in which one candidate after another runs; see `inside.cell`."""

    control: Control
    pid: int


class WorkerLostError(InfrastructureError):
    """The worker's processes can't be relied on any more; another one must take over."""


class Worker:
    """A zygote, and perhaps a checker, ready for one program after another.

    Args:
        limits: What each program may use.
        isolation: ``namespaces`` or ``rlimits``.
        interpreter: What the zygote is; the harness's own, if none is given.
        with_checker: Whether programs are judged by a test in another process.
        service: What candidate and checker do; see `inside.service`.

    Raises:
        WorkerLostError: If the processes don't start; `errno` is in the message.
    """

    def __init__(
        self,
        limits: Limits,
        isolation: str,
        interpreter: Interpreter | None = None,
        *,
        with_checker: bool = True,
        service: str = "function",
    ) -> None:
        interpreter = interpreter or own()
        self.limits = limits
        self._isolation = isolation
        self._scratch = Scratch() if isolation == "rlimits" else None
        self._log = os.memfd_create("xftbench-worker-log")
        ours, theirs = socket.socketpair()
        self.control = Control(ours)
        self.checker: Control | None = None
        self._cell: _Cell | None = None
        self._zygote = -1
        self.group: cgroup.Group | None = None
        self._oom_kills_before = cgroup.oom_kills_of_machine()
        self.poll = select.poll()
        self.poll.register(ours.fileno(), select.POLLIN)
        with theirs:
            self._process = _launch(interpreter, theirs.fileno(), self._log)
        try:
            scratch = self._scratch.path if self._scratch else ""
            self.control.send(_configuration(interpreter, limits, isolation, scratch, service))
            self.info: dict[str, Any]
            (self.info,), (self._zygote,) = self.expect("ready", _START_S, fds=1)
            self.group = cgroup.create(limits)
            self._enter_group()
            if with_checker:
                self.replace_checker()
                self._forker()
        except (ChannelClosed, OSError) as error:
            reason = f"the worker's processes ended: {error}{self.last_words()}"
            self.kill()
            raise WorkerLostError(reason) from error
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Kill every process of the worker; the only thing that another thread may do to it.

        The zygote is the first process of the worker's pid namespace: all others die before it has.
        """
        with suppress(ProcessLookupError):
            if self._isolation == "rlimits":
                self._process.terminate()  # it kills its descendants first, there is no namespace to do that
            elif self._zygote >= 0:
                signal.pidfd_send_signal(self._zygote, signal.SIGKILL)
            else:
                self._process.kill()

    def kill(self) -> None:
        """Kill every process of the worker, wait until they are gone, and release what it held."""
        self.stop()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for fd in (self._zygote, self._log):
            if fd >= 0:
                os.close(fd)
        self._zygote = self._log = -1
        self.control.close()
        if self.checker:
            self.checker.close()
        if self._cell:
            self._cell.control.close()
        if self.group:
            self.group.remove()
        if self._scratch:
            self._scratch.remove()
            self._scratch = None

    @property
    def is_jailed(self) -> bool:
        """Whether each program is kept in namespaces of its own."""
        return self._isolation == "namespaces"

    def order(self, role: str, job: bytes, *fds: int, forker: Control | None = None) -> None:
        """Have a process of a role forked, with a job to read and more descriptors behind it."""
        memory = os.memfd_create("job")
        try:
            with open(memory, "wb", closefd=False) as file:
                file.write(job)
            if forker is None:
                forker = self._forker() if role == "candidate" else self.control
            forker.send([role], (memory, *fds))
        finally:
            os.close(memory)

    def start_nursery(self, modules: Sequence[str]) -> Control | None:
        """Have the zygote fork a copy of itself that imports some modules.

        Returns:
            The connection to it; nothing if importing them has been its end.

        Raises:
            WorkerLostError: If it does not start.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self.order("nursery", json.dumps(modules).encode(), theirs.fileno())
        _, (pidfd,) = self.expect("nursery_started", GRACE_S, fds=1)
        os.close(pidfd)
        nursery = Control(ours)
        poll = select.poll()
        poll.register(ours.fileno(), select.POLLIN)
        if poll.poll(_START_S * 1000):
            with suppress(ChannelClosed):
                nursery.receive()  # it is ready
                return nursery
        self.end_nursery(nursery)
        return None

    def end_nursery(self, nursery: Control) -> None:
        """End what `start_nursery` has started, and wait."""
        nursery.close()
        self.expect("nursery_exited", GRACE_S)

    def kill_candidate(self) -> None:
        """Have the candidate killed that runs, if one does."""
        self._forker().send(["kill_candidate"])

    def candidate_pid(self) -> int:
        """Return the process id of the candidate that runs.

        Raises:
            LookupError: If there is none, or not it alone: what it has started can't be told from it.
        """
        parent = self._cell.pid if self._cell else pid_of(self._zygote)
        others = 0 if self._cell else 1  # the checker
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError as error:
            raise LookupError("the kernel does not tell") from error
        if len(children) != others + 1:
            raise LookupError(f"{len(children)} processes")
        return int(children[-1])  # in the order of their birth

    def receive(self, fd: int) -> tuple[Any, list[int]]:
        """Return a message of the process behind a descriptor that `poll` has named.

        A cell that ends unasked takes its candidate with it: that is the candidate's end.
        """
        if self._cell and fd == self._cell.control.fileno():
            try:
                return self._cell.control.receive()
            except ChannelClosed:
                return ["candidate_exited", *self.replace_cell()], []
        message, fds = self.control.receive()
        if self._cell and message[0] == "cell_exited":
            self._hang_up(self._cell)
            self._forker()
            message[0] = "candidate_exited"
        return message, fds

    def replace_cell(self) -> list[Any]:
        """Have the cell end, start another, and return the exit status and the CPU seconds of the old one."""
        if self._cell:
            self._hang_up(self._cell)
        ended, _ = self.expect("cell_exited", GRACE_S)
        self._forker()
        return ended

    def _hang_up(self, cell: _Cell) -> None:
        self.poll.unregister(cell.control.fileno())
        cell.control.close()
        self._cell = None

    def _forker(self) -> Control:
        """Return the connection to what forks candidates: a cell, or the zygote without namespaces."""
        if not self.is_jailed:
            return self.control
        if self._cell is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self.control.send(["cell"], (theirs.fileno(),))
            _, (pidfd,) = self.expect("cell_started", GRACE_S, fds=1)
            self._cell = _Cell(Control(ours), pid_of(pidfd))
            os.close(pidfd)
            self.poll.register(ours.fileno(), select.POLLIN)
        return self._cell.control

    @contextmanager
    def or_lost(self) -> Iterator[None]:
        """Around work on a job: where the worker's processes end in its midst, the worker must be replaced.

        Raises:
            WorkerLostError: With what the processes said last.
        """
        try:
            yield
        except (ChannelClosed, OSError) as error:
            raise WorkerLostError(f"the worker's processes ended: {error}{self.last_words()}") from error

    def last_words(self) -> str:
        """Return the end of what the worker's processes wrote to stderr before a candidate had it closed."""
        text = os.pread(self._log, 4000, max(0, os.fstat(self._log).st_size - 4000)).decode(errors="replace")
        return "\n" + text if text else ""

    def replace_checker(self) -> None:
        """Start a checker; the one before is killed, whatever it is doing."""
        if self.checker:
            self.control.send(["kill_checker"])
            self.expect("checker_exited", GRACE_S)
            self.poll.unregister(self.checker.fileno())
            self.checker.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self.control.send(["checker"], (theirs.fileno(),))
        self.checker = Control(ours)
        self.poll.register(ours.fileno(), select.POLLIN)
        _, (pidfd,) = self.expect("checker_started", GRACE_S, fds=1)
        if self.group:
            # Its memory must not count as a candidate's, and it must not be killed in one's place.
            with suppress(OSError):  # it is gone already: the next message says so
                self.group.release(pid_of(pidfd))
        os.close(pidfd)

    def had_oom_kill(self, *, was_killed: bool) -> bool:
        """Return whether the kernel has killed something of the last program because of its memory limit.

        Args:
            was_killed: Whether it ended as one that the kernel has killed does. Without a control group
                nothing tells whose process it was, only that there was one.

        Raises:
            WorkerLostError: If it was the machine's memory that had run out, or the container's: with enough
                of it the program could have ended otherwise.
        """
        if self.group:
            whose = self.group.oom_kill()
        else:
            is_suspect = was_killed and cgroup.oom_kills_of_machine() > self._oom_kills_before
            whose = "machine" if is_suspect else ""
        if whose == "machine":
            raise WorkerLostError(
                "the kernel killed a program because the memory of this machine, or of the container, had "
                f"run out; each of --workers may need {self.limits.memory_bytes / 2**30:.2g} GiB"
            )
        return whose == "limit"

    def _enter_group(self) -> None:
        self.info["cgroup"] = self.group is not None
        if self.group:
            try:
                self.group.add(pid_of(self._zygote))
            except OSError:
                self.group.remove()
                self.group = None
                self.info["cgroup"] = False

    def expect(
        self, name: str, timeout_s: float, fds: int = 0, besides: str = ""
    ) -> tuple[list[Any], list[int]]:
        """Return what comes with the next message of the zygote, which must be this one.

        Args:
            name: Of the message.
            timeout_s: Within which each message has to come.
            fds: How many descriptors come with it.
            besides: Name of a message that may come before, and is passed over.

        Raises:
            WorkerLostError: If it does not come.
        """
        poll = select.poll()
        poll.register(self.control.fileno(), select.POLLIN)
        message: list[Any] = [besides]
        received: list[int] = []
        while message[0] == besides:
            if not poll.poll(timeout_s * 1000):
                raise WorkerLostError(f"the worker did not say {name!r} within {timeout_s:g} s")
            try:
                message, received = self.control.receive()
            except ChannelClosed as error:
                raise WorkerLostError(
                    f"the worker ended before it said {name!r}{self.last_words()}"
                ) from error
        if message[0] == "failed":
            raise WorkerLostError(f"{message[1]} (errno {message[2]})")
        if message[0] != name or len(received) != fds:
            raise WorkerLostError(" ".join(str(part) for part in message))
        return message[1:], received


class WorkerRunner:
    """What every runner does whose processes are those of one worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def stop(self) -> None:
        """Kill every process."""
        self._worker.stop()

    def kill(self) -> None:
        """Kill every process and wait."""
        self._worker.kill()


def pid_of(pidfd: int) -> int:
    """Return the process id, in our own pid namespace, that a pidfd stands for; -1 if it is gone."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def living(pid: int) -> Iterator[Path]:
    """Yield the directory in /proc of a process and of each that it, or one of those, has started."""
    waiting = [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        yield process
        with suppress(OSError, ValueError):
            for children in process.glob("task/*/children"):
                waiting += map(int, children.read_text().split())


def used_by(process: Path) -> float:
    """Return the CPU seconds of a process; none if it has ended."""
    with suppress(OSError, ValueError, IndexError):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / _TICKS_PER_S
    return 0.0


def _launch(interpreter: Interpreter, control: int, log: int) -> subprocess.Popen[bytes]:
    arguments = [str(control), str(os.getpid()), _CODE_ROOT]
    # -P -s and an empty environment do what -I does, save that the hash seed can be fixed: the order of a set
    # of strings must not change a verdict from one run to the next.
    return subprocess.Popen(
        [interpreter.executable, "-P", "-s", "-S", "-c", _BOOT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=(control,),
        env={**interpreter.variables, **_ENVIRONMENT, **(heap.VARIABLES if interpreter.arenas else {})},
        cwd="/",
        start_new_session=True,
    )


def _configuration(
    interpreter: Interpreter, limits: Limits, isolation: str, scratch: str, service: str
) -> dict[str, Any]:
    numbers = {
        "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes,
        "disk_bytes": limits.disk_bytes,
        "processes": limits.processes,
        "checker_memory_bytes": _CHECKER_MEMORY_BYTES,
    }
    return {
        "isolation": isolation,
        "view": interpreter.view,
        "limits": numbers,
        "scratch": scratch,
        "preload": interpreter.preload,
        "variables": dict(interpreter.variables),
        "has_scratch": interpreter.has_scratch,
        "arenas": interpreter.arenas,
        "service": service,
    }
