"""Which job a worker takes next: none is forgotten, and nobody starts what another one serves."""

import threading
from concurrent.futures import Future

import contexts
import pytest

from xftbench.execution.lanes import Job, Lanes
from xftbench.records import FunctionProgram, Program

PLOT = "context:plots"


def function(name: str = "f") -> Program:
    return FunctionProgram(task_id=name, solution="", entry_point="f", context="", test="")


def plot(number: int = 0) -> Program:
    return contexts.program("import matplotlib", str(number))


def job(program: Program) -> Job:
    return program, Future()


def test_a_worker_keeps_to_what_it_is_warm_for() -> None:
    lanes = Lanes()
    first, second = job(function()), job(plot())
    lanes.put(first)
    lanes.put(second)
    assert lanes.take("a", [PLOT]) is second
    assert lanes.take("a", [PLOT]) is first


def test_a_kind_that_another_one_serves_is_taken_up_only_if_it_pays() -> None:
    lanes = Lanes()
    for number in range(8):
        lanes.put(job(plot(number)))
    lanes.put(job(function()))
    assert lanes.take("a", []) is not None  # of the longest lane: the plots
    taken = lanes.take("b", [])
    assert taken is not None
    assert taken[0].task_id == "f", "seven plots wait, and 'a' serves them"
    lanes.put(job(plot(8)))
    taken = lanes.take("b", ["function"])
    assert taken is not None
    assert isinstance(taken[0], type(plot())), "eight are worth a second interpreter"


@pytest.mark.parametrize("n_workers", [1, 2, 16])
def test_every_job_is_taken_once_whoever_is_woken(n_workers: int) -> None:
    """Jobs that come one at a time reach the worker that may take them, though another one is woken first."""
    lanes = Lanes()
    taken: list[Program] = []
    step = threading.Semaphore(0)

    def work(name: int) -> None:
        warm: list[str] = []
        while found := lanes.take(name, warm):
            warm = [PLOT] if found[0].task_id == "made-up" else ["function"]
            taken.append(found[0])
            step.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_workers)]
    for thread in threads:
        thread.start()
    for number in range(60):
        lanes.put(job(plot(number) if number % 3 else function(str(number))))
        assert step.acquire(timeout=5), f"nobody took job {number}"
    for _ in threads:
        lanes.end_one()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert len(taken) == 60


def test_workers_end_only_behind_what_is_queued() -> None:
    lanes = Lanes()
    lanes.put(job(function()))
    lanes.end_one()
    assert lanes.take("a", []) is not None
    assert lanes.take("a", ["function"]) is None


def test_what_waits_is_cancelled() -> None:
    lanes = Lanes()
    one, other = job(function()), job(function())
    lanes.put(one)
    lanes.put(other)
    assert lanes.take("a", []) is one
    lanes.cancel_all()
    assert other[1].cancelled()
    assert not one[1].cancelled()
