"""Ctrl-C and SIGTERM end a command within seconds, whatever it is doing.

Python turns a signal into an exception in the main thread. Nothing follows from it while that thread is in a
library's C code, and it is lost where a destructor or a callback swallows it. So a thread that wakes at the
signal itself watches over the end: if the process is still there after a while, or at a second signal, it is
ended at once. Nothing is lost by that: what is on the disk survives a kill at any point.

Imports nothing heavy: both command lines start with it.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from xft import streams

EXIT_CODE = 130
MESSAGE = "interrupted; the same command goes on where it stopped"
GRACE_S = 10.0
_LOOK_S = 0.5
_WATCHED: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""Signal: what it does if nobody has asked for something else (nohup, for one, has SIGINT ignored)."""


class Interrupted(KeyboardInterrupt):
    """What is raised: no plain one, on which the interpreter would end by the signal instead of its code."""


def run(command: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its exit code; an interrupted one ends with `EXIT_CODE`."""
    streams.secure()
    watch = _Watch()
    try:
        code = command()
        watch.is_over = True
    except BaseException:
        if not watch.n_signals:
            raise
        code = 1
    if not watch.n_signals or code == 0:
        raise SystemExit(code)
    if code != EXIT_CODE:  # whatever failed has failed of the interruption
        say(MESSAGE)
    os._exit(EXIT_CODE)  # the interpreter's own end takes seconds where torch is loaded


_patient: list[None] = []
"""One entry for each `patiently` that is open."""


@contextlib.contextmanager
def patiently() -> Iterator[None]:
    """Give what runs here all the time it needs to end by itself after a first signal."""
    _patient.append(None)
    try:
        yield
    finally:
        _patient.pop()


class _Watch:
    """Waits for signals from its making to the end of the process."""

    def __init__(self) -> None:
        self.n_signals = 0
        self.is_over = False
        self._wake, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_forget)
        threading.Thread(target=self._wait, name="interrupt", daemon=True).start()
        for number, default in _WATCHED.items():
            if signal.getsignal(number) is default:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.n_signals += 1
        if self.is_over:  # the interpreter is shutting down: nobody would catch an exception
            os._exit(EXIT_CODE)
        if self.n_signals == 1:
            raise Interrupted

    def _wait(self) -> None:
        seen, waited_s = 0, 0.0
        while seen < 2 and waited_s < GRACE_S:
            if select.select([self._wake], [], [], _LOOK_S if seen else None)[0]:
                seen += sum(number in _WATCHED for number in os.read(self._wake, 64))
            elif not _patient:
                waited_s += _LOOK_S
        say(f"{MESSAGE} (ended at once)")
        _terminate_children()
        os._exit(EXIT_CODE)


def _forget() -> None:
    """Give a forked child the usual signals: nobody watches there."""
    signal.set_wakeup_fd(-1)
    for number, default in _WATCHED.items():
        if callable(signal.getsignal(number)):
            signal.signal(number, default)


def _terminate_children() -> None:
    """Ask our children to end; the jailed ones die with us without being asked."""
    with contextlib.suppress(OSError, ValueError):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                os.kill(int(child), signal.SIGTERM)


def say(message: str) -> None:
    """Write a line to stderr without a lock that another thread may hold."""
    with contextlib.suppress(OSError):
        os.write(2, f"{message}\n".encode())
