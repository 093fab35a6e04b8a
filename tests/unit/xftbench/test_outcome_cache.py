"""Outcomes that are kept between runs: which, for how long, and what happens when the file is bad."""

import os
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import started

from xftbench.records import Outcome, VerdictName
from xftbench.store.outcome_cache import OutcomeCache

PASSED = Outcome(verdict="passed", cpu_s=0.5, evidence="all checks ran")


def test_what_was_put_is_found_by_another_process_later(tmp_path: Path) -> None:
    with OutcomeCache(tmp_path / "new" / "c.sqlite") as cache:
        cache.put("k", PASSED)
    with OutcomeCache(tmp_path / "new" / "c.sqlite") as cache:
        assert cache.get("k") == PASSED
        assert cache.get("other") is None


@pytest.mark.parametrize("verdict", ["timed_out", "infrastructure_error", "out_of_memory", "crashed"])
def test_what_another_day_may_judge_otherwise_is_not_kept(tmp_path: Path, verdict: VerdictName) -> None:
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        cache.put("whole", Outcome(verdict=verdict))
        cache.put("part", Outcome(verdict="failed", base="passed", plus="failed", strict=verdict))
        assert cache.get("whole") is None
        assert cache.get("part") is None


@pytest.mark.parametrize("verdict", ["passed", "failed", "compile_error"])
def test_what_depends_on_the_program_alone_is_kept(tmp_path: Path, verdict: VerdictName) -> None:
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", Outcome(verdict=verdict, base=verdict))
        assert cache.get("k") == Outcome(verdict=verdict, base=verdict)


def test_no_path_is_a_cache_that_holds_nothing() -> None:
    with OutcomeCache(None) as cache:
        cache.put("k", PASSED)
        assert cache.get("k") is None


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 100, b""])
def test_a_damaged_file_costs_time_only(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c.sqlite").write_bytes(content)
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", PASSED)
        assert cache.get("k") in (None, PASSED)
    assert bool(content) == ("cache of outcomes is not used" in caplog.text)


def test_an_outcome_of_another_version_is_not_taken(tmp_path: Path) -> None:
    encoded = b'{"verdict": "passed", "luck": 1}'
    _store(tmp_path, zlib.crc32(encoded, zlib.crc32(b"k")).to_bytes(4) + encoded)
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        assert cache.get("k") is None


@pytest.mark.parametrize(
    "change", [lambda blob: blob.replace(b"pass", b"fail"), lambda blob: b"\xff", lambda _: 7]
)
def test_an_outcome_that_a_disk_has_changed_is_not_taken(
    tmp_path: Path, change: Callable[[bytes], object]
) -> None:
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", PASSED)
    with sqlite3.connect(tmp_path / "c.sqlite") as connection:
        ((blob,),) = connection.execute("SELECT outcome FROM outcomes")
    connection.close()
    _store(tmp_path, change(blob))
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        assert cache.get("k") is None
        cache.put("k", PASSED)
        assert cache.get("k") == PASSED


def _store(folder: Path, blob: object) -> None:
    with OutcomeCache(folder / "c.sqlite") as cache:
        cache.put("k", PASSED)
    with sqlite3.connect(folder / "c.sqlite") as connection:
        connection.execute("UPDATE outcomes SET outcome = ?", (blob,))
    connection.close()


def test_an_outcome_that_can_not_be_written_is_left_out_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        cache.put("half", Outcome(verdict="failed", detail="half an emoji: \ud83d"))
        cache.put("k", PASSED)
        assert cache.get("half") is None
        assert cache.get("k") == PASSED
    assert not caplog.text


def test_many_writers_at_a_time_lose_nothing(tmp_path: Path) -> None:
    def write(part: int) -> None:
        with OutcomeCache(tmp_path / "c.sqlite") as cache:
            for index in range(100):
                cache.put(f"{part}/{index}", Outcome(verdict="failed", detail=f"{part}/{index}"))

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        for part in range(4):
            for index in range(100):
                found = cache.get(f"{part}/{index}")
                assert found is not None
                assert found.detail == f"{part}/{index}"


def test_killed_while_writing_it_keeps_what_was_written(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from xftbench.store.outcome_cache import OutcomeCache; from xftbench.records import Outcome\n"
        "cache = OutcomeCache(Path(sys.argv[1]))\n"
        "for i in range(10**9):\n"
        "    cache.put(str(i), Outcome(verdict='failed', detail=str(i)))\n"
        "    print(i, flush=True)\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "c.sqlite")]
    with started(arguments, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        for _ in range(50):
            last = int(process.stdout.readline())
    with OutcomeCache(tmp_path / "c.sqlite") as cache:
        assert cache.get(str(last)) == Outcome(verdict="failed", detail=str(last))
        cache.put("after", PASSED)
        assert cache.get("after") == PASSED
