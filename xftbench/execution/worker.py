"""One worker as the harness sees it: a process tree that judges one program at a time, watched by a thread.

The harness decides three things alone: when time is up, that everything is dead, and what the evidence means.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from xftbench.execution import cgroup, view
from xftbench.execution.inside.channel import ChannelClosed, Control
from xftbench.execution.outcome import Exit, InfrastructureError, judge
from xftbench.records import Limits, Outcome, Program

_START_S = 60.0
_GRACE_S = 10.0  # for what must follow at once from a kill; generous, because the machine may be loaded
_MAX_STRETCH = 8
_CHECKER_MEMORY_BYTES = 4 << 30
_CODE_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = """
import sys
sys.path.append(sys.argv[3])
from xftbench.execution.inside.zygote import main
main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
"""


class WorkerLost(InfrastructureError):
    """The worker's processes can't be relied on any more; another one must take over."""


class Worker:
    """A zygote and a checker, ready for one program after another.

    Raises:
        WorkerLost: If the processes don't start; `errno` is in the message.
    """

    def __init__(self, limits: Limits, isolation: str) -> None:
        self._limits = limits
        self._isolation = isolation
        self._scratch = tempfile.mkdtemp(prefix="xftbench-") if isolation == "rlimits" else ""
        self._log = os.memfd_create("xftbench-worker-log")
        ours, theirs = socket.socketpair()
        self._control = Control(ours)
        self._checker: Control | None = None
        self._zygote = -1
        self._group: cgroup.Group | None = None
        self._poll = select.poll()
        self._poll.register(ours.fileno(), select.POLLIN)
        with theirs:
            self._process = _launch(theirs.fileno(), self._log)
        try:
            self._control.send(_configuration(limits, isolation, self._scratch))
            self.info: dict[str, Any]
            self.info, (self._zygote,) = self._expect("ready", _START_S, fds=1)
            self._group = cgroup.create(limits)
            self._enter_group()
            self._start_checker()
        except (ChannelClosed, OSError) as error:
            reason = f"the worker's processes ended: {error}{self._last_words()}"
            self.kill()
            raise WorkerLost(reason) from error
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
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for fd in (self._zygote, self._log):
            if fd >= 0:
                os.close(fd)
        self._zygote = self._log = -1
        self._control.close()
        if self._checker:
            self._checker.close()
        if self._group:
            self._group.remove()
        if self._scratch:
            subprocess.run(["rm", "-rf", "--", self._scratch], check=False)  # however deep a candidate nested it

    def run(self, program: Program) -> Outcome:
        """Run a program to its outcome.

        Raises:
            WorkerLost: If the worker must be replaced.
            InfrastructureError: If the benchmark's own code failed.
        """
        try:
            return _Job(self, program).run()
        except (ChannelClosed, OSError) as error:
            raise WorkerLost(f"the worker's processes ended: {error}{self._last_words()}") from error

    def _last_words(self) -> str:
        text = os.pread(self._log, 4000, max(0, os.fstat(self._log).st_size - 4000)).decode(errors="replace")
        return "\n" + text if text else ""

    def _start_checker(self) -> None:
        if self._checker:
            self._control.send(["kill_checker"])
            self._expect("checker_exited", _GRACE_S)
            self._poll.unregister(self._checker.fileno())
            self._checker.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._control.send(["checker"], (theirs.fileno(),))
        self._checker = Control(ours)
        self._poll.register(ours.fileno(), select.POLLIN)
        _, (pidfd,) = self._expect("checker_started", _GRACE_S, fds=1)
        if self._group:
            # The checker is not the candidate's: its memory must not count, and it must not be the one killed.
            with suppress(OSError):  # it is gone already: the next message says so
                self._group.release(_pid_of(pidfd))
        os.close(pidfd)

    def _enter_group(self) -> None:
        self.info["cgroup"] = self._group is not None
        if self._group:
            try:
                self._group.add(_pid_of(self._zygote))
            except OSError:
                self._group.remove()
                self._group = None
                self.info["cgroup"] = False

    def _expect(self, name: str, timeout_s: float, fds: int = 0) -> tuple[Any, list[int]]:
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        if not poll.poll(timeout_s * 1000):
            raise WorkerLost(f"the worker did not say {name!r} within {timeout_s:g} s")
        try:
            message, received = self._control.receive()
        except ChannelClosed as error:
            raise WorkerLost(f"the worker ended before it said {name!r}{self._last_words()}") from error
        if message[0] != name or len(received) != fds:
            raise WorkerLost(" ".join(str(part) for part in message))
        return message[1] if len(message) > 1 else None, received


class _Job:
    """One program on its way through a worker."""

    def __init__(self, worker: Worker, program: Program) -> None:
        self._worker = worker
        self._program = program
        self._started = time.monotonic()
        self._deadline = self._started + worker._limits.wall_s
        self._pidfd = -1
        self._report: list[str] | None = None
        self._exit: Exit | None = None
        self._timed_out = False
        self._kill_wanted = False

    def run(self) -> Outcome:
        try:
            self._hand_out()
            self._watch()
        finally:
            if self._pidfd >= 0:
                os.close(self._pidfd)
        if self._report is None:
            self._worker._start_checker()
        assert self._exit is not None
        wall_s = time.monotonic() - self._started
        return judge(
            self._report or [], self._exit, self._worker._limits, timed_out=self._timed_out, wall_s=wall_s
        )

    def _hand_out(self) -> None:
        """Give the test to the checker and the solution to the zygote's next child, who hold the two ends."""
        checker = self._worker._checker
        assert checker is not None
        program = self._program
        with ExitStack() as stack:
            ends = socket.socketpair()
            near, far = (stack.enter_context(end) for end in ends)
            job = os.memfd_create("job")
            stack.callback(os.close, job)
            text = f"{program.entry_point}\n{program.solution}".encode("utf-8", "surrogatepass")
            os.write(job, text)
            os.lseek(job, 0, os.SEEK_SET)
            self._worker._control.send(["candidate"], (job, far.fileno()))
            test = {"context": program.context, "test": program.test, "entry_point": program.entry_point}
            checker.send(test, (near.fileno(),))

    def _watch(self) -> None:
        """Wait until the checker has spoken (or is given up) and the candidate is dead."""
        while self._exit is None or (self._report is None and not self._timed_out):
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                self._on_deadline()
                continue
            for fd, _ in self._worker._poll.poll(left_s * 1000 + 1):
                if fd == self._worker._control.fileno():
                    self._hear_zygote()
                else:
                    self._hear_checker()
        

    def _on_deadline(self) -> None:
        if self._timed_out:
            raise WorkerLost("the candidate did not die")
        # Time in which the candidate was ready but other work had the processors is not its own: without this
        # a verdict would depend on the number of workers.
        allowed_s = min(self._worker._limits.wall_s + self._starved_s(), _MAX_STRETCH * self._worker._limits.wall_s)
        if self._started + allowed_s > time.monotonic():
            self._deadline = self._started + allowed_s
            return
        self._timed_out = True
        self._deadline = time.monotonic() + _GRACE_S
        self._kill()

    def _starved_s(self) -> float:
        """Return how long the candidate's main thread has waited for a processor."""
        if self._pidfd < 0:
            return 0.0
        try:
            return int(Path(f"/proc/{_pid_of(self._pidfd)}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _kill(self) -> None:
        self._kill_wanted = True
        if self._pidfd >= 0 and self._exit is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _hear_zygote(self) -> None:
        message, fds = self._worker._control.receive()
        if message[0] == "candidate_started":
            (self._pidfd,) = fds
            if self._kill_wanted:
                self._kill()
        elif message[0] == "candidate_exited":
            group = self._worker._group
            self._exit = Exit(
                status=message[1], cpu_s=message[2], out_of_memory=group is not None and group.had_oom_kill()
            )
        else:
            raise WorkerLost(" ".join(map(str, message)))

    def _hear_checker(self) -> None:
        checker = self._worker._checker
        assert checker is not None
        self._report, _ = checker.receive()
        self._kill()


def _pid_of(pidfd: int) -> int:
    """Return the process id, in our own pid namespace, that a pidfd stands for; -1 if it is gone."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def _launch(control: int, log: int) -> subprocess.Popen[bytes]:
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    arguments = [str(control), str(os.getpid()), _CODE_ROOT]
    # -P -s and an empty environment do what -I does, save that the hash seed can be fixed: the order of a set
    # of strings must not change a verdict from one run to the next.
    return subprocess.Popen(
        [interpreter, "-P", "-s", "-S", "-c", _BOOT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=(control,),
        env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )


def _configuration(limits: Limits, isolation: str, scratch: str) -> dict[str, Any]:
    numbers = {
        "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes,
        "disk_bytes": limits.disk_bytes,
        "processes": limits.processes,
        "checker_memory_bytes": _CHECKER_MEMORY_BYTES,
    }
    return {"isolation": isolation, "view": view.plan(), "limits": numbers, "scratch": scratch}
