"""Standard streams that are closed, full, or read by nobody."""

import subprocess
import sys

import pytest

_COMMAND = f"{sys.executable} -m xftbench nosuch"


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "0<&- 1>&- 2>&-"])
def test_what_stderr_can_not_take_changes_no_exit_code(redirection: str) -> None:
    assert subprocess.run(["/bin/sh", "-c", f"{_COMMAND} {redirection}"], check=False).returncode == 2


def test_no_file_takes_the_number_of_a_stream_that_is_closed() -> None:
    code = "from xft import streams; streams.secure(); print(open('/dev/null').fileno())"
    command = f'{sys.executable} -c "{code}" 0<&- 2>&-'
    done = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 2


def test_messages_still_arrive() -> None:
    done = subprocess.run(["/bin/sh", "-c", _COMMAND], check=False, capture_output=True, text=True)
    assert "nosuch" in done.stderr
