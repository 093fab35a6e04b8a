import signal

import pytest

from xftbench.execution.outcome import Exit, InfrastructureError, judge, printable, printable_value
from xftbench.records import Failure, Limits, Outcome

KILLED = Exit(status=int(signal.SIGKILL), cpu_s=0.1)


def verdict(report: list[str], ended: Exit = KILLED, *, timed_out: bool = False) -> tuple[str, str]:
    outcome = judge(report, ended, Limits(), timed_out=timed_out, wall_s=0.5)
    return outcome.verdict, outcome.detail


def test_only_the_checker_can_pass_a_program() -> None:
    assert verdict(["ok"]) == ("passed", "")
    assert verdict([], Exit(status=0, cpu_s=0.0), timed_out=True)[0] == "timed_out"


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (["assertion", "assert f(1) == 2", ""], ("failed", "AssertionError: assert f(1) == 2")),
        (["assertion", "assert f(1) == 2", "no"], ("failed", "assert f(1) == 2: no")),
        (["raised", "ValueError", "bad", "f(1)"], ("failed", "ValueError: bad (at f(1))")),
        (["raised", "KeyError", "", ""], ("failed", "KeyError")),
        (
            ["program_raised", "ValueError", "bad", "line 2 of the program"],
            ("failed", "ValueError: bad (at line 2 of the program)"),
        ),
        (["raised", "MemoryError", "", "f(1)"], ("out_of_memory", "MemoryError (at f(1))")),
        (["compile", "SyntaxError", "SyntaxError", "invalid"], ("compile_error", "SyntaxError: invalid")),
        (["compile", "MemoryError", "MemoryError", ""], ("compile_error", "MemoryError")),
        (["start", "NameError", "NameError", "no f"], ("failed", "NameError: no f")),
        (["start", "MemoryError", "MemoryError", ""], ("out_of_memory", "MemoryError")),
        (["violation", "junk"], ("failed", "the program answered with junk")),
    ],
)
def test_what_the_checker_reports_is_the_verdict(report: list[str], expected: tuple[str, str]) -> None:
    assert verdict(report) == expected


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (["assertion", "assert f(1) == 2", "", {"input": "1", "actual": "3"}], ("1", "2", "3")),
        (["assertion", "assert 2 == f(1)", "", {"input": "1", "actual": "3"}], ("1", "2", "3")),
        (
            ["assertion", "assert f(1) == tuple('ab'), 'no'", "", {"input": "1", "actual": "3"}],
            ("1", "tuple('ab')", "3"),
        ),
        (
            ["assertion", "assert abs(f(1) - 2) < 1e-6", "", {"input": "1", "actual": "3"}],
            ("1", "abs(f(1) - 2) < 1e-06", "3"),
        ),
        (["assertion", "assert f(", "", {"input": "1", "actual": "3"}], ("1", "", "3")),
        (["assertion", "exec_test: assert len(x) == 2", "", {"actual": "3"}], ("", "len(x) == 2", "3")),
        (
            ["raised", "ValueError", "no", "assert f(1) == [2]", {"input": "1"}],
            ("1", "[2]", "ValueError: no"),
        ),
        (
            ["program_raised", "ValueError", "no", "assert 1 == 2", {"input": "1"}],
            ("1", "", "ValueError: no"),
        ),
        (["assertion", "-" * 20_000 + "1", "", {"input": "1", "actual": "3"}], ("1", "", "3")),
        (["assertion", f"assert {'-' * 20_000}1 == 1", "", {"input": "1", "actual": "3"}], ("1", "", "3")),
        (["assertion", f"assert {'+x' * 900} == f(1)", "", {"actual": "3"}], ("", "", "3")),
        (["raised", "ValueError", "no", "", {"input": "a", "expected": "b", "actual": "c"}], ("a", "b", "c")),
    ],
)
def test_a_failure_has_input_expected_and_actual(report: list[object], expected: tuple[str, ...]) -> None:
    failure = judge(report, KILLED, Limits(), timed_out=False, wall_s=0.5).failure
    assert failure == Failure(*expected)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Exit(status=0, cpu_s=0.0), ("crashed", "exited with status 0 before the test ended")),
        (Exit(status=7 << 8, cpu_s=0.0), ("crashed", "exited with status 7 before the test ended")),
        (Exit(status=int(signal.SIGSEGV), cpu_s=0.0), ("crashed", "killed by SIGSEGV")),
        (Exit(status=int(signal.SIGSEGV) | 0x80, cpu_s=0.0), ("crashed", "killed by SIGSEGV")),
        (Exit(status=63, cpu_s=0.0), ("crashed", "killed by signal 63")),
        (Exit(status=9, cpu_s=2.9), ("timed_out", "used 3 s of CPU time")),
        (Exit(status=9, cpu_s=2.2), ("timed_out", "used 3 s of CPU time")),  # seen on a busy machine
        (
            Exit(status=9, cpu_s=0.1, out_of_memory=True),
            ("out_of_memory", "killed by the kernel: out of memory"),
        ),
        (
            Exit(status=9, cpu_s=0.1),
            ("crashed", "closed its connection to the checker before the test ended"),
        ),
    ],
)
def test_a_candidate_that_is_gone_has_timed_out_or_crashed(ended: Exit, expected: tuple[str, str]) -> None:
    assert verdict(["gone"], ended) == expected


def test_after_the_deadline_only_a_pass_counts() -> None:
    assert verdict(["gone"], timed_out=True) == ("timed_out", "no verdict within 15 s of wall time")
    assert verdict(["ok"], timed_out=True)[0] == "passed"


@pytest.mark.parametrize("report", [["broken", "the test does not load"], ["unjailed", "EPERM"], ["stuck"]])
def test_our_own_failure_is_no_verdict(report: list[str]) -> None:
    with pytest.raises(InfrastructureError):
        verdict(report)


def test_times_are_kept() -> None:
    outcome = judge(["ok"], Exit(status=9, cpu_s=0.25), Limits(), timed_out=False, wall_s=0.5)
    assert outcome == Outcome(verdict="passed", cpu_s=0.25, wall_s=0.5)


def test_a_detail_is_one_short_printable_line() -> None:
    shown = printable("a\x1b[31m\n\ud800 \u202e\x00" + "x" * 1000)
    assert shown.isprintable()
    assert shown.startswith("a [31m")
    assert len(shown) == 300
    assert shown.endswith("…")
    shown.encode()


def test_a_value_keeps_its_spaces() -> None:
    assert printable_value("'a  b'\n\ud800") == "'a  b'  "
    assert len(printable_value("x" * 1000)) == 300
    about = {"input": "'a  b'", "expected": "'a__b'", "actual": "'a  _b'"}
    report = ["assertion", "assert f('a  b') == 'a__b'", "", about]
    failure = judge(report, KILLED, Limits(), timed_out=False, wall_s=0.5).failure
    assert failure == Failure(**about)
