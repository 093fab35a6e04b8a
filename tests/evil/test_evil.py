"""Every hostile program in `programs/` gets its verdict, leaves nothing behind and harms nobody.

The programs are data: their first comment lines name the expected verdicts, the task whose test they face
(HumanEval/53, `add`, by default) and limits of their own. Each gives wrong answers, so `passed` is never
right. Those in `controls/` are unusual but right, and must pass. Both are `.txt` so that nobody imports one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import CONTROLS, PROGRAMS, ROWS, Case, Scene, read_case
from survivors import settled, survivors

from xftbench.errors import SandboxError
from xftbench.records import FunctionProgram, Limits, Program

TIGHT = Limits(cpu_s=1, wall_s=5.0, memory_bytes=1 << 30)


def program_for(task_id: str, solution: str) -> Program:
    row = ROWS[task_id]
    return FunctionProgram(
        task_id=task_id,
        solution=solution,
        entry_point=row["entry_point"],
        context=row["prompt"],
        test=row["test"],
    )


def canonical(task_id: str) -> Program:
    row = ROWS[task_id]
    return program_for(task_id, "# CANONICAL_MARK\n" + row["prompt"] + row["canonical_solution"])


def limits_of(case: Case, base: Limits) -> Limits:
    changes: dict[str, Any] = {}
    for assignment in case.header.get("limits", "").split():
        name, _, value = assignment.partition("=")
        changes[name] = float(value) if name == "wall_s" else int(value)
    values = {name: getattr(base, name) for name in Limits.__struct_fields__}
    return Limits(**(values | changes))


@pytest.fixture(scope="module", params=["namespaces", pytest.param("rlimits", marks=pytest.mark.slow)])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFTBENCH_TEST_SECRET", "open sesame")
        scene = Scene(tmp_path_factory.mktemp("outside"), request.param)
        try:
            scene.run(canonical("HumanEval/53"), TIGHT)
        except SandboxError as error:
            scene.close()
            pytest.skip(str(error))
        yield scene
        scene.close()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_hostile_program_gets_its_verdict_and_leaves_nothing(path: Path, scene: Scene) -> None:
    case = read_case(path)
    limits = limits_of(case, TIGHT)
    assert scene.run(canonical(case.task_id), limits).verdict == "passed", "before"
    before, connections = survivors(), scene.n_connections
    outcome = scene.run(program_for(case.task_id, scene.fill_in(case.source)), limits)
    assert outcome.verdict in case.header["expect"].split(), outcome
    assert outcome.detail, "a verdict against a program says why"
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 300
    assert scene.run(canonical(case.task_id), limits).verdict == "passed", "after: the same pool goes on"
    assert settled(before) == before, "no process survives"
    assert scene.n_connections == connections
    assert [entry.name for entry in scene.outside.iterdir()] == ["precious"]
    assert (scene.outside / "precious").read_text() == "precious"
    for folder in ("/etc", "/root", "/work", "/", "/usr/lib", "/dev", "/var/tmp", "/dev/shm"):
        assert not os.path.lexists(f"{folder}/xftbench-evil"), folder


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.stem)
def test_an_unusual_but_right_program_passes(path: Path, scene: Scene) -> None:
    case = read_case(path)
    if needed := case.header.get("needs"):
        pytest.importorskip(needed)
    outcome = scene.run(program_for(case.task_id, case.source), limits_of(case, Limits()))
    assert outcome.verdict == "passed", outcome


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        pytest.param("def add(x, y):\0 return x + y", "compile_error", id="null_byte"),
        pytest.param("# \ud800\ndef add(x, y):\n    return x + y", "compile_error", id="lone_surrogate"),
        pytest.param("x = " + "(" * 10_000 + ")" * 10_000, "compile_error", id="nested_parentheses"),
        pytest.param("x = " + "-" * 200_000 + "1", "compile_error crashed", id="nested_minus"),
        pytest.param("x = " + "1+" * 200_000 + "1", "compile_error crashed failed", id="long_sum"),
        pytest.param("x" + ".x" * 200_000, "compile_error crashed failed", id="long_attribute"),
        pytest.param(
            "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 200)), "compile_error", id="nested_if"
        ),
        pytest.param("x = '" + "y" * (20 << 20) + "'", "failed", id="twenty_megabytes"),
        pytest.param("", "failed", id="empty"),
        pytest.param("\ufeffdef add(x, y):\n    return x - y", "failed compile_error", id="byte_order_mark"),
        pytest.param("def add(x, y):\n    return '\ufffe\uffff' * 3", "failed", id="non_characters"),
    ],
)
def test_a_source_that_no_file_holds_well_gets_its_verdict(
    solution: str, expected: str, scene: Scene
) -> None:
    outcome = scene.run(program_for("HumanEval/53", solution), TIGHT)
    assert outcome.verdict in expected.split(), outcome
    assert scene.run(canonical("HumanEval/53"), TIGHT).verdict == "passed"


def test_nobody_changes_a_mode_of_what_is_lent_to_a_jail(scene: Scene) -> None:
    """Not even where root has no other user to become, and owns /dev/null."""
    if scene.isolation != "namespaces":
        pytest.skip("only mounts can be read-only")
    solution = """
import errno, os
changes = lambda: os.chmod("/dev/null", 0o666), lambda: os.fchmod(0, 0o666), lambda: os.utime("/dev/zero")
for change in changes:
    try:
        change()
    except OSError as error:
        assert error.errno == errno.EROFS, error
    else:
        raise AssertionError
with open("/dev/null", "w") as file:
    file.write("still there")
assert len(open("/dev/urandom", "rb").read(8)) == 8
def add(x, y):
    return x + y
"""
    assert scene.run(program_for("HumanEval/53", solution), TIGHT).verdict == "passed"
