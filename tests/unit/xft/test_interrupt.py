"""Ctrl-C and SIGTERM end a command, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import started

from xft.interrupt import EXIT_CODE, MESSAGE

IGNORES = """
import time
while True:
    try:
        print("ready", flush=True)
        time.sleep(100)
    except BaseException:
        pass
"""


def script(body: str, grace_s: float = 60.0) -> list[str]:
    """A process whose command is `body`, which may set `code`."""
    lines = "\n".join(f"    {line}" for line in f"code = 0\n{body}\nreturn code".splitlines())
    code = f"import os, signal\nfrom xft import interrupt\ninterrupt.GRACE_S = {grace_s}\n"
    return [sys.executable, "-c", f"{code}def command():\n{lines}\ninterrupt.run(command)\n"]


def ended(body: str, *signals: signal.Signals, grace_s: float = 60.0) -> tuple[int, str]:
    """Exit code and stderr of a process that says "ready" and gets some signals after it."""
    pipe = subprocess.PIPE
    with started(script(body, grace_s), stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        if signals:
            assert process.stdout.readline() == b"ready\n"
        for number in signals:
            process.send_signal(number)
            time.sleep(0.5)
        _, said = process.communicate(timeout=30)
        return process.returncode, said.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_lets_it_through_has_ended_when_it_arrives(number: signal.Signals) -> None:
    assert ended("import time\nprint('ready', flush=True)\ntime.sleep(100)", number) == (
        EXIT_CODE,
        MESSAGE + "\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_swallows_it_is_ended_a_little_later(number: signal.Signals) -> None:
    code, said = ended(IGNORES, number, grace_s=1.0)
    assert code == EXIT_CODE
    assert said == f"{MESSAGE} (ended at once)\n"


def test_a_second_one_ends_it_at_once() -> None:
    code, said = ended(IGNORES, signal.SIGINT, signal.SIGINT)
    assert code == EXIT_CODE
    assert said == f"{MESSAGE} (ended at once)\n"


def test_what_ends_by_itself_in_its_own_time_is_waited_for() -> None:
    body = (
        "import time\nsignal.signal(signal.SIGINT, lambda *_: None)\n"
        "with interrupt.patiently():\n    print('ready', flush=True)\n    time.sleep(4)\ncode = 9"
    )
    assert ended(body, signal.SIGINT, grace_s=1.0) == (9, "")


def test_one_that_hangs_in_its_clean_up_is_ended() -> None:
    hangs = "import threading\ntry:\n    print('ready', flush=True)\n    time.sleep(100)\nfinally:\n"
    code, said = ended(f"import time\n{hangs}    threading.Event().wait()", signal.SIGINT, grace_s=1.0)
    assert code == EXIT_CODE
    assert "Traceback" not in said


def test_what_fails_of_it_is_no_failure_of_its_own() -> None:
    body = (
        "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(100)\nexcept BaseException:\n    "
    )
    assert ended(f"{body}code = 4", signal.SIGINT) == (EXIT_CODE, MESSAGE + "\n")
    assert ended(f"{body}raise RuntimeError('x')", signal.SIGINT) == (EXIT_CODE, MESSAGE + "\n")


def test_without_it_codes_and_tracebacks_are_what_they_were() -> None:
    assert ended("") == (0, "")
    assert ended("code = 7") == (7, "")
    code, said = ended("raise ValueError('a bug')")
    assert code == 1
    assert "ValueError: a bug" in said
    assert "Traceback" in said


def test_a_code_object_that_it_struck_in_does_not_change_the_exit_code() -> None:
    # An interpreter that has seen a plain KeyboardInterrupt leave an `exec` ends by the signal.
    body = "exec('import time; print(\"ready\", flush=True); time.sleep(100)')"
    assert ended(body, signal.SIGINT)[0] == EXIT_CODE


def test_a_forked_child_has_the_usual_signals() -> None:
    body = (
        "import time\nchild = os.fork()\nif not child:\n    time.sleep(100)\n"
        "time.sleep(0.2)\nos.kill(child, signal.SIGTERM)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 100"
    )
    assert ended(body) == (100 - signal.SIGTERM, "")


def test_one_that_was_told_to_ignore_it_goes_on() -> None:
    ignore = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    body = "import time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\ncode = 5"
    assert subprocess.run([*ignore, *script(body)], timeout=30, env=os.environ).returncode == 5
