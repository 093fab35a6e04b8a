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
PRINTS_VERDICT = """
import os, sys
from pathlib import Path
from xftbench.execution import cgroup
from xftbench.execution.pool import Pool
from xftbench.records import FunctionProgram, Limits
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
if sys.argv[2] == "without": cgroup.create = lambda limits: None
eats = "def f(x):\\n    held = bytearray(%s << 20)\\n    held[::4096] = b'x' * len(held[::4096])\\n    return x + 1"
program = FunctionProgram(
    task_id="T/0", solution=eats % sys.argv[3], entry_point="f", context="",
    test="def check(candidate):\\n    assert candidate(1) == 2\\n",
)
with Pool(1, Limits(memory_bytes=int(sys.argv[4]) << 20)) as pool:
    outcome = pool.submit(program).result()
print(outcome.verdict, outcome.detail)
Path(sys.argv[5], "cgroup.procs").write_text(str(os.getpid()))
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
    arguments = (str(container), groups, str(eats_mb), str(limit_mb), str(container.parent))
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
