"""The files of expected answers: what stands where, and what becomes of a damaged one."""

from pathlib import Path
from typing import NoReturn

import pytest

from xftbench.execution import references
from xftbench.execution.pool import Pool
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
