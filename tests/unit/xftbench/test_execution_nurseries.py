"""Copies of a zygote that have imported what a context imports: when there is one, and what it may hold."""

from collections.abc import Iterator
from typing import Any

import contexts
import pytest

from xftbench.execution import nurseries
from xftbench.execution.nurseries import Nurseries


class Connection:
    """Stands in for a connection to a process that forks."""

    is_open = True

    def close(self) -> None:
        self.is_open = False


class Worker:
    """Stands in for a worker."""

    def __init__(self, *, is_jailed: bool = True) -> None:
        self.control = Connection()
        self.is_jailed = is_jailed
        self.started: list[tuple[str, ...]] = []

    def start_nursery(self, modules: tuple[str, ...]) -> Connection | None:
        self.started.append(modules)
        return None if "deadly" in modules else Connection()

    def end_nursery(self, nursery: Connection) -> None:
        nursery.close()


def made(worker: Any) -> Nurseries:
    return Nurseries(worker, ("copy", "numpy.testing"))


def test_what_the_zygote_has_imported_needs_no_nursery() -> None:
    worker = Worker()
    context = "import copy\nimport numpy as np, numpy.testing\nfrom numpy import array\nfrom . import x\n"
    assert made(worker).forker(context) is worker.control
    assert made(worker).forker("def broken(:") is worker.control
    assert worker.started == []


def test_contexts_that_import_the_same_share_one() -> None:
    worker = Worker()
    ours = made(worker)
    first = ours.forker("import copy\nfrom a.b import c\nimport d.e as f\nx = 1")
    assert first is not worker.control
    assert ours.forker("from a.b import other\nimport d.e\n\ndef f(): import g") is first
    assert worker.started == [("a.b", "d.e")]


def test_an_import_that_may_not_happen_is_left_to_the_context() -> None:
    worker = Worker()
    assert made(worker).forker("try:\n    import a\nexcept ImportError:\n    import b") is worker.control


def test_the_one_that_was_not_used_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nurseries, "_MOST", 2)
    ours = made(Worker())
    opened: list[Any] = [ours.forker("import a"), ours.forker("import b")]
    assert ours.forker("import a") is opened[0]
    opened.append(ours.forker("import c"))
    assert [one.is_open for one in opened] == [True, False, True]
    ours.close()
    assert [one.is_open for one in opened] == [False, False, False]


def test_modules_that_no_interpreter_survives_are_tried_once() -> None:
    worker = Worker()
    ours = made(worker)
    assert [ours.forker("import deadly") for _ in range(2)] == [worker.control, worker.control]
    assert worker.started == [("deadly",)]


def test_without_namespaces_there_is_none() -> None:
    worker = Worker(is_jailed=False)
    assert made(worker).forker("import a") is worker.control


@pytest.fixture(scope="module")
def judge() -> Iterator[contexts.Judge]:
    with contexts.judging() as judge:
        yield judge


def importing(*modules: str) -> str:
    return "".join(f"import {module}\n" for module in modules) + contexts.ARRAY


LOOK = "import sys\nassert {test}, sorted(sys.modules)\n" + contexts.ARRAY_SOLUTION


def test_what_one_context_imports_no_other_one_finds(judge: contexts.Judge) -> None:
    for _ in range(2):
        with_wave = judge(importing("wave"), LOOK.format(test="'wave' in sys.modules"))
        assert with_wave.verdict == "passed"
        for context in (contexts.ARRAY, importing("chunk")):
            without = judge(context, LOOK.format(test="'wave' not in sys.modules"))
            assert without.verdict == "passed"


def test_a_module_of_the_context_is_new_to_each_program(judge: contexts.Judge) -> None:
    solution = (
        "import wave\nwave.mark = getattr(wave, 'mark', 0) + 1\nassert wave.mark <= 2\n"  # of two tests
    )
    for _ in range(3):
        assert judge(importing("wave"), solution + contexts.ARRAY_SOLUTION).verdict == "passed"


def test_more_sets_of_imports_than_there_are_nurseries(judge: contexts.Judge) -> None:
    modules = [
        "wave", "chunk", "cmd", "code", "colorsys", "crypt", "dbm", "filecmp", "fileinput", "getopt",
        "imghdr", "mailbox",
    ]  # fmt: skip
    for module in modules * 2:
        assert judge(importing(module), contexts.ARRAY_SOLUTION).verdict == "passed"


def test_an_import_that_fails_is_the_contexts_own_failure(judge: contexts.Judge) -> None:
    for _ in range(2):
        outcome = judge(importing("wave", "no_such_module"), contexts.ARRAY_SOLUTION)
        assert outcome.verdict == "infrastructure_error"
        assert "no_such_module" in outcome.detail
    assert judge(importing("wave"), contexts.ARRAY_SOLUTION).verdict == "passed"


def test_an_import_that_ends_the_interpreter_is_the_programs_own_end(judge: contexts.Judge) -> None:
    context = importing("wave").replace("import wave", "import wave\nimport lib2to3.__main__")
    assert judge(context, contexts.ARRAY_SOLUTION).verdict != "passed"
    assert judge(importing("wave"), contexts.ARRAY_SOLUTION).verdict == "passed"


def test_a_program_that_kills_all_it_can_see_ends_only_itself(judge: contexts.Judge) -> None:
    hostile = "import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getppid(), signal.SIGKILL)\n"
    assert judge(importing("wave"), hostile + contexts.ARRAY_SOLUTION).verdict != "infrastructure_error"
    assert judge(importing("wave"), contexts.ARRAY_SOLUTION).verdict == "passed"
