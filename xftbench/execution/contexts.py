"""Context programs: a referee that runs the test, and its child that runs the solution, in an environment.

Which libraries a zygote has imported before it forks follows from what the context imports, and from whether
the solution names torch or TensorFlow: TensorFlow needs what its family's jail has, and a referee takes
tensors only of a library that it imported before it heard from its candidate. Only the imports are shared: an
operation before the fork would leave torch, TensorFlow and OpenMP with threads that a child has not, and it
would hang. No sub-module is imported that the library itself does not import, or a solution that forgot an
import would pass.
"""

import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import msgspec

from xftbench.errors import ToolchainError
from xftbench.execution import environments, outcome
from xftbench.execution.answers import Answers
from xftbench.execution.inside.channel import Control, frame_in
from xftbench.execution.interpreter import of_environment
from xftbench.execution.nurseries import Nurseries
from xftbench.execution.outcome import Exit, InfrastructureError
from xftbench.execution.worker import GRACE_S, Worker, WorkerLostError, WorkerRunner, living, pid_of, used_by
from xftbench.records import ContextProgram, Limits, Outcome, Program

ENVIRONMENT = "ds1000"

_ALL = (
    "ast", "bisect", "collections", "copy", "datetime", "functools", "heapq", "io", "itertools", "json",
    "math", "operator", "os", "pickle", "random", "re", "string", "time", "tokenize", "traceback", "typing",
    "numpy", "numpy.testing", "pandas",
)  # fmt: skip
_SCIPY = (
    *_ALL, "scipy", "scipy.cluster", "scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.linalg",
    "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse", "scipy.spatial", "scipy.special",
    "scipy.stats",
)  # fmt: skip
_PLOTS = (
    *_ALL, "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin", "matplotlib.pyplot", "matplotlib.backends.backend_agg",
    "seaborn",
)  # fmt: skip


class _Family(NamedTuple):
    """Programs that are served by the same zygote."""

    imports: re.Pattern[str]
    """What a context must import to be one of them."""
    preload: tuple[str, ...]
    arenas: int
    """How much memory these fill; see `inside.heap`."""
    worth_a_second: int
    """How many must wait before another zygote pays, which costs up to 2.7 CPU seconds to start."""
    named: re.Pattern[str] | None = None
    """What makes a program one of them if its solution has it."""


def _importing(*words: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*(?:import|from)\s+(?:{'|'.join(words)})\b", re.M)


_TORCH = (*_ALL, "torch", "torch.distributed.tensor", "torch._dynamo")
_FAMILIES = {
    "tensorflow": _Family(
        _importing("tensorflow", "keras"),
        (*_ALL, "tensorflow"),
        137,
        100,
        re.compile(r"\b(?:tensorflow|keras)\b"),
    ),
    "torch": _Family(_importing("torch"), _TORCH, 110, 100, re.compile(r"\btorch\b")),
    "plots": _Family(_importing("matplotlib", "seaborn"), _PLOTS, 53, 8),
    "sklearn": _Family(
        _importing("sklearn", "xgboost", "statsmodels", "gensim"), (*_SCIPY, "sklearn"), 41, 8
    ),
    "scipy": _Family(_importing("scipy"), _SCIPY, 37, 16),
    "numpy": _Family(re.compile(""), _ALL, 24, 16),
}
"""By name; a program is of the first that fits."""

_APART = "the result was compared in a process that the program never ran in"
_IN_PLACE = "the result can't be moved out of the program's process; passing there would prove nothing"
_REPORT_BYTES = 1 << 20
_SAID = {
    "ok": 0, "assertion": 2, "raised": 3, "program_raised": 3, "compile": 3, "violation": 1, "gone": 0,
    "stays": 1, "doubtful": 3, "broken": 1, "unjailed": 1, "unrecorded": 0,
}  # fmt: skip
"""What a referee may report -> how many texts come with it."""
_TELLING = ("assertion", "raised", "program_raised")
"""Reports behind which may stand what was compared."""
_STDERR_BYTES = 2000
_MAX_STRETCH = 4
"""A program that keeps a processor busy gets at most this many times its wall limit: others may work too."""
_BUSY = 0.05


def family(program: ContextProgram) -> str:
    """Return the name of the libraries that a program should find imported."""
    return next(
        name
        for name, one in _FAMILIES.items()
        if one.imports.search(program.context) or (one.named and one.named.search(program.solution))
    )


def starter(name: str) -> Callable[[Limits, str], "ContextRunner"]:
    """Return what starts a runner of a family."""
    return lambda limits, isolation: ContextRunner(limits, isolation, _FAMILIES[name])


def worth_a_second(name: str) -> int:
    """Return how many programs of a family must wait before another zygote pays."""
    return _FAMILIES[name].worth_a_second


class ContextRunner(WorkerRunner):
    """Runs context programs one after another, in forks of an interpreter that has imported some modules."""

    def __init__(self, limits: Limits, isolation: str, family: _Family) -> None:
        try:
            environment = environments.find(ENVIRONMENT)
        except ToolchainError as error:
            raise WorkerLostError(str(error)) from error
        interpreter = of_environment(environment, family.preload, family.arenas)
        super().__init__(Worker(limits, isolation, interpreter, with_checker=False, service="context"))
        self._answers = Answers(environment, family.preload)
        self._nurseries = Nurseries(self._worker, family.preload)

    def run(self, program: Program) -> Outcome:
        """Run a `ContextProgram`."""
        assert isinstance(program, ContextProgram)
        with self._worker.or_lost():
            forker = self._nurseries.forker(program.context)
            try:
                return self._run_once(program, forker)
            except _DoubtfulError as error:
                rehearsal = _Job(self._worker, forker, program, "rehearse", numbers=error.numbers).run()
                if rehearsal.verdict != "passed":
                    raise InfrastructureError(f"{program.task_id}: {rehearsal.detail}") from error
            try:
                return self._run_once(program, forker)
            except _DoubtfulError as error:
                return error.outcome

    def kill(self) -> None:
        """Kill every process and wait."""
        super().kill()
        self._nurseries.close()

    def _run_once(self, program: ContextProgram, forker: Control) -> Outcome:
        if key := self._answers.key_of(program):
            try:
                return self._run_recorded(program, forker, key)
            except _UnrecordedError:
                self._answers.forget(key)
        return _Job(self._worker, forker, program).run()

    def _run_recorded(self, program: ContextProgram, forker: Control, key: str) -> Outcome:
        """Run a program with what its test expects recorded, by it if nobody has done so."""
        entry = self._answers.open(key)
        memory = os.memfd_create("answers") if entry is None else entry
        try:
            use = "make" if entry is None else "use"
            judged = _Job(self._worker, forker, program, use, (memory,)).run()
            if entry is None:
                self._answers.keep(key, memory)
            return judged
        finally:
            os.close(memory)


class _UnrecordedError(Exception):
    """What a test expects can't be recorded, or not be read."""


class _DoubtfulError(Exception):
    """A test could not make an input, after the program had handed in a result for the one before.

    If the inputs can be made without the program, and it happens again, it is the program that left no room.
    """

    def __init__(self, numbers: str, outcome: Outcome) -> None:
        super().__init__()
        self.numbers = numbers
        """Of the inputs, up to the one that failed, in one text."""
        self.outcome = outcome
        """If it is the program's failure."""


class _Job:
    """One program on its way through a worker."""

    def __init__(
        self,
        worker: Worker,
        forker: Control,
        program: ContextProgram,
        answers: str = "",
        fds: tuple[int, ...] = (),
        numbers: str = "",
    ) -> None:
        self._worker = worker
        self._forker = forker
        self._program = program
        self._answers = answers
        self._fds = fds
        self._numbers = numbers
        self._started = time.monotonic()
        self._deadline = self._started + worker.limits.wall_s
        self._pidfd = -1
        self._ended: tuple[int, float] | None = None
        self._said = b""
        self._report: list[Any] | None = None
        self._timed_out = False
        self._is_killed = False

    def run(self) -> Outcome:
        with ExitStack() as stack:
            near, far = (stack.enter_context(end) for end in socket.socketpair())
            errors = os.memfd_create("stderr")
            stack.callback(os.close, errors)
            self._hand_out(far, errors)
            far.close()
            try:
                self._watch(near)
            finally:
                if self._pidfd >= 0:
                    os.close(self._pidfd)
            return self._judge(_tail(errors))

    def _hand_out(self, report: socket.socket, errors: int) -> None:
        program = self._program
        about = {
            "solution": program.solution, "context": program.context, "seeded": program.seeded,
            "answers": self._answers, "numbers": self._numbers,
        }  # fmt: skip
        job = json.dumps(about).encode()
        self._worker.order("context", job, report.fileno(), errors, *self._fds, forker=self._forker)

    def _watch(self, report: socket.socket) -> None:
        """Wait until the referee has spoken, if it does, and is dead."""
        poll = select.poll()
        poll.register(self._forker.fileno(), select.POLLIN)
        poll.register(report.fileno(), select.POLLIN)
        while self._ended is None:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                self._on_deadline()
                continue
            for fd, _ in poll.poll(left_s * 1000 + 1):
                if fd == self._forker.fileno():
                    self._hear_forker()
                elif not self._hear_referee(report):
                    poll.unregister(fd)
        while self._hear_referee(report):  # it may have spoken and ended at once
            pass

    def _on_deadline(self) -> None:
        if self._is_killed:
            raise WorkerLostError("the candidate did not die")
        now = time.monotonic()
        elapsed_s = now - self._started
        if elapsed_s < _MAX_STRETCH * self._worker.limits.wall_s and self._cpu_s() > _BUSY * elapsed_s:
            self._deadline = now + self._worker.limits.wall_s / 4
            return
        self._timed_out = True
        self._kill()

    def _kill(self) -> None:
        self._is_killed = True
        self._deadline = time.monotonic() + GRACE_S
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _cpu_s(self) -> float:
        """Return the CPU seconds of the referee and its living descendants."""
        return sum(map(used_by, living(pid_of(self._pidfd)))) if self._pidfd >= 0 else 0.0

    def _hear_forker(self) -> None:
        message, fds = self._forker.receive()
        if message[0] == "context_started":
            (self._pidfd,) = fds
            if self._is_killed:
                self._kill()
        elif message[0] == "context_exited":
            self._ended = (message[1], message[2])
        else:
            raise WorkerLostError(f"the worker's processes ended: {' '.join(map(str, message))}")

    def _hear_referee(self, report: socket.socket) -> bool:
        """Take what the referee has written so far, without waiting; return whether there may be more."""
        if self._report is not None:
            return False
        try:
            part = report.recv(_REPORT_BYTES, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionError):
            return False
        self._said += part
        try:
            frame = frame_in(self._said, _REPORT_BYTES)
        except ValueError:
            self._report = [None, "violation", "a report that is too long"]
            self._kill()  # nobody reads the rest: it would wait for that until its time is up
            return False
        if frame is not None:
            self._report = _report_in(frame)
        return bool(part) and frame is None

    def _judge(self, stderr: str) -> Outcome:
        assert self._ended is not None
        limits = self._worker.limits
        status, cpu_s = self._ended
        end, *kind = self._report or [None, "gone"]
        if end is not None:
            status = end[0]
        was_killed = outcome.was_sigkilled(status) and not self._is_killed
        out_of_memory = self._worker.had_oom_kill(was_killed=was_killed)
        if kind[0] == "unjailed":
            raise WorkerLostError(f"a candidate's jail could not be built: {kind[1]}")
        if kind[0] == "unrecorded":
            raise _UnrecordedError
        if kind[0] == "broken":
            raise InfrastructureError(f"{self._program.task_id}: {kind[1]}")
        is_doubtful = kind[0] == "doubtful"
        if is_doubtful:
            _, name, text, made = kind
            kind = ["raised", name, text, "the test's next input"]
        if kind[0] == "stays":
            detail = outcome.printable(kind[1])
            return Outcome(
                verdict="failed", strict="failed", detail=detail, evidence=_IN_PLACE, stderr=stderr
            )
        judged = outcome.judge(
            kind,
            Exit(status=status, cpu_s=cpu_s, out_of_memory=out_of_memory),
            limits,
            timed_out=self._timed_out,
            wall_s=time.monotonic() - self._started,
        )
        evidence = _APART if kind[0] == "ok" else ""
        judged = msgspec.structs.replace(judged, strict=judged.verdict, evidence=evidence, stderr=stderr)
        if is_doubtful:
            raise _DoubtfulError(made, judged)
        return judged


def _report_in(frame: bytes) -> list[Any]:
    """Return a referee's report: [the candidate's end or nothing, what happened, texts, perhaps more texts].

    The referee is trusted, but it has read what a program wrote: nothing that it says may end the harness.
    """
    try:
        end, kind, *said = json.loads(frame)
        about = said.pop() if kind in _TELLING and len(said) > _SAID[kind] else {}
        is_ours = (end is None or type(end[0]) is int) and len(said) == _SAID[kind]
        if is_ours and all(type(text) is str for text in (*said, *about.values())):
            return [end, kind, *said, *([about] if about else [])]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError):
        pass
    return [None, "violation", "a report that is none of ours"]


def _tail(errors: int) -> str:
    size = os.fstat(errors).st_size
    text = os.pread(errors, _STDERR_BYTES, max(0, size - _STDERR_BYTES)).decode(errors="replace")
    return "".join(char for char in text if char.isprintable() or char in "\n\t")
