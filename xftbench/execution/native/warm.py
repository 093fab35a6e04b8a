"""Compilers that stay warm: a process in a jail of its own that compiles one program after another.

It is a help, never an authority: when it dies, hesitates or says that it can't tell, the program is compiled
by the ordinary command, whose verdict counts. All slots share a few.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xftbench.execution.inside import channel
from xftbench.execution.native.job import Files, encoded, send_job
from xftbench.execution.worker import GRACE_S, Worker, pid_of

_MAX_ANSWER = 64 << 20
_LOOK_S = 0.5
_MAX_STRETCH = 8
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a warm compiler has made of a program."""

    succeeded: bool
    files: Files
    messages: str
    cpu_s: float
    wall_s: float


class Compiler:
    """One process.

    Args:
        worker: Whose zygote starts it.
        command: Its argv, environment and limits, as a step of a job.
        files: What stands in its directory.
        unpack: From the body of an answer to files.
    """

    def __init__(
        self, worker: Worker, command: dict[str, Any], files: Files, unpack: Callable[[bytes], Files]
    ) -> None:
        self.owner = worker
        self._unpack = unpack
        self._connection = send_job(worker, "compiler", {"files": encoded(files), "step": command})
        self._frames = channel.FrameReader(self._connection.fileno())
        _, (self._pidfd,) = worker.expect("compiler_started", GRACE_S, fds=1, besides="compiler_exited")
        self._pid = pid_of(self._pidfd)
        if worker.group:
            with suppress(
                OSError
            ):  # its memory is not a candidate's, and it must not be killed in one's place
                worker.group.release(self._pid)

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked again."""
        return self._pidfd >= 0

    def compile(self, text: str, cpu_s: float) -> Compiled | None:
        """Compile a program, or return None where the ordinary command must.

        After None this compiler is dead.
        """
        started, used_s = time.monotonic(), self._cpu_s()
        try:
            channel.write_frame(self._connection.fileno(), text.encode("utf-8"))
            answer = self._answer(started, used_s, cpu_s)
            if answer[:1] not in (b"\0", b"\1"):
                raise ValueError("it can't tell")
            succeeded = answer[:1] == b"\0"
            return Compiled(
                succeeded=succeeded,
                files=self._unpack(answer[1:]) if succeeded else {},
                messages="" if succeeded else answer[1:].decode("utf-8", "replace"),
                cpu_s=self._cpu_s() - used_s,
                wall_s=time.monotonic() - started,
            )
        except (channel.ChannelClosed, ValueError, OSError):
            self.close()
            return None

    def close(self) -> None:
        """Kill it."""
        if self._pidfd < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        self._pidfd = -1
        self._connection.close()

    def _answer(self, started: float, used_s: float, cpu_s: float) -> bytes:
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        while not poll.poll(_LOOK_S * 1000):
            if self._cpu_s() - used_s > cpu_s or time.monotonic() - started > _MAX_STRETCH * cpu_s:
                raise ValueError("it takes too long")
        return self._frames.read(_MAX_ANSWER)

    def _cpu_s(self) -> float:
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError as error:
            raise channel.ChannelClosed from error
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Compilers:
    """The warm compilers that the slots of this process share."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: dict[str, list[Compiler]] = {}
        self._lent: dict[str, int] = {}

    @contextmanager
    def lend(self, key: str, most: int, start: Callable[[], Compiler]) -> Iterator[Compiler]:
        """Give a compiler to one slot for as long as the block runs; waits while `most` are lent."""
        compiler = self._take(key, most) or self._start(key, start)
        try:
            yield compiler
        finally:
            with self._changed:
                self._lent[key] -= 1
                if compiler.is_alive:
                    self._idle.setdefault(key, []).append(compiler)
                self._changed.notify_all()

    def _take(self, key: str, most: int) -> Compiler | None:
        """Return an idle compiler; None if a new one may be started in its place."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle.get(key) or self._lent.get(key, 0) < most)
            self._lent[key] = self._lent.get(key, 0) + 1
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def _start(self, key: str, start: Callable[[], Compiler]) -> Compiler:
        try:
            return start()
        except BaseException:
            with self._changed:
                self._lent[key] -= 1
                self._changed.notify_all()
            raise

    def forget(self, owner: Worker) -> None:
        """Close the compilers that a worker has started, which die with it."""
        with self._changed:
            for idle in self._idle.values():
                for compiler in [one for one in idle if one.owner is owner]:
                    idle.remove(compiler)
                    compiler.close()
