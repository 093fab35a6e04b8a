"""Hostile programs against the referee of context programs: none passes, none survives, nothing is written.

The programs are data: their first lines name the expected verdicts and which made-up context they face.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import contexts
import pytest

from xftbench.execution import environments
from xftbench.execution.pool import Pool
from xftbench.records import Limits

PROGRAMS = sorted((Path(__file__).parent / "contexts").glob("*.txt"))
HEADER = re.compile(r"# (expect|context): (.*)")
LIMITS = Limits(cpu_s=3, wall_s=12.0, memory_bytes=2 << 30, disk_bytes=64 << 20, processes=64)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    contexts.environment()
    with Pool(1, LIMITS) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_hostile_program_gets_its_verdict_and_the_next_one_is_judged_as_ever(
    path: Path, pool: Pool
) -> None:
    source = path.read_text()
    header = dict(match.groups() for match in map(HEADER.fullmatch, source.splitlines()) if match)
    outcome = pool.submit(contexts.program(contexts.CONTEXTS[header["context"]], source)).result()
    assert outcome.verdict in header["expect"].split(), outcome
    assert outcome.strict == outcome.verdict
    honest = pool.submit(contexts.program(contexts.ARRAY, contexts.ARRAY_SOLUTION)).result()
    assert honest.verdict == "passed", honest


@pytest.mark.slow
def test_nothing_was_left_behind(pool: Pool) -> None:
    environment = environments.find("ds1000")
    for folder in (environment.path, environment.site, environment.data, Path("/"), Path("/etc")):
        assert not (folder / "xftbench-was-here").exists()
    assert environments.toolchain("ds1000")


def below_this_one() -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = (entry / "stat").read_text(errors="replace")
                parents[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.mark.slow
def test_nobody_survives_the_pool(pool: Pool) -> None:
    before = below_this_one()
    with Pool(1, LIMITS) as other:
        for name in ("daemon_stays", "fork_bomb", "kills_everybody"):
            source = (Path(__file__).parent / "contexts" / f"{name}.txt").read_text()
            assert other.submit(contexts.program(contexts.ARRAY, source)).result().verdict != "passed"
    deadline = time.monotonic() + 60
    while below_this_one() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not below_this_one() - before
