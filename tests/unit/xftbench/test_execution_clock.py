"""A candidate's own time, as its clock and the harness count it; what the kernel tells of it is made up."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xftbench.execution import watch as watch_module
from xftbench.execution.inside.clock import Clock, TimeoutException
from xftbench.execution.inside.waits import Longest
from xftbench.execution.watch import Watch


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


@pytest.fixture
def worker() -> Any:
    """Return what a watch asks of a worker."""
    killed: list[int] = []
    return SimpleNamespace(
        limits=SimpleNamespace(cpu_s=3),
        candidate_pid=lambda: 1,
        killed=killed,
        kill_candidate=lambda: killed.append(1),
    )


@pytest.mark.parametrize(("used_s", "own_s"), [(2.0, 5.0), (4.0, 10.0)])
def test_what_keeps_itself_from_the_processors_has_no_time_given_back(
    used_s: float, own_s: float, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "living", lambda pid: [Path("/proc/1")])
    monkeypatch.setattr(watch_module, "used_by", lambda process: used_s)
    monkeypatch.setattr(watch_module.waits, "of_threads", lambda process: {"1": 5.0})
    watch = Watch(worker, 1.0, lambda message: True)
    watch._started -= 10.0
    assert watch.own_s() == pytest.approx(own_s, abs=0.5)


@pytest.mark.parametrize(("passed_s", "is_over"), [(4.0, False), (8.5, True)])
def test_who_only_waits_is_given_up_after_eight_times_the_limit(
    passed_s: float, is_over: bool, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(worker, 1.0, lambda message: True)
    monkeypatch.setattr(watch, "_starved_s", lambda: 100.0)
    watch._started -= passed_s
    watch._on_deadline()
    assert (watch.timed_out, bool(worker.killed)) == (is_over, is_over)
