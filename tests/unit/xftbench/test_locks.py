"""A lock of a file, between threads and processes."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xftbench.locks import locked


def test_one_is_inside_at_a_time_also_when_some_fail(tmp_path: Path) -> None:
    inside: list[int] = []
    most = []
    waited = []

    def enter(number: int) -> None:
        with contextlib.suppress(ValueError), locked(tmp_path / "lock", lambda: waited.append(number)):
            inside.append(number)
            time.sleep(0.01)
            most.append(len(inside))
            inside.remove(number)
            if number % 2:
                raise ValueError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(16)))
    assert most == [1] * 16
    assert waited, "those who wait are told"
