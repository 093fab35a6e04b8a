"""From evidence to outcome: pure functions, so that each rule can be read and tested alone.

A program has passed only if the checker says `ok`; nothing that the candidate's process says or does can
lead there.
"""

import ast
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xftbench.records import Failure, Limits, Outcome, VerdictName

_DETAIL = 300
_CPU_LIMIT_SHARE = 0.5
"""The kernel holds its limit against a count of clock ticks, which on a busy virtual machine is up to a third
above the seconds that it reports in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How the candidate's first process ended."""

    status: int
    """As waitpid returns it."""
    cpu_s: float
    out_of_memory: bool = False
    """Whether the kernel has killed something of this worker for want of memory."""


class InfrastructureError(Exception):
    """The sandbox or the benchmark's own code failed, so nothing is known about the program."""


def judge(report: Sequence[Any], ended: Exit, limits: Limits, *, timed_out: bool, wall_s: float) -> Outcome:
    """Return the outcome of a job.

    Args:
        report: What the checker said; see `inside.checker.judge`. Empty if it had to be killed.
        ended: How the candidate ended.
        limits: What it was allowed.
        timed_out: Whether the wall clock ran out before the checker had spoken.
        wall_s: Seconds it took.

    Raises:
        InfrastructureError: If the evidence is of our own failure.
    """
    about = report[-1] if report and isinstance(report[-1], dict) else {}
    kind, *said = [part for part in report if part is not about] or ["stuck"]
    if timed_out and kind != "ok":
        verdict: VerdictName = "timed_out"
        detail = f"no verdict within {limits.wall_s:g} s of wall time"
    elif kind == "gone":
        verdict, detail = death(ended, limits)
    else:
        verdict, detail = _by_report(kind, said)
    return Outcome(
        verdict=verdict,
        detail=printable(detail),
        failure=_failure(kind, said, about) if about and not timed_out else None,
        cpu_s=round(ended.cpu_s, 4),
        wall_s=round(wall_s, 4),
    )


def _failure(kind: str, said: list[str], about: dict[str, str]) -> Failure:
    """Return what the test asked last, what it expected and what it got."""
    # Of what the program itself has raised, the line is the program's own.
    line = "" if kind == "program_raised" else said[0 if kind == "assertion" else -1]
    actual = about.get("actual", "" if kind == "assertion" else exception_text(*said[:2]))
    return Failure(
        input=printable_value(about.get("input", "")),
        expected=printable_value(about.get("expected", "") or _expected(line)),
        actual=printable_value(actual),
    )


def _expected(line: str) -> str:
    """Return what a test's assertion demands: of an equation the other side than the call, else itself."""
    demand = line.removeprefix("exec_test: ")
    try:
        return _demanded(ast.parse(demand).body, is_own=demand != line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two of what is nested too deep
        return ""


def _demanded(statements: list[ast.stmt], *, is_own: bool) -> str:
    match statements:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]))] if (
            not is_own
        ):
            is_turned = isinstance(right, ast.Call) and not isinstance(left, ast.Call)
            return ast.unparse(left if is_turned else right)
        case [ast.Assert(test=test)]:
            return ast.unparse(test)
    return ""


def _by_report(kind: str, said: list[str]) -> tuple[VerdictName, str]:
    if kind == "ok":
        return "passed", ""
    if kind == "assertion":
        line, message = said
        return "failed", f"AssertionError: {message or line}" if not (
            message and line
        ) else f"{line}: {message}"
    if kind in ("raised", "program_raised"):
        name, text, line = said
        verdict: VerdictName = "out_of_memory" if name == "MemoryError" else "failed"
        return verdict, exception_text(name, text, line)
    if kind == "compile":
        _, name, text = said
        return "compile_error", exception_text(name, text)
    if kind == "start":
        nearest, name, text = said
        return ("out_of_memory" if nearest == "MemoryError" else "failed"), exception_text(name, text)
    if kind == "violation":
        return "failed", f"the program answered with {said[0]}"
    raise InfrastructureError(" ".join((kind, *said)))


def exception_text(name: str, text: str, line: str = "") -> str:
    """Return an exception as people read it."""
    return (f"{name}: {text}" if text else name) + (f" (at {line})" if line else "")


def death(ended: Exit, limits: Limits) -> tuple[VerdictName, str]:
    """Say why a candidate ended before the test did."""
    if not os_was_signalled(ended.status):
        return "crashed", f"exited with status {ended.status >> 8} before the test ended"
    if was_sigkilled(ended.status):
        if ended.cpu_s >= limits.cpu_s * _CPU_LIMIT_SHARE:
            return "timed_out", f"used {limits.cpu_s} s of CPU time"
        if ended.out_of_memory:
            return "out_of_memory", "killed by the kernel: out of memory"
        return "crashed", "closed its connection to the checker before the test ended"
    number = ended.status & 0x7F
    try:
        return "crashed", f"killed by {signal.Signals(number).name}"
    except ValueError:
        return "crashed", f"killed by signal {number}"


def os_was_signalled(status: int) -> bool:
    """Return whether a wait status means death by a signal."""
    return status & 0x7F not in (0, 0x7F)


def was_sigkilled(status: int) -> bool:
    """Return whether a wait status means death by SIGKILL."""
    return status & 0x7F == signal.SIGKILL


def printable(text: str) -> str:
    """Return a text as one short line that any terminal and any file can hold."""
    return _cut(" ".join(_cleaned(text).split()))


def printable_value(text: str) -> str:
    """Return a value's text like `printable`, but with its spaces: they may be all that is wrong with it."""
    return _cut(_cleaned(text))


def spelled_out(line: str) -> str:
    """Return a line of a program with its tabs, and what a terminal would take for a command as an escape."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)


def _cleaned(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[: 4 * _DETAIL])


def _cut(text: str) -> str:
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"
