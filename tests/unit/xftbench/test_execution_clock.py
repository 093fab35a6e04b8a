"""A candidate's own sense of time, with what the kernel tells it made up."""

import time
from pathlib import Path

import pytest

from xftbench.execution.inside.clock import Clock, TimeoutException
from xftbench.execution.inside.waits import Longest


def test_the_time_in_which_others_had_the_processors_is_no_inputs_own(tmp_path: Path) -> None:
    schedstat = tmp_path / "schedstat"
    schedstat.write_text("0 1000000000 0")
    with schedstat.open() as file:
        clock = Clock(file.fileno())
        clock.mark()
        schedstat.write_text("0 6000000000 0")  # nanoseconds of waiting
        clock.limit_s = 1.0
        clock.note(3, 5.0 + 1.3)
        assert clock.was_late == -1
        clock.note(3, 5.0 + 1.5)
        assert clock.was_late == 3
        clock.index, clock.began_s = 7, time.monotonic() - 5.5
        clock._last = (clock.began_s - 3.0, 1.0, time.process_time())  # of another input
        clock._tick()
        clock._last = (time.monotonic() - 3.2, 3.0, time.process_time())
        clock._tick()
        clock._last = (time.monotonic() - 0.7, 6.0, time.process_time())
        with pytest.raises(TimeoutException):
            clock._tick()
        clock._tick()  # once, as evalplus' timer rings
    assert clock.was_late == 7


def test_of_each_stretch_the_thread_that_waited_longest_counts() -> None:
    longest = Longest()
    assert longest.since_last({"1": 2.0, "2": 0.5}) == 2.0
    assert longest.since_last({"1": 2.0, "2": 1.5, "3": 0.25}) == 1.0
    assert longest.since_last({"3": 0.5}) == 0.25
    assert longest.since_last({}) == 0.0
