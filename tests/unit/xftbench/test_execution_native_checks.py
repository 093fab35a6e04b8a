"""The check that failed, by what toolchains have written of such programs."""

import pytest
from native import CASES

from xftbench.execution.native.checks import failed_check
from xftbench.records import NativeProgram, Outcome, VerdictName

WRITTEN = {
    "java": "Exception in main java.lang.AssertionError\n"
    "\tat Problem.main(Problem.java:8)\n",
    "cpp": "program: program.cpp:9: int main(): Assertion `candidate(1, 2) == 3' failed.\n",
    "rs": "\nthread 'main' (14) panicked at program.rs:8:5:\nassertion `left == right` failed\n  left: -1\n",
    "go": "=== RUN   TestAdd/test_num__0\n    program_test.go:24: expected '%!s(int=3)', got '%!s(int=-1)'\n"
    "--- FAIL: TestAdd (0.00s)\n    --- FAIL: TestAdd/test_num__0 (0.00s)\nFAIL\n",
    "js": "node:assert:90\n  throw new AssertionError(obj);\n  ^\n\nAssertionError [ERR_ASSERTION]: E\n"
    "    at test (/tmp/program.js:10:10)\n    at Object.<anonymous> (/tmp/program.js:13:1)\n",
    "php": "PHP Fatal error:  Uncaught Exception: Test failed! in /tmp/program.php:11\nStack trace:\n"
    "#0 /tmp/program.php(14): test()\n#1 {main}\n  thrown in /tmp/program.php on line 11\n",
    "rb": "Failure: test_add(TestHumanEval)\nprogram.rb:10:in `test_add'\n  => 10:     assert_equal(3, ...\n",
    "lua": "Failed tests:\n1) test_humaneval\nprogram.lua:10: expected: 3, actual: -1\nstack traceback:\n",
    "ml": 'Exception: Assert_failure ("./program.ml", 5, 4).\n',
    "scala": "java.lang.AssertionError: assertion failed\n\tat scala.Predef$.assert(Predef.scala:156)\n"
    "\tat Problem$.main(Problem.scala:8)\n\tat Problem.main(Problem.scala)\n",
}  # fmt: skip


def add(language: str) -> NativeProgram:
    return NativeProgram(
        task_id="add", language=language, solution=CASES[language].right, test=CASES[language].test
    )


def check_of(language: str, output: str, verdict: VerdictName = "failed") -> str | None:
    found = failed_check(add(language), Outcome(verdict=verdict, stderr=output))
    if found is None:
        return None
    program = add(language)
    assert f"{program.solution}\n{program.test}".split("\n")[found.line - 1].strip() == found.text
    return found.text


@pytest.mark.parametrize("language", WRITTEN)
def test_the_line_that_is_named_is_the_check(language: str) -> None:
    found = check_of(language, WRITTEN[language])
    assert found is not None
    assert "3" in found, "the one check of the test expects 3"


@pytest.mark.parametrize(
    ("language", "output", "found"),
    [
        ("java", "\tat Problem.add(Problem.java:4)\n\tat Problem.main(Problem.java:8)\n", True),
        (
            "php",
            "Division by zero in /tmp/program.php:3\n#1 program.php(7): add()\n#2 program.php(11): c\n",
            True,
        ),
        ("rs", "thread 'main' (14) panicked at program.rs:2:39:\nindex out of bounds\n", False),
        ("pl", "gone at program.pl line 4.\n", False),
    ],
)
def test_of_a_crash_it_is_the_check_that_called_the_solution(language: str, output: str, found: bool) -> None:
    assert (check_of(language, output, "crashed") is not None) == found


@pytest.mark.parametrize(
    ("output", "verdict"),
    [
        ("", "failed"),
        ("program.lua:999: expected: 3, actual: -1", "failed"),
        ("my_program.lua:10: expected: 3, actual: -1", "failed"),
        ("program.lua:13: in main chunk", "failed"),
        (WRITTEN["lua"], "compile_error"),
        (WRITTEN["lua"], "passed"),
    ],
)
def test_where_no_check_is_named_none_is_told(output: str, verdict: VerdictName) -> None:
    assert check_of("lua", output, verdict) is None
