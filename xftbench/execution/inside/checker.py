"""The checker's process: runs the benchmark's own test, whose `candidate` lives in another process.

It is the only place where a program can pass, and never runs a line of the solution. One checker serves many
jobs; after anything odd it is replaced.
"""

import builtins
import gc
import os
import random
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Any, NoReturn

from xftbench.execution.inside import channel, remote, wire
from xftbench.execution.inside.shown import LONGEST_OF_ERROR, call, shown, text_of

_TEST = "<test>"
_LINES = 50
_RENAMED = (StopIteration, StopAsyncIteration, GeneratorExit)


class _Ended(BaseException):
    """The candidate's process gives no further answers; a test can't catch this by `except Exception`."""


class RemoteError(Exception):
    """An exception of the solution that has no builtin type of its own kind to be raised as."""


class Candidate:
    """The candidate as the test sees it: a function that asks the other process."""

    def __init__(self, rpc: int, names: list[str]) -> None:
        self._rpc = rpc
        self._keep = remote.number_of if names else None
        self._find = self._stand_in if names else None
        self.named = {name: remote.named(self.ask, name) for name in names}
        """What else the test takes from the solution."""
        self._frames = channel.FrameReader(rpc)
        self.trouble: list[str] | None = None
        """Why there can be no verdict from the test any more, whatever the test makes of it."""
        self._last: tuple[object, ...] = ()
        """Arguments of the last call of the candidate, and what it returned, if it did."""

    def wait_until_ready(self) -> None:
        """Read the candidate's first message.

        Raises:
            _Ended: If the solution did not even load.
        """
        try:
            message = self._receive()
        except _Ended:
            message = None
        if message != ("jailed",):
            self._end("unjailed", message[1] if _is_strings(message, 2) else "the candidate never started")
        message = self._receive()
        if message == ("ready",):
            return
        if _is_strings(message, 4) and message[0] in ("compile", "start"):
            self._end(*message)
        self._end("violation", "a first message that is none of ours")

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Return the candidate's value, or raise its exception."""
        self._last = (arguments, keywords)
        value = self.ask((arguments, keywords))
        self._last += (value,)
        return value

    def last_call(self) -> dict[str, str]:
        """Return the last call of the candidate as short texts: its input, and what it returned."""
        arguments, keywords, *value = self._last or ((), {})
        assert isinstance(arguments, tuple)
        assert isinstance(keywords, dict)
        about = {"input": call(arguments, keywords)} if self._last else {}
        return about | ({"actual": shown(value[0])} if value else {})

    def ask(self, asked: tuple[Any, ...]) -> Any:
        """Return the answer to a request, or raise the exception that is the answer."""
        if self.trouble:
            raise _Ended
        try:
            request = wire.encode(asked, opaque=False, keep=self._keep)
        except wire.OpaqueError as error:
            self._end("violation", f"a value that can't be passed on to it: {error}")
        except wire.WireError as error:
            # Where the test hands the solution's own values back, they may be what is too large or too deep.
            kind = "violation" if self._keep else "broken"
            self._end(kind, f"a value that can't be passed on to it: {error}")
        try:
            channel.write_frame(self._rpc, request)
        except channel.ChannelClosed:
            self._end("gone")
        message = self._receive()
        if type(message) is tuple and len(message) == 2 and message[0] == "value":
            return message[1]
        if _is_strings(message, 4) and message[0] == "error":
            raise _as_exception(*message[1:])
        return self._end("violation", "an answer that is none")

    def _stand_in(self, number: int, type_name: str) -> remote.RemoteObject:
        return remote.RemoteObject(self.ask, number, type_name)

    def _receive(self) -> Any:
        try:
            return wire.decode(self._frames.read(wire.MAX_BYTES), self._find)
        except channel.ChannelClosed:
            self._end("gone")
        except (ValueError, MemoryError) as error:  # WireError is a ValueError
            self._end("violation", str(error) or type(error).__name__)

    def _end(self, *trouble: str) -> NoReturn:
        self.trouble = [text[:LONGEST_OF_ERROR] for text in trouble]
        raise _Ended


def _is_strings(message: object, length: int) -> bool:
    return type(message) is tuple and len(message) == length and all(type(part) is str for part in message)


def _as_exception(nearest: str, name: str, text: str) -> BaseException:
    """Return the builtin exception of that name, so that a test which expects one can catch it."""
    kind = getattr(builtins, nearest, None)
    shown = text if nearest == name else f"{name}: {text}"
    if isinstance(kind, type) and issubclass(kind, _RENAMED):
        # Raised through a stub they would end a loop of the test: `all(map(candidate, xs))` would hold.
        return RuntimeError(f"{name}: {text}")
    if isinstance(kind, type) and issubclass(kind, BaseException):
        try:
            return kind(shown)
        except TypeError:  # UnicodeError and groups want more than a text
            pass
    return RemoteError(f"{name}: {text}")


@lru_cache(maxsize=1024)
def _compiled(source: str, name: str) -> CodeType:
    return compile(source, name, "exec", dont_inherit=True)


def judge(job: dict[str, Any], rpc: int) -> list[Any]:
    """Run one test and return [what happened, ..., the last call]: the evidence, not yet the verdict.

    `ok`, `assertion` and `raised` come from the test; `compile`, `start`, `gone` and `violation` from the
    candidate's process; `broken` means that the benchmark's own code failed, `unjailed` that our jail did.
    """
    random.seed(0)
    candidate = Candidate(rpc, job.get("names", []))
    namespace: dict[str, Any] = {}
    try:
        exec(_compiled(job["context"], "<context>"), namespace)  # noqa: S102 - the benchmark's own code
        exec(_compiled(job["test"], _TEST), namespace)  # noqa: S102
        check: Callable[[object], object] = namespace["check"]
        namespace |= candidate.named
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the report
        return ["broken", f"the test does not load: {type(error).__name__}: {text_of(error)}"]
    namespace["candidate"] = namespace[job["entry_point"]] = candidate
    try:
        candidate.wait_until_ready()
        check(candidate)
        report: list[Any] = ["ok"]
    except BaseException as error:  # noqa: BLE001
        report = _told(error, job["test"], candidate)
    finally:
        namespace.clear()  # its functions hold it, and it the last answer, of up to some gigabytes
    return candidate.trouble or report


def _told(error: BaseException, test: str, candidate: Candidate) -> list[Any]:
    try:
        return [*_report(error, test), candidate.last_call()]
    except BaseException:  # noqa: BLE001 - such as a second MemoryError: answers may fill all that there is
        return ["raised", "MemoryError", "a failure that can't be told", ""]


def _report(error: BaseException, test: str) -> list[str]:
    line = _failing_line(error.__traceback__, test)
    if type(error) is AssertionError:
        return ["assertion", line, text_of(error)]
    return ["raised", type(error).__name__, text_of(error), line]


def _failing_line(traceback: TracebackType | None, test: str) -> str:
    """Return the statement of the test that was at work."""
    number = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == _TEST:
            number = traceback.tb_lineno
        traceback = traceback.tb_next
    lines = test.split("\n")[max(number - 1, 0) :] if number else []
    for length in range(1, min(len(lines), _LINES) + 1):
        text = "\n".join(lines[:length]).strip()
        try:
            compile(text, _TEST, "exec", dont_inherit=True)
            return text
        except (SyntaxError, ValueError):  # the statement goes on
            continue
    return lines[0].strip() if lines else ""


def serve(control: channel.Control) -> NoReturn:
    """Judge jobs until the harness hangs up."""
    gc.enable()  # the zygote has it off; a checker lives long, and each failed test leaves a cycle
    try:
        while True:
            job, (rpc,) = control.receive()
            try:
                report = judge(job, rpc)
            finally:
                os.close(rpc)
            control.send(report)
    except channel.ChannelClosed:
        pass
    finally:
        os._exit(0)
