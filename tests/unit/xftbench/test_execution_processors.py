"""Which processors workers keep to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xftbench.execution import processors
from xftbench.execution.pool import Pool
from xftbench.records import FunctionProgram, Limits

ASKS = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
SAYS_WHERE = FunctionProgram(
    task_id="T/0",
    solution="import os\ndef f(): return sorted(os.sched_getaffinity(0))",
    entry_point="f",
    context="",
    test="def check(candidate):\n    raise ValueError(candidate())\n",
)


def where_programs_run(workers: int) -> str:
    with Pool(workers, Limits()) as pool:
        return str(pool.submit(SAYS_WHERE).result().detail)


def test_workers_share_processors_evenly_if_there_are_enough_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 3, 4})
    assert [processors.of_worker(index, 7) for index in range(7)] == [3, 4, 7, 3, 4, 7, 3]
    assert [processors.of_worker(index, 2) for index in range(2)] == [None, None]


def test_what_a_thread_starts_keeps_to_a_processor_and_the_thread_does_not() -> None:
    before = os.sched_getaffinity(0)
    one = max(before)
    with processors.starting_on(one):
        told = subprocess.run(ASKS, check=True, capture_output=True, text=True).stdout
    assert told == f"[{one}]\n"
    assert os.sched_getaffinity(0) == before


def test_a_processor_that_was_taken_away_is_no_error() -> None:
    with processors.starting_on(1023):
        told = subprocess.run(ASKS, check=True, capture_output=True, text=True).stdout
    assert told == f"{sorted(os.sched_getaffinity(0))}\n"


@pytest.mark.usefixtures("needs_namespaces")
def test_a_function_and_its_test_share_one_processor_if_every_processor_has_a_worker() -> None:
    usable = sorted(os.sched_getaffinity(0))
    told = where_programs_run(len(usable))
    assert any(f"[{one}]" in told for one in usable)
    if len(usable) > 1:
        assert str(usable) in where_programs_run(len(usable) - 1)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "50000 100000"}, 1),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpu:/\n3:memory:/a\n", {"cpu/cpu.cfs_quota_us": "-1", "memory/a/cpu.max": "1 1"}, 8),
        ("", {}, 8),
    ],
)
def test_a_containers_quota_bounds_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "own").write_text(groups)
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    monkeypatch.setattr(processors, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(processors, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert processors.worth_using() == expected
