"""Which worker takes which job, and that none of them sleeps while a job waits for it."""

import threading
from concurrent.futures import Future

import pytest

from xftbench.execution import lanes as module
from xftbench.execution.lanes import Lanes
from xftbench.records import FunctionProgram, Outcome


class _Kind:
    """A kind that is dear to start: nobody takes it up for one job if another is warm for it."""

    key = "dear"
    worth_a_second = 100


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> Lanes:
    monkeypatch.setattr(module, "kind_of", lambda program: _Kind)
    return Lanes()


def job() -> tuple[FunctionProgram, "Future[Outcome]"]:
    return FunctionProgram(task_id="T", solution="", entry_point="f", context="", test=""), Future()


def work(lanes: Lanes, name: str, warm: list[str], done: list[str]) -> threading.Thread:
    def run() -> None:
        while (taken := lanes.take(name, warm)) is not None:
            warm.append("dear")
            done.append(name)
            taken[1].set_result(Outcome(verdict="passed"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_job_reaches_the_warm_worker_whoever_wakes_first(lanes: Lanes) -> None:
    done: list[str] = []
    threads = [work(lanes, "warm", ["dear"], done), *(work(lanes, f"cold {i}", [], done) for i in range(3))]
    for _ in range(200):  # one at a time: every worker sleeps when the next one comes
        waiting = job()
        lanes.put(waiting)
        assert waiting[1].result(timeout=20).verdict == "passed"
    assert set(done) == {"warm"}
    for _ in threads:
        lanes.end_one()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_workers_end_behind_what_is_queued(lanes: Lanes) -> None:
    done: list[str] = []
    jobs = [job() for _ in range(50)]
    for waiting in jobs:
        lanes.put(waiting)
    lanes.end_one()
    lanes.end_one()
    threads = [work(lanes, name, [], done) for name in ("a", "b")]
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert all(future.done() for _, future in jobs)
