"""Every hostile program in `native/` gets its verdicts, leaves nothing behind and harms nobody.

The programs are data: a header with the language and the verdicts that the published rule may give, then a
solution of ``add`` that is wrong, or that is right only if it has got at something that it must not get at.
One of another problem brings its test.
Where the published rule can't but pass it, because it believes the program's own exit status, the header says
``passed``; the strict verdict never may.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from native import CASES
from survivors import settled, survivors

from xftbench.errors import SandboxError
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.toolchains import Missing, find_toolchain
from xftbench.execution.pool import Isolation, Pool
from xftbench.records import Limits, NativeProgram, Outcome

HERE = Path(__file__).parent / "native"
PROGRAMS = sorted(HERE.glob("*.txt"))
LIMITS = Limits(cpu_s=4, wall_s=20.0, memory_bytes=2 << 30, disk_bytes=256 << 20)
EVIL = "xftbench-evil"
FOLDERS = ("/etc", "/root", "/work", "/", "/usr/lib", "/dev", "/var/tmp", "/dev/shm", "/tmp")


class Attack(NamedTuple):
    language: str
    verdicts: list[str]
    solution: str
    test: str


def read_attack(path: Path) -> Attack:
    head, solution, *test = path.read_text().split("---\n")
    header = dict(line.split(": ", 1) for line in head.splitlines())
    own = test[0] if test else CASES[header["language"]].test
    return Attack(header["language"], header["verdict"].split(), solution, own)


class Scene:
    """A harness with something to steal: a listener, a secret, a file."""

    def __init__(self, outside: Path, isolation: Isolation) -> None:
        self.outside = outside
        outside.chmod(0o777)
        (outside / "precious").write_text("precious")
        (outside / "precious").chmod(0o666)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.pool = Pool(1, LIMITS, isolation)

    def run(self, language: str, solution: str, test: str) -> Outcome:
        port = self.listener.getsockname()[1]
        filled = (
            solution.replace("__OUTSIDE__", str(self.outside))
            .replace("__HARNESS_PID__", str(os.getpid()))
            .replace("__PORT__", str(port))
        )
        program = NativeProgram(task_id="HumanEval_53_add", language=language, solution=filled, test=test)
        return self.pool.submit(program).result(timeout=280)

    def assert_unharmed(self) -> None:
        with pytest.raises(BlockingIOError):
            self.listener.accept()
        assert [entry.name for entry in self.outside.iterdir()] == ["precious"]
        assert (self.outside / "precious").read_text() == "precious"
        for folder in FOLDERS:
            assert not os.path.lexists(f"{folder}/{EVIL}"), folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFTBENCH_TEST_SECRET", "open sesame")
        try:
            scene = Scene(tmp_path_factory.mktemp("outside"), "namespaces")
        except SandboxError as error:
            pytest.skip(str(error))
        with scene.pool, scene.listener:
            yield scene


@pytest.mark.slow
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_hostile_program_gets_its_verdicts_and_leaves_nothing(path: Path, scene: Scene) -> None:
    attack = read_attack(path)
    if isinstance(found := find_toolchain(attack.language), Missing):
        pytest.skip(found.install)
    before = survivors()
    outcome = scene.run(attack.language, attack.solution, attack.test)
    assert outcome.verdict in attack.verdicts, outcome
    assert outcome.strict not in ("passed", None), outcome
    assert outcome.detail or outcome.evidence, "a verdict against a program says why"
    assert outcome.detail.isprintable()
    assert "root:" not in outcome.stderr + outcome.detail, "nothing of a file is shown"
    # One that the kernel was still burying for the test before may have gone meanwhile.
    assert not settled(before)[1] - before[1], "no process gets away"
    case = CASES[attack.language]
    assert scene.run(attack.language, case.right, case.test).strict == "passed", "after: the pool goes on"
    scene.assert_unharmed()


def test_every_language_with_a_proof_that_can_be_forged_has_an_attack() -> None:
    assert {read_attack(path).language for path in PROGRAMS} >= {
        "cpp",
        "java",
        "js",
        "rs",
        "php",
        "go",
        "pl",
        "rb",
        "sh",
    }
    assert all(LANGUAGES[read_attack(path).language].proof for path in PROGRAMS)
