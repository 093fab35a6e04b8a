"""From how the steps of a program ended to its outcome: pure functions."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from xftbench.execution.native.language import Language, Step
from xftbench.execution.outcome import os_was_signalled, printable, was_sigkilled
from xftbench.records import Outcome, VerdictName

_CPU_NEARLY = 0.8  # the limit is held by the kernel's ticks, what was used is measured more finely
_CPU_NEARLY_KILLED = 0.6  # of what was killed, as at the limit: on a busy machine, ticks ran ahead by 0.3
_SHOWN = 2000
_READ = 16_000  # characters at each end of an output that are searched: a program may write anything
_TELLS = re.compile(r"\b\w*(?:Error|Exception)\b|panicked at|what\(\):|\bFail\b|unreachable", re.IGNORECASE)
"""What the line of a crash has that says what happened; the frames below it don't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one step ended, as its supervisor saw it."""

    status: int
    """As waitpid returns it."""
    why: str
    """Why it was killed: "wall" or "cpu" for the time of all its processes, "flood" for too much output."""
    cpu_s: float
    wall_s: float
    stdout: str
    """The beginning and the end of it."""
    stderr: str

    @property
    def output(self) -> str:
        """Both streams."""
        return f"{self.stderr}\n{self.stdout}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a whole program ended."""

    steps: tuple[Ended, ...]
    limits_s: tuple[float, ...]
    """CPU seconds that each step of the language may use."""
    out_of_memory: bool = False
    """Whether the kernel has killed something of it for want of memory."""

    @property
    def output(self) -> str:
        """All that was written."""
        return "\n".join(step.output for step in self.steps)


def judge(language: Language, steps: Sequence[Step], ending: Ending) -> Outcome:
    """Return the outcome by the published rule."""
    last = ending.steps[-1]
    step = steps[len(ending.steps) - 1]
    is_whole = len(ending.steps) == len(steps)
    if is_whole and last.status == 0 and not last.why and _is_right(language, last):
        verdict: VerdictName = "passed"
        detail = ""
    else:
        verdict, detail = _failure(language, step, last, ending)
    return Outcome(
        verdict=verdict,
        detail=printable(detail),
        cpu_s=round(sum(ended.cpu_s for ended in ending.steps), 4),
        wall_s=round(sum(ended.wall_s for ended in ending.steps), 4),
        stderr="" if verdict == "passed" else _end_of(last),
    )


def _end_of(last: Ended) -> str:
    text = last.stderr if last.stderr.strip() else last.stdout
    return text[-_SHOWN:]


def _is_right(language: Language, last: Ended) -> bool:
    rule = language.rule
    if rule.stderr_empty and last.stderr:
        return False
    if rule.stdout_has and rule.stdout_has not in last.stdout:
        return False
    return not any(text in last.stderr for text in rule.stderr_lacks) and not any(
        text in last.output for text in rule.output_lacks
    )


def _failure(language: Language, step: Step, last: Ended, ending: Ending) -> tuple[VerdictName, str]:
    what = "compiler" if step.compiles else "program"
    limit_s = ending.limits_s[len(ending.steps) - 1]
    if last.why == "wall":
        return "timed_out", f"the {what} ran out of wall time"
    if last.why == "flood":
        return "timed_out", f"the {what} wrote without end"
    was_killed = was_sigkilled(last.status) and not ending.out_of_memory
    nearly = limit_s * (_CPU_NEARLY_KILLED if was_killed else _CPU_NEARLY)
    if last.why == "cpu" or (last.status and last.cpu_s >= nearly):
        return "timed_out", f"the {what} used {limit_s:g} s of CPU time"
    signs = language.signs
    if ending.out_of_memory or (signs.memory and _line_with(signs.memory, last.output)):
        return "out_of_memory", f"the {what} ran out of memory"
    if step.compiles:
        return "compile_error", _first_error(last.output)
    if line := _line_with(signs.syntax, last.output):
        return "compile_error", line
    if line := _line_with(signs.crash, last.output):
        return "crashed", line
    if line := _line_with(signs.assertion, last.output):
        return "failed", line
    return _by_status(language, last)


def _by_status(language: Language, last: Ended) -> tuple[VerdictName, str]:
    lines = [line for line in last.stderr.splitlines() if line.strip()]
    if os_was_signalled(last.status):
        number = last.status & 0x7F
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        said = f": {_telling(lines)}" if lines else ""
        return "crashed", f"killed by {name}{said}"
    code = last.status >> 8
    if not lines or code == language.signs.failed_status:
        return ("failed" if code <= 1 else "crashed"), f"exited with status {code}"
    return "crashed" if code else "failed", _telling(lines)


def _telling(lines: Sequence[str]) -> str:
    """Return the line that says what happened, and the next one where it only announces that; or the last."""
    place = next((place for place, line in enumerate(lines) if _TELLS.search(line)), len(lines) - 1)
    is_cut = lines[place].rstrip().endswith(":")
    return " ".join(line.strip() for line in lines[place : place + 1 + is_cut])


def _line_with(pattern: str, text: str) -> str:
    text = _ends_of(text)
    match = re.search(pattern, text, re.MULTILINE) if pattern else None
    if not match:
        return ""
    shown = match.lastindex or 0
    start = text.rfind("\n", 0, match.start(shown)) + 1
    end = text.find("\n", match.end(shown))
    return text[start : end if end >= 0 else len(text)] or "a check failed"


def _ends_of(text: str) -> str:
    return text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no message")
