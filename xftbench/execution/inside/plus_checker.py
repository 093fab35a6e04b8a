"""The checker's process on a plus suite: compare what the candidate streams with what is stored.

It is the only place where a program can pass, and never runs a line of the solution. What the candidate sends
is compared as bytes; the values that have to be looked at come through `wire`, which builds plain data only.
"""

import itertools
import json
import marshal
import os
import time
from bisect import bisect_left
from typing import Any, NamedTuple, NoReturn

from xftbench.execution.inside import channel, items, wire
from xftbench.execution.inside.oracles import FLOAT_TOLERANCE, LENIENT, Answer, Expected, accepts
from xftbench.execution.inside.shown import LONGEST, LONGEST_OF_ERROR, shown

_PROGRESS_S = 1.0
_MAX_TASKS = 512


class _Part:
    """The tests of one part of a task, and what the reference answered; see `references`."""

    def __init__(self, body: bytes, places: dict[str, tuple[int, int]], tolerance: float) -> None:
        self._body = body
        self._places = places
        self._tolerance = tolerance
        self._about: _About | None = None
        self.items = self._piece("items")
        self.starts: list[int] = self._loaded("starts")
        """Where each item begins, and where the last one ends."""
        self.n_tests = len(self.starts) - 1
        never = items.never()
        self.is_decisive = never not in (
            self.items[start:end] for start, end in itertools.pairwise(self.starts)
        )
        """Whether equal bytes are right answers throughout; forged ones could equal `never`."""

    def _piece(self, name: str) -> bytes:
        start, end = self._places[name]
        return self._body[start:end]

    def expected(self, index: int, arguments: Any) -> Expected:
        """Return what the reference answered to a test, and how answers are compared to it."""
        tolerance = self.tolerance(index, strict=False)
        return Expected(self._about_each().types[index], self.value(index), tolerance, arguments)

    def tolerance(self, index: int, *, strict: bool) -> float:
        """Return how far an answer to a test may be off."""
        if self._tolerance:
            return self._tolerance
        about = self._about_each()
        # Parity: upstream's variable keeps what the first floats made of it for all later tests.
        is_floats = about.is_floats[index] if strict else index >= about.first_floats
        return FLOAT_TOLERANCE if is_floats else 0.0

    def value(self, index: int) -> Any:
        """Return what the reference answered; it is trusted."""
        from zlib import decompress

        first, _ = self._places["packed"]
        start, end = self._about_each().packed[index : index + 2]
        if start == end:
            return wire.Opaque("value that is too large to be kept")
        return marshal.loads(decompress(self._body[first + start : first + end]))

    def _about_each(self) -> "_About":
        if self._about is None:
            self._about = _About(*self._loaded("about"))
        return self._about

    def _loaded(self, name: str) -> Any:
        try:
            return marshal.loads(self._piece(name))
        except (ValueError, EOFError, TypeError) as error:
            raise RuntimeError(f"a damaged file of expected answers: {error}") from error  # no answer's fault


class _About(NamedTuple):
    """What is known of a part's answers one by one."""

    packed: list[int]
    """Where each value begins, and where the last one ends."""
    types: list[str]
    is_floats: list[bool]
    first_floats: int
    """Index of the first answer that is made of floats; the number of tests if none is."""


class _Task:
    """A problem's tests; loaded once per worker."""

    def __init__(self, fd: int) -> None:
        with open(fd, "rb", closefd=False) as file:
            head = json.loads(file.readline())
            body = file.read()
        self.parts = {name: _Part(body, places, head["tolerance"]) for name, places in head["parts"].items()}


class _Gone(BaseException):
    """The candidate gives no further answers; why is in the arguments, which become the report."""


class _Judge:
    """One candidate's answers to the parts of one task."""

    def __init__(self, job: dict[str, Any], task: _Task, rpc: int, inputs_fd: int) -> None:
        self._oracle: str = job["oracle"]
        self._task = task
        self._rpc = rpc
        self._frames = channel.FrameReader(rpc)
        self._inputs_fd = inputs_fd
        self._inputs: list[Any] | None = None
        self._layout: dict[str, Any] = {}
        self.report: dict[str, Any] = {}

    def wait_until_jailed(self) -> None:
        """Read the candidate's first message, the only one that no solution can forge."""
        try:
            message = self._decoded(self._receive())
        except _Gone:
            message = None
        if message != ("jailed",):
            said = message[1] if _is_strings(message, 2) else "the candidate never started"
            raise _Gone("unjailed", said)

    def judge(self, layout: dict[str, Any], control: channel.Control) -> None:
        """Judge one part and put the result into the report."""
        self._layout, self._inputs = layout, None
        part = self._task.parts[layout["name"]]
        result = self.report[layout["name"]] = {"report": ["gone"], "strict": None, "failure": None}
        told = time.monotonic()
        done = 0
        try:
            while True:
                frame = self._receive()
                if (now := time.monotonic()) - told > _PROGRESS_S:
                    told = now
                    control.send(["progress", layout["name"], done])
                late, ends = self._head(frame)
                done = self._compare(frame, part, done, result)
                if late >= 0 and not result["strict"]:
                    result["strict"] = ["timed_out", f"input {late} took too long, and went on"]
                self._send(items.NEXT)
                if ends:
                    break
            complete = done == part.n_tests
            result["report"] = ["ok"] if complete else ["violation", "too few answers"]
        except _Gone as gone:
            result["report"] = _short(gone.args)
            raise
        except _WrongError as wrong:
            result["report"] = _short(wrong.report)
            result["failure"] = self._failure(part, wrong)
            self._send(items.SKIP)

    def _head(self, frame: bytes) -> tuple[int, bool]:
        if frame[:1] == items.MESSAGE:
            message = self._decoded(frame[1:])
            if _is_strings(message, 4) and message[0] in ("compile", "start"):
                raise _Gone(*message)
        if frame[:1] != items.RESULTS or len(frame) < items.RESULTS_HEAD.size:
            raise _Gone("violation", "a message that is none of ours")
        _, late, ends = items.RESULTS_HEAD.unpack_from(frame)
        return late, bool(ends)

    def _compare(self, frame: bytes, part: _Part, done: int, result: dict[str, Any]) -> int:
        """Return how many tests are answered after a frame of right answers."""
        start = items.RESULTS_HEAD.size
        begin = part.starts[done]
        end = begin + len(frame) - start
        if part.is_decisive and part.items[begin:end] == frame[start:]:  # the usual case: all is right
            reached = bisect_left(part.starts, end)
            if reached < len(part.starts) and part.starts[reached] == end:
                return reached
        try:
            for item in items.split(frame, start):  # where `never` is none
                if done >= part.n_tests:
                    raise _Gone("violation", "more answers than tests")
                if frame[item.start : item.end] != part.items[part.starts[done] : part.starts[done + 1]]:
                    self._look_at(frame, item, part, done, result)
                done += 1
        except ValueError as error:
            raise _Gone("violation", str(error)) from error
        return done

    def _look_at(
        self, frame: bytes, item: items.Item, part: _Part, index: int, result: dict[str, Any]
    ) -> None:
        """Judge one answer by its value.

        Raises:
            _WrongError: If it is not right.
        """
        encoded = frame[item.body : item.end]
        if item.mark == items.ERROR:
            message = self._decoded(encoded)
            if not _is_strings(message, 3):
                raise _Gone("violation", "an exception that is none")
            raise _WrongError(index, ("raised", *message, str(index)), _told(message))
        if item.mark != items.WIRE:
            self._send(items.ASK.pack(b"v", index))
            reply = self._receive()
            if reply == items.CHANGED:
                raise _WrongError(index, ("changed", str(index)), "an answer that was changed since")
            if reply[:1] != items.VALUE:
                raise _Gone("violation", "an answer to another question")
            encoded = reply[1:]
        answer = self._as_answer(self._decoded(encoded))
        needs_them = self._oracle in ("root", "other_surface", "other_digits")
        expected = part.expected(index, self._arguments(index) if needs_them else None)
        if not accepts(self._oracle, answer, expected, strict=False):
            raise _WrongError(index, ("mismatch", str(index)), shown(answer.value))
        tolerance = part.tolerance(index, strict=True)
        has_shape = tolerance > 0 and isinstance(expected.value, (list, tuple))
        is_lenient = self._oracle in LENIENT or has_shape or wire.NARROW in encoded
        is_same = tolerance == expected.tolerance and not is_lenient
        if is_same or result["strict"] is not None:
            return
        answer = self._as_answer(self._decoded(encoded))  # anew: what iterates has come to its end
        if not accepts(self._oracle, answer, expected._replace(tolerance=tolerance), strict=True):
            result["strict"] = ["failed", f"input {index} is right only by a leniency of evalplus"]
            result["failure"] = self._failure(part, _WrongError(index, (), shown(answer.value)))

    def _as_answer(self, message: object) -> Answer:
        if type(message) is tuple and len(message) in (2, 3) and type(message[0]) is str:
            return Answer(*message)
        raise _Gone("violation", "a value that is none")

    def _arguments(self, index: int) -> Any:
        """Return a test's arguments as they were; the candidate has its own."""
        if self._inputs is None:
            data = os.pread(self._inputs_fd, self._layout["length"], self._layout["offset"])
            self._inputs = marshal.loads(data)
        return self._inputs[index]

    def _failure(self, part: _Part, wrong: "_WrongError") -> dict[str, str]:
        arguments = self._arguments(wrong.index)
        return {
            "input": ", ".join(map(shown, arguments))[:LONGEST],
            "expected": shown(part.value(wrong.index)),
            "actual": wrong.actual,
        }

    def _send(self, body: bytes) -> None:
        try:
            channel.write_frame(self._rpc, body)
        except channel.ChannelClosed:
            raise _Gone("gone") from None

    def _receive(self) -> bytes:
        try:
            return self._frames.read(wire.MAX_BYTES)
        except channel.ChannelClosed:
            raise _Gone("gone") from None
        except (ValueError, MemoryError) as error:
            raise _Gone("violation", str(error) or type(error).__name__) from error

    def _decoded(self, data: bytes) -> Any:
        try:
            return wire.decode(data, bounded=True)
        except (ValueError, MemoryError) as error:  # WireError is a ValueError
            raise _Gone("violation", str(error) or type(error).__name__) from error


class _WrongError(Exception):
    """A test was not passed."""

    def __init__(self, index: int, report: tuple[str, ...], actual: str) -> None:
        super().__init__()
        self.index = index
        self.report = report
        self.actual = actual


def _told(message: tuple[str, str, str]) -> str:
    _, name, text = message
    return (f"{name}: {text}" if text else name)[:LONGEST]


def _short(report: tuple[object, ...]) -> list[str]:
    return [str(part)[:LONGEST_OF_ERROR] for part in report]


def _is_strings(message: object, length: int) -> bool:
    return type(message) is tuple and len(message) == length and all(type(part) is str for part in message)


def judge(
    job: dict[str, Any], task: _Task, rpc: int, inputs_fd: int, control: channel.Control
) -> dict[str, Any]:
    """Return the report on a candidate: for each part what happened, and the first failure."""
    session = _Judge(job, task, rpc, inputs_fd)
    try:
        session.wait_until_jailed()
        for layout in job["parts"]:
            session.judge(layout, control)
            if layout is not job["parts"][-1]:
                # A candidate that hangs in a later part is given up, and this process perhaps with it.
                control.send(["part", layout["name"], session.report[layout["name"]]])
    except _Gone as gone:
        session.report.setdefault("ended", _short(gone.args))
    return session.report


def serve(control: channel.Control) -> NoReturn:
    """Judge jobs until the harness hangs up."""
    import gc

    gc.enable()
    tasks: dict[str, _Task] = {}
    try:
        while True:
            job, fds = control.receive()
            try:
                if job["task"] not in tasks:
                    while len(tasks) >= _MAX_TASKS:
                        tasks.pop(next(iter(tasks)))
                    tasks[job["task"]] = _Task(fds[2])
                report = judge(job, tasks[job["task"]], fds[0], fds[1], control)
            finally:
                for fd in fds:
                    os.close(fd)
            control.send(report)
    except channel.ChannelClosed:
        pass
    finally:
        os._exit(0)
