"""DS-1000's official way of running programs, told anew: one process with a Manager for each program.

Run by `ds1000.py` in the pinned environment. As in the authors' test_ds1000.py and execution.py: workers of a
ProcessPoolExecutor that have numpy and pandas imported; for each program a Manager and a child that executes
context, answer and `test_execution` in a directory of its own, with its output swallowed, under an alarm.
"""

import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor

import numpy  # noqa: F401 - the official parent has both imported
import pandas  # noqa: F401

_TIMEOUT_S = 120


class _NoInput(io.StringIO):
    def readable(self) -> bool:
        return False


def _alarm(*_: object) -> None:
    raise TimeoutError


def _execute(program: str, result: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        output = io.StringIO()
        try:
            signal.signal(signal.SIGALRM, _alarm)
            signal.setitimer(signal.ITIMER_REAL, _TIMEOUT_S)
            sys.stdin = _NoInput()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                exec(program, {})
            result.append("passed")
        except BaseException as error:  # noqa: BLE001 - as there
            result.append(f"failed: {error!r}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.chdir("/")


def check(row: dict[str, str]) -> bool:
    """Return whether a row's answer passes."""
    program = f"{row['context']}\ncode = {row['answer']!r}\ntest_execution(code)\n"
    if "test_string(" in row["context"]:
        program += "test_string(code)\n"
    with multiprocessing.Manager() as manager:
        result = manager.list()
        child = multiprocessing.Process(target=_execute, args=(program, result))
        child.start()
        child.join(timeout=_TIMEOUT_S + 1)
        if child.is_alive():
            child.kill()
        return list(result) == ["passed"]


def main() -> None:
    """Read rows from stdin, run them, write how many pass."""
    rows = json.load(sys.stdin)
    with ProcessPoolExecutor(int(sys.argv[1])) as workers:
        passed = sum(workers.map(check, rows))
    sys.stdout.write(str(passed))


if __name__ == "__main__":
    main()
