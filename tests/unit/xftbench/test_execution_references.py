"""The files of expected answers: what stands where, and what becomes of a damaged one."""

import json
from pathlib import Path

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


def _damage(piece: str, data: bytes) -> None:
    path = references.path_of(references.key_of(PROBLEM), "expected")
    line, _, body = path.read_bytes().partition(b"\n")
    start, end = json.loads(line)["parts"]["base"][piece]
    body = body[:start] + data.ljust(end - start, b"\0") + body[end:]
    path.write_bytes(line + b"\n" + body)


def test_what_was_stored_judges_as_what_was_computed() -> None:
    assert _verdicts() == ["passed", "passed", "failed"]
    assert _verdicts() == ["passed", "passed", "failed"]


def test_a_damaged_file_is_never_the_models_fault() -> None:
    _verdicts()
    _damage("about", b"\xee")
    assert _verdicts() == ["passed", "infrastructure_error", "infrastructure_error"]


def test_a_file_of_another_length_is_made_anew() -> None:
    _verdicts()
    path = references.path_of(references.key_of(PROBLEM), "expected")
    path.write_bytes(path.read_bytes()[:-1])
    assert _verdicts() == ["passed", "passed", "failed"]
