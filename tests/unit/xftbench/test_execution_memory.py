"""Whose want of memory it was that the kernel killed a program for: its own, or the machine's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xftbench.execution import cgroup

pytestmark = pytest.mark.usefixtures("needs_namespaces")
CONTAINER_BYTES = 400 << 20
EATS = """
def f(x):
    held = bytearray({mb} << 20)
    held[::4096] = b"x" * (len(held) >> 12)
    return x + 1
"""
PRINTS_VERDICT = """
import os, sys
from pathlib import Path
from xftbench.execution import cgroup
from xftbench.execution.pool import Pool
from xftbench.records import FunctionProgram, Limits

container, groups, solution, limit_mb = sys.argv[1:]
Path(container, "cgroup.procs").write_text(str(os.getpid()))
if groups == "without":
    cgroup.create = lambda limits: None
test = "def check(candidate): assert candidate(1) == 2"
program = FunctionProgram(task_id="T/0", solution=solution, entry_point="f", context="", test=test)
with Pool(1, Limits(memory_bytes=int(limit_mb) << 20)) as pool:
    outcome = pool.submit(program).result()
print(outcome.verdict, outcome.detail)
Path(container).parent.joinpath("cgroup.procs").write_text(str(os.getpid()))
"""


@pytest.fixture
def container() -> Iterator[Path]:
    """A control group with less memory than a program may have."""
    parents = cgroup._writable_parents()
    if "memory" not in parents:
        pytest.skip("no control group for memory can be made here")
    parent = parents["memory"]
    group = parent / f"container-{os.getpid()}"
    group.mkdir()
    is_v2 = (parent / "cgroup.controllers").exists()
    (group / ("memory.max" if is_v2 else "memory.limit_in_bytes")).write_text(str(CONTAINER_BYTES))
    if is_v2:
        (group / "memory.swap.max").write_text("0")
    yield group
    group.rmdir()


def verdict(container: Path, groups: str, eats_mb: int, limit_mb: int) -> str:
    arguments = (str(container), groups, EATS.format(mb=eats_mb), str(limit_mb))
    return subprocess.run(
        [sys.executable, "-c", PRINTS_VERDICT, *arguments],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("groups", ["with", "without"])
def test_a_program_that_dies_because_the_container_is_too_small_is_not_the_models_failure(
    container: Path, groups: str
) -> None:
    told = verdict(container, groups, eats_mb=1000, limit_mb=4096)
    assert told.startswith("infrastructure_error")
    assert "the memory of this machine, or of the container, had run out" in told
    assert "may need 4 GiB" in told
    assert verdict(container, groups, eats_mb=50, limit_mb=4096).startswith("passed")


def test_a_program_that_needs_more_than_its_limit_is_out_of_memory(container: Path) -> None:
    assert verdict(container, "with", eats_mb=300, limit_mb=200).startswith("out_of_memory")
