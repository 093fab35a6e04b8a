"""The files of expected answers: what stands where, and what becomes of a damaged one."""

import errno
from pathlib import Path
from typing import NoReturn

import pytest

from xftbench.execution import references
from xftbench.execution.pool import Pool
from xftbench.jsonl import write_atomically
from xftbench.records import Limits, PlusProblem, PlusProgram

SOURCE = "def half(n):\n    return n / 2 if n % 3 else [n, 'three']\n"
PROBLEM = PlusProblem(
    task_id="T/0", prompt=SOURCE, entry_point="half", canonical_solution="", contract="", atol=0.0,
    base_input=b"[[1], [2]]", plus_input=b"[[3], [4], [5]]", oracle="equal", content_sha256="half",
)  # fmt: skip
NEARLY = f"{SOURCE}_half = half\ndef half(n):\n    return _half(n) + 1e-12 if n % 3 else _half(n)\n"


pytestmark = pytest.mark.usefixtures("needs_namespaces")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(references, "_MOVED", set())


def _verdicts() -> list[str]:
    with Pool(1, Limits()) as pool:
        solutions = (SOURCE, NEARLY, SOURCE.replace("/ 2", "/ 3"))
        programs = [PlusProgram(task_id="T/0", solution=one, problem=PROBLEM) for one in solutions]
        return [pool.submit(program).result().verdict for program in programs]


def test_what_was_stored_judges_as_what_was_computed() -> None:
    assert _verdicts() == ["passed", "passed", "failed"]
    assert _verdicts() == ["passed", "passed", "failed"]


@pytest.mark.parametrize("kind", ["inputs", "expected", "sums"])
@pytest.mark.parametrize("damage", ["bit", "end", "gone"])
def test_what_a_disk_has_changed_is_made_anew(kind: str, damage: str) -> None:
    _verdicts()
    path = references.path_of(references.key_of(PROBLEM), kind)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "end" else data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    assert _verdicts() == ["passed", "passed", "failed"]
    assert references.get(PROBLEM, _never).inputs.is_file()


def _never(*_: object) -> NoReturn:
    raise AssertionError("it was there")


def _fill_disk(monkeypatch: pytest.MonkeyPatch, *full: Path, kinds: str = "lock inputs expected") -> None:
    """Let no file of some kinds be written below some folders any more."""

    def write(path: Path, data: bytes) -> None:
        if any(path.is_relative_to(folder) for folder in full) and path.suffix[1:] in kinds.split():
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, data)

    monkeypatch.setattr(references, "write_atomically", write)


@pytest.mark.parametrize("kinds", ["inputs expected", "expected"])
def test_where_the_cache_is_full_the_answers_are_kept_elsewhere(
    kinds: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill_disk(monkeypatch, tmp_path, kinds=kinds)
    assert _verdicts() == ["passed", "passed", "failed"]
    key = references.key_of(PROBLEM)
    assert not references.path_of(key, "expected").is_relative_to(tmp_path)
    assert references._read(key) is not None, "it is computed once"


def test_where_not_even_the_lock_can_be_made_the_answers_are_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = references.path_of(references.key_of(PROBLEM), "lock").parent
    folder.touch()  # root may write everywhere, but not below a file
    assert _verdicts() == ["passed", "passed", "failed"]


def test_where_all_is_full_the_folders_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = references._temporary()
    _fill_disk(monkeypatch, tmp_path, temporary)
    with Pool(1, Limits()) as pool:
        outcome = pool.submit(PlusProgram(task_id="T/0", solution=SOURCE, problem=PROBLEM)).result()
    assert outcome.verdict == "infrastructure_error"
    assert str(tmp_path) in outcome.detail
    assert str(temporary) in outcome.detail
    assert "No space left on device" in outcome.detail
