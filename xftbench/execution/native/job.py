"""One program on its way through a worker: hand out, wait for the supervisor's report."""

import base64
import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from xftbench.execution.inside import channel
from xftbench.execution.native.judge import Ended, Ending
from xftbench.execution.worker import GRACE_S, Worker, WorkerLostError

_MAX_REPORT = 64 << 20
_MAX_STRETCH = 8

Files = dict[str, bytes]


def run(worker: Worker, files: Files, steps: list[dict[str, Any]]) -> Ending:
    """Run a program's steps and return how they ended.

    Raises:
        WorkerLostError: If the worker must be replaced.
    """
    with worker.or_lost():
        return _Job(worker, files, steps).run()


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
    def __init__(self, worker: Worker, files: Files, steps: list[dict[str, Any]]) -> None:
        self._worker = worker
        self._steps = steps
        self._deadline = time.monotonic() + GRACE_S + sum(_MAX_STRETCH * step["wall_s"] for step in steps)
        self._near = send_job(worker, "program", {"files": encoded(files), "steps": steps})
        self._pidfd = -1
        self._report: dict[str, Any] | None = None
        self._has_ended = False

    def run(self) -> Ending:
        try:
            self._watch()
        finally:
            self._near.close()
            if self._pidfd >= 0:
                os.close(self._pidfd)
        return self._ending()

    def _watch(self) -> None:
        poll = select.poll()
        for fd in (self._near.fileno(), self._worker.control.fileno()):
            poll.register(fd, select.POLLIN)
        while not self._has_ended:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise WorkerLostError("a program's supervisor did not report in time")
            for fd, _ in poll.poll(left_s * 1000 + 1):
                if fd == self._near.fileno():
                    poll.unregister(fd)
                    self._hear_supervisor()
                else:
                    self._hear_zygote()

    def _hear_supervisor(self) -> None:
        with suppress(channel.ChannelClosed, ValueError):
            self._report = json.loads(channel.FrameReader(self._near.fileno()).read(_MAX_REPORT))
        if self._pidfd >= 0:  # it has nothing more to do; no need to wait for its own end
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _hear_zygote(self) -> None:
        message, fds = self._worker.control.receive()
        if message[0] == "program_started":
            (self._pidfd,) = fds
        elif message[0] == "program_exited":
            self._has_ended = True
        elif message[0] != "compiler_exited":
            raise WorkerLostError(f"the worker's processes ended: {' '.join(map(str, message))}")

    def _ending(self) -> Ending:
        group = self._worker.group
        out_of_memory = group is not None and group.had_oom_kill()
        limits_s = tuple(float(step["cpu_s"]) for step in self._steps)
        report = self._report
        if report is None or "steps" not in report:
            if out_of_memory:
                lost = Ended(status=signal.SIGKILL, why="", cpu_s=0.0, wall_s=0.0, stdout="", stderr="")
                return Ending(steps=(lost,), limits_s=limits_s, out_of_memory=True)
            raise WorkerLostError(
                f"no report from a program's supervisor: {report}{self._worker.last_words()}"
            )
        for step in report["steps"]:
            if step["unstarted"]:
                raise WorkerLostError(f"a command could not be started: {step['unstarted']}")
        steps = tuple(_ended(step) for step in report["steps"])
        return Ending(steps=steps, limits_s=limits_s, out_of_memory=out_of_memory)


def _ended(step: dict[str, Any]) -> Ended:
    return Ended(
        status=step["status"],
        why=step["why"],
        cpu_s=step["cpu_s"],
        wall_s=step["wall_s"],
        stdout="\n".join(part for part in step["stdout"] if part),
        stderr="\n".join(part for part in step["stderr"] if part),
    )
