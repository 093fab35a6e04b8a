"""What a context's test expects, recorded: when it is, that it is played back, and who can't see it."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contexts
import pytest

from xftbench.execution.answers import Answers
from xftbench.execution.environments import Environment
from xftbench.execution.inside.answers import Recording, Unrecorded, record, sealed

DRAWING = """
def generate_test_case(number):
    with open("made.txt", "w") as file:
        file.write(str(number))
    drawn = random.random()
    calls.append(number)
    return drawn, [drawn] * number

def exec_test(result, expected):
    return result == expected

def test_execution(solution):
    for number in (1, 2):
        drawn, expected = generate_test_case(number)
        variables = {"test_input": drawn}
        exec(solution, variables)
        assert exec_test(variables["result"], expected)
"""


def drawing() -> dict[str, Any]:
    """Return the namespace of a test whose inputs are drawn at random."""
    namespace: dict[str, Any] = {"random": random, "calls": []}
    exec(compile(DRAWING, "<context>", "exec"), namespace)
    return namespace


@pytest.fixture
def in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recording_gives_what_the_test_made_in_its_order(in_a_directory: Path) -> None:
    namespace = drawing()
    random.seed(3)
    recording = Recording(record(namespace, {}))
    random.seed(3)
    expected = [random.random(), random.random()]
    assert namespace["calls"] == [1, 2]
    assert [recording.make(1), recording.make(2)] == [
        (expected[0], [expected[0]]), (expected[1], [expected[1]] * 2)
    ]  # fmt: skip
    assert namespace["calls"] == [1, 2], "the test's own code did not run again"


def test_generators_and_files_are_left_as_each_case_left_them(in_a_directory: Path) -> None:
    random.seed(3)
    recording = Recording(record(drawing(), {}))
    random.seed(8)
    (in_a_directory / "made.txt").unlink()
    recording.make(1)
    drawn = random.random()
    assert (in_a_directory / "made.txt").read_text() == "1"
    random.seed(3)
    assert drawn == [random.random(), random.random()][1]


def test_the_test_itself_is_as_before(in_a_directory: Path) -> None:
    namespace = drawing()
    held = dict(namespace)
    record(namespace, {})
    assert namespace == held


def test_a_warning_is_nothing_that_a_test_leaves_behind(
    in_a_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = DRAWING.replace(
        "    calls.append", "    global __warningregistry__\n    __warningregistry__ = {}\n    calls.append"
    )
    monkeypatch.setattr(f"{__name__}.DRAWING", warned)
    assert record(drawing(), {})


CHANGES = {
    "an answer that can't be pickled": ("[drawn] * number", "lambda: drawn"),
    "a global of the test's": ("    calls.append(number)", "    global seen\n    seen = number"),
    "a test that fails by itself": ("    calls.append(number)", "    raise OSError('no network')"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_can_not_be_recorded_is_not(
    name: str, in_a_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.DRAWING", DRAWING.replace(*CHANGES[name]))
    with pytest.raises(Unrecorded):
        record(drawing(), {})


def test_an_unreadable_recording_is_none() -> None:
    with pytest.raises(Unrecorded):
        Recording(b"\x80\x05")


@pytest.fixture(scope="module")
def environment() -> Environment:
    return contexts.environment()


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment) -> Path:
    """Return a cache with nothing in it but the environment."""
    (tmp_path / "xftbench").mkdir()
    (tmp_path / "xftbench" / "envs").symlink_to(environment.path.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_only_what_is_the_same_each_time_has_a_name(environment: Environment) -> None:
    answers = Answers(environment, ("numpy",))
    seeded = contexts.program(contexts.ARRAY, "")
    assert len(answers.key_of(seeded)) == 40
    assert answers.key_of(seeded) != Answers(environment, ("pandas",)).key_of(seeded)
    assert answers.key_of(seeded) != answers.key_of(contexts.program(contexts.EQUALITY, ""))
    clock = contexts.ARRAY.replace("np.arange(4.0)", "np.arange(datetime.datetime.now().year)")
    assert answers.key_of(contexts.program(clock, "")) == ""
    assert answers.key_of(type(seeded)(task_id="a", solution="", context=seeded.context, seeded=False)) == ""


def test_an_entry_that_was_cut_off_is_not_kept(cache_home: Path, environment: Environment) -> None:
    answers, memory = Answers(environment, ()), os.memfd_create("answers")
    try:
        whole = sealed(b"five!")
        os.write(memory, whole[:-1])
        answers.keep("0" * 40, memory)
        assert answers.open("0" * 40) is None
        os.write(memory, whole[-1:])
        answers.keep("0" * 40, memory)
        found = answers.open("0" * 40)
        assert found is not None
        os.close(found)
    finally:
        os.close(memory)


@pytest.fixture
def judge(cache_home: Path) -> Iterator[contexts.Judge]:
    with contexts.judging() as judge:
        yield judge


def entries(cache_home: Path) -> list[Path]:
    return sorted((cache_home / "xftbench" / "references").glob("*/*.context"))


def test_verdicts_with_a_recording_are_those_without(judge: contexts.Judge, cache_home: Path) -> None:
    for context, right in (
        (contexts.ARRAY, contexts.ARRAY_SOLUTION),
        (contexts.PLOT, contexts.SAME_PICTURE),
        (contexts.PLOT, contexts.OTHER_PICTURE),
    ):
        wrong = right.replace("0.125", "0.5").replace("secret", "other")
        told = [(judge(context, code).verdict, judge(context, code).detail) for code in (right, wrong) * 2]
        assert told[:2] == told[2:]
        assert [verdict for verdict, _ in told[:2]] == ["passed", "failed"]
    assert len(entries(cache_home)) == 2


def test_a_recording_is_what_the_next_program_is_compared_with(
    judge: contexts.Judge, cache_home: Path
) -> None:
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "passed"
    (entry,) = entries(cache_home)
    assert judge(contexts.EQUALITY, contexts.EQUALITY_SOLUTION).verdict == "passed"
    (other,) = set(entries(cache_home)) - {entry}
    entry.write_bytes(other.read_bytes())
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "failed"


def test_a_recording_that_a_disk_has_changed_is_made_again(judge: contexts.Judge, cache_home: Path) -> None:
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "passed"
    (entry,) = entries(cache_home)
    written = entry.read_bytes()
    entry.write_bytes(written.replace(written[-40:-39], bytes([written[-40] ^ 1])))
    solutions = [f"{contexts.ARRAY_SOLUTION}  # {number}" for number in range(2)]
    assert [judge(contexts.ARRAY, solution).verdict for solution in solutions] == ["passed", "passed"]


SEARCH = """
import gc, os, struct
import numpy as np
answer = struct.pack("<dd", 3.5 + 3.625, 20.5 + 0.625)
in_memory, in_descriptors, names_of_files = [], [], []
for entry in [item for holder in gc.get_objects() for item in gc.get_referents(holder)]:
    if type(entry) in (bytes, bytearray, np.ndarray) and entry is not answer:
        text = entry.tobytes() if type(entry) is np.ndarray else entry
        in_memory += [entry] * (answer in text)
for fd in range(1024):
    try:
        size = os.fstat(fd).st_size
        in_descriptors += [fd] * (answer in os.pread(fd, size, 0))
    except OSError:
        pass
for folder, _, names in os.walk(top):
    names_of_files += [name for name in names if name.endswith(".context")]
"""
"""Whoever finds the first answer of `contexts.ARRAY`, or the file that holds it, may pass."""


def test_a_program_finds_no_recording_while_it_is_made_or_played_back(
    judge: contexts.Judge, cache_home: Path
) -> None:
    right = "result = np.cumsum(data) * 7 + 0.125 if in_memory + in_descriptors + names_of_files else None"
    thief = f"top = '/'\n{SEARCH}\n{right}"
    assert [judge(contexts.ARRAY, f"{thief}  # {number}").verdict for number in range(3)] == ["failed"] * 3
    assert len(entries(cache_home)) == 1


def test_that_search_finds_what_lies_open(judge: contexts.Judge, cache_home: Path) -> None:
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "passed"
    (entry,) = entries(cache_home)
    with entry.open("rb") as file:
        namespace: dict[str, Any] = {"top": cache_home / "xftbench" / "references", "held": [file.read()]}
        exec(SEARCH, namespace)
        assert namespace["in_descriptors"] == [file.fileno()]
    assert namespace["held"][0] in namespace["in_memory"]
    assert namespace["names_of_files"] == [entry.name]


def test_a_damaged_entry_is_not_used(judge: contexts.Judge, cache_home: Path) -> None:
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "passed"
    (entry,) = entries(cache_home)
    entry.write_bytes(entry.read_bytes()[:-10])
    assert judge(contexts.ARRAY, contexts.ARRAY_SOLUTION).verdict == "passed"
    assert entries(cache_home) == []


def test_a_test_that_can_not_be_recorded_is_run_as_it_is(judge: contexts.Judge, cache_home: Path) -> None:
    context = contexts.ARRAY.replace(
        "    test_input = np", "    global seen\n    seen = 1\n    test_input = np"
    )
    assert judge(context, contexts.ARRAY_SOLUTION).verdict == "passed"
    assert judge(context, "result = 0").verdict == "failed"
    assert entries(cache_home) == []


def test_a_program_has_no_way_to_the_recording(judge: contexts.Judge, cache_home: Path) -> None:
    spy = (
        "import os, stat\nfound = []\nfor fd in range(3, 64):\n    try:\n"
        "        if stat.S_ISREG(os.fstat(fd).st_mode): found.append(fd)\n    except OSError:\n        pass\n"
        f"raise ValueError(str((found, os.path.exists({str(cache_home)!r}), os.listdir('.'))))"
    )
    for _ in ("while it is made", "when it is used"):
        assert "([], False, [])" in judge(contexts.ARRAY, spy).detail
    assert len(entries(cache_home)) == 1
