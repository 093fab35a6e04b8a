"""One program on its way through a worker: hand out, wait for the supervisor's report."""

import base64
import json
import os
import select
import signal
import socket
import struct
import time
from contextlib import suppress
from typing import Any

import msgspec

from xftbench.execution.inside import channel
from xftbench.execution.native.judge import Ended, Ending
from xftbench.execution.worker import GRACE_S, Worker, WorkerLostError

_MAX_REPORT = 64 << 20
_READ_S = 30
"""A report is sent at once; seconds that the rest of one may take."""
_RECEIVE_TIMEOUT = struct.pack("ll", _READ_S, 0)
_MAX_STRETCH = 8
_ABOUT = ("cpu_s", "memory_bytes", "runtime_memory")

Files = dict[str, bytes]


class _StepReport(msgspec.Struct):
    """How one command ended."""

    unstarted: str
    status: int
    why: str
    cpu_s: float
    wall_s: float = 0.0
    stdout: list[str] = []
    stderr: list[str] = []


class _Report(msgspec.Struct):
    """What a supervisor says of a program; how it failed itself, if it has no steps."""

    steps: list[_StepReport] = []
    again: bool = False
    unjailed: str = ""
    broken: str = ""


class _Supervisor:
    """What runs a program's steps, as the harness sees it; perhaps those of one program after another."""

    def __init__(self, connection: socket.socket, about: object) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _RECEIVE_TIMEOUT)
        self.connection = connection
        self.about = about
        """The steps' limits, which only ever get narrower."""
        self.frames = channel.FrameReader(connection.fileno())
        self.pidfd = -1

    def kill(self) -> None:
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        self.connection.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class Jobs:
    """Runs one program after another in a worker.

    A supervisor is asked again while its programs leave no trace, and are of one step with the same limits.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._idle: _Supervisor | None = None

    def run(self, files: Files, steps: list[dict[str, Any]]) -> Ending:
        """Run a program's steps and return how they ended.

        Raises:
            WorkerLostError: If the worker must be replaced.
        """
        with self._worker.or_lost():
            is_alone = len(steps) > 1 or not self._worker.is_jailed or any("/" in name for name in files)
            job = {"files": encoded(files), "steps": steps, "alone": is_alone}
            about = None if is_alone else [steps[0][name] for name in _ABOUT]
            idle = self._take_idle(about)
            supervisor = idle or _Supervisor(send_job(self._worker, "program", job), about)
            trial = _Job(self._worker, supervisor, steps)
            try:
                if idle:
                    channel.write_frame(idle.connection.fileno(), json.dumps(job).encode("ascii"))
                ending = trial.run()
            except BaseException:
                supervisor.close()
                raise
            if trial.has_ended:
                supervisor.close()
            else:
                self._idle = supervisor
            return ending

    def _take_idle(self, about: object) -> _Supervisor | None:
        """Return the supervisor that waits, if it can run such a program; if not, it is ended."""
        idle, self._idle = self._idle, None
        if idle and idle.about != about:
            idle.kill()
            idle.close()
            self._worker.expect("program_exited", GRACE_S, besides="compiler_exited")
            return None
        return idle

    def close(self) -> None:
        """Let go of what is held, when the worker is dead."""
        if self._idle:
            self._idle.close()
            self._idle = None


def send_job(worker: Worker, role: str, job: dict[str, Any]) -> socket.socket:
    """Have the zygote start a process for a job, and return our end of the connection with it."""
    near, far = socket.socketpair()
    with far:
        worker.order(role, json.dumps(job).encode("ascii"), far.fileno())
    return near


def encoded(files: Files) -> dict[str, str]:
    """Return files as they travel."""
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}


class _Job:
    def __init__(self, worker: Worker, supervisor: _Supervisor, steps: list[dict[str, Any]]) -> None:
        self._worker = worker
        self._steps = steps
        self._deadline = time.monotonic() + GRACE_S + sum(_MAX_STRETCH * step["wall_s"] for step in steps)
        self._supervisor = supervisor
        self._report: _Report | None = None
        self.has_ended = False
        """Whether the supervisor is dead: its jail was for this program alone."""

    def run(self) -> Ending:
        connection, control = self._supervisor.connection.fileno(), self._worker.control.fileno()
        poll = select.poll()
        for fd in (connection, control):
            poll.register(fd, select.POLLIN)
        while not self.has_ended and not self._may_serve_again():
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise WorkerLostError("a program's supervisor did not report in time")
            for fd, _ in poll.poll(left_s * 1000 + 1):
                if fd == connection:
                    poll.unregister(fd)
                    self._hear_supervisor()
                else:
                    self._hear_zygote()
        return self._ending()

    def _may_serve_again(self) -> bool:
        is_asked = self._supervisor.about is not None and self._report is not None and self._report.again
        return is_asked and self._supervisor.pidfd >= 0

    def _hear_supervisor(self) -> None:
        with suppress(channel.ChannelClosed, OSError, ValueError):
            body = self._supervisor.frames.read(_MAX_REPORT)
            self._report = msgspec.json.decode(body, type=_Report)
        if not self._may_serve_again():
            self._supervisor.kill()  # it has nothing more to do; no need to wait for its own end

    def _hear_zygote(self) -> None:
        message, fds = self._worker.control.receive()
        if message[0] == "program_started":
            (self._supervisor.pidfd,) = fds
        elif message[0] == "program_exited":
            self.has_ended = True
        elif message[0] != "compiler_exited":
            raise WorkerLostError(f"the worker's processes ended: {' '.join(map(str, message))}")

    def _ending(self) -> Ending:
        limits_s = tuple(float(step["cpu_s"]) for step in self._steps)
        report = self._report
        # A compiler tells only by its status that a part of it was killed.
        was_killed = report is None or any(step.status for step in report.steps)
        out_of_memory = self._worker.had_oom_kill(was_killed=was_killed)
        if report is None or not 0 < len(report.steps) <= len(self._steps):
            if out_of_memory:
                lost = Ended(status=signal.SIGKILL, why="", cpu_s=0.0, wall_s=0.0, stdout="", stderr="")
                return Ending(steps=(lost,), limits_s=limits_s, out_of_memory=True)
            raise WorkerLostError(
                f"no report from a program's supervisor: {report}{self._worker.last_words()}"
            )
        for step in report.steps:
            if step.unstarted:
                raise WorkerLostError(f"a command could not be started: {step.unstarted}")
        steps = tuple(_ended(step) for step in report.steps)
        return Ending(steps=steps, limits_s=limits_s, out_of_memory=out_of_memory)


def _ended(step: _StepReport) -> Ended:
    return Ended(
        status=step.status,
        why=step.why,
        cpu_s=step.cpu_s,
        wall_s=step.wall_s,
        stdout="\n".join(filter(None, step.stdout)),
        stderr="\n".join(filter(None, step.stderr)),
    )
