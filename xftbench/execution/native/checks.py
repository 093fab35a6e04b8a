"""Which check of its test a program failed, by the line that its own output names."""

import re
from collections.abc import Iterator

from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.proof import plain, seal
from xftbench.records import NativeProgram, Outcome, Record

_NAMED = r'(?::|\(|:? (?:on )?line |", (?:line )?)(\d{1,9})'
"""What stands behind a file's name: Problem.java:44, program.php(30), program.pl line 30, "program.ml", 5."""
_CHECK = re.compile(r"assert|candidate|\bthrow\b|\bcheck-|@test", re.IGNORECASE)
"""What a line with a check has, and the others that a trace names have not: those that call the test."""
_GO_CASE = re.compile(r"--- FAIL: \S+/test_num__(\d{1,9}) ")
_GO_CASES = re.compile(r"^\s*\{ actual: ")


class Check(Record):
    """A line of a program as it was run."""

    line: int
    """From 1."""
    text: str


def failed_check(program: NativeProgram, outcome: Outcome) -> Check | None:
    """Return the check at which a program ended; None where its output does not tell."""
    if outcome.verdict in ("passed", "compile_error", "infrastructure_error"):
        return None
    lines = plain(program).split("\n")
    first, end = _test(program, len(lines))
    for number in _numbers(program, outcome.stderr, lines[first - 1 : end - 1], first):
        if first <= number < end and _CHECK.search(lines[number - 1]):
            return Check(line=number, text=lines[number - 1].strip())
    return None


def first_line_of_test(program: NativeProgram) -> int:
    """Return the number, from 1, of the line at which a program's test begins."""
    return program.solution.count("\n") + 2


def _test(program: NativeProgram, n_lines: int) -> tuple[int, int]:
    """Return the first line of the test, and the one behind its last check.

    A program is judged with a line more, but a failure of which that could be the cause without it. Up to
    there both have the same numbers.
    """
    sealed = seal(program, LANGUAGES[program.language])
    return first_line_of_test(program), sealed.line_number if sealed else n_lines + 1


def _numbers(program: NativeProgram, output: str, test: list[str], first: int) -> Iterator[int]:
    """Yield the lines of a program that its output names, in its order, which is from within."""
    if program.language == "go":
        # It names the line that compares all cases, and the number of the case.
        cases = [first + place for place, line in enumerate(test) if _GO_CASES.match(line)]
        numbers = [int(match[1]) for match in _GO_CASE.finditer(output)]
        yield from (cases[number] for number in numbers if number < len(cases))
    file_name = LANGUAGES[program.language].file_name
    for match in re.finditer(rf"(?<!\w){re.escape(file_name)}{_NAMED}", output):
        yield int(match[1])
