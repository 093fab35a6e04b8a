"""The memory of interpreters that fork often; each test in a process of its own, whose memory it lays out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_OBJECTS = """
from xftbench.execution.inside.heap import Arenas

def in_huge_pages():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))

arenas = Arenas(24)  # eleven huge pages, if the kernel has one for each at that moment
megabytes = set(arenas._first)
made = [object() for _ in range(200_000)]  # 3.2 MB, like what imports make
print(sum(id(one) >> 20 in megabytes for one in made) / len(made), max(megabytes) - min(megabytes))
before = in_huge_pages()
arenas.settle()
print(in_huge_pages() - before, all(type(one) is object for one in made))
"""


def _run() -> list[str]:
    done = subprocess.run([sys.executable, "-c", _OBJECTS], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_objects_go_to_the_arenas_that_were_asked_for_and_these_lie_together() -> None:
    share, span, _, are_whole = _run()
    assert float(share) > 0.8
    assert int(span) <= 25
    assert are_whole == "True"


def test_what_imports_fill_is_in_huge_pages() -> None:
    if not _HUGE_PAGES.exists() or "[never]" in _HUGE_PAGES.read_text():
        pytest.skip("this kernel gives no huge pages")
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 1):
        pytest.skip("this kernel can't move memory into huge pages")
    _, _, moved_kib, _ = _run()
    assert int(moved_kib) >= 6 * 2048
