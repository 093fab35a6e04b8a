"""Isolation by limits alone: what is right passes as in namespaces, and what is secret is out of reach."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import contexts
import pytest

from xftbench.errors import SandboxError
from xftbench.execution.inside import landlock, linux, weak
from xftbench.execution.pool import Pool
from xftbench.execution.probe import probe
from xftbench.records import FunctionProgram, Limits

TEST = "def check(candidate):\n    assert candidate() is True\n"
RIGHT = {
    "copy": "import shutil\nopen('a', 'w').close()\nshutil.copy('a', 'b')\nreturn True",
    "chmod": "import os\nopen('a', 'w').close()\nos.chmod('a', 0o600)\nreturn True",
    "lock": "import multiprocessing\nwith multiprocessing.Lock():\n    return True",
    "threads": "from multiprocessing.pool import ThreadPool\nreturn ThreadPool(2).map(abs, [-1]) == [1]",
    "kill": "import os\nif not (child := os.fork()):\n    os.read(os.pipe()[0], 1)\nos.kill(child, 9)\n"
    "return os.waitpid(child, 0)[1] == 9",
    "move": "import os\nos.mkdir('d')\nopen('a', 'w').close()\nos.rename('a', 'd/a')\nreturn True",
    "temporary": "import tempfile\nwith tempfile.TemporaryFile():\n    return True",
    "deep": "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nreturn True",
    "mime": "import mimetypes\nreturn mimetypes.guess_type('a.html')[0] == 'text/html'",
}
NEEDS_ROOT = ("copy", "chmod", "lock", "threads", "kill")


def program(body: str) -> FunctionProgram:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return FunctionProgram(
        task_id="T/0", solution=f"def f():\n{lines}", test=TEST, context="", entry_point="f"
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    if not (found := probe("rlimits")).works:
        pytest.skip(found.reason)
    with Pool(1, Limits(), "rlimits") as pool:
        yield pool


@pytest.mark.parametrize("name", RIGHT)
def test_what_passes_in_namespaces_passes_here(name: str, pool: Pool) -> None:
    if name in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("only root has other users to give programs to")
    outcome = pool.submit(program(RIGHT[name])).result()
    assert outcome.verdict == "passed", outcome


def test_nothing_is_left_for_the_next_program(pool: Pool) -> None:
    leaves = "import fcntl, os\nfcntl.flock(0, fcntl.LOCK_EX)\nos.set_blocking(1, False)\n"
    finds = "import fcntl, os\nfcntl.flock(open('/dev/null'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    files = "open('here', 'w').close()\nos.makedirs('a/b')\n"
    assert pool.submit(program(f"{leaves}{files}return True")).result().verdict == "passed"
    looks = "return os.get_blocking(1) and os.listdir('.') == [] and len(os.listdir('..')) == 1"
    assert pool.submit(program(finds + looks)).result().verdict == "passed"


def test_shared_memory_of_a_program_goes_with_it(pool: Pool) -> None:
    shared = Path("/dev/shm")
    if os.geteuid() != 0 or not shared.is_dir():
        pytest.skip("only root has other users to give programs to")
    before = set(shared.iterdir())
    body = "import os\nos.makedirs('/dev/shm/evil/d')\nopen('/dev/shm/evil/d/e', 'w').close()\nreturn True"
    assert pool.submit(program(body)).result().verdict == "passed"
    assert pool.submit(program("return True")).result().verdict == "passed"  # the cleaning is done by now
    assert set(shared.iterdir()) <= before


def test_a_picture_that_is_right_is_out_of_reach() -> None:
    contexts.environment()
    steal = "import glob\nplt.bar([1, 2], [3, 5])\nfound = glob.glob('../**/*.png', recursive=True) + "
    steal += "glob.glob('../../**/*.png', recursive=True)\nassert not found, found\n"
    with Pool(1, contexts.LIMITS, "rlimits") as pool:
        outcome = pool.submit(contexts.program(contexts.PLOT, steal)).result()
    assert outcome.verdict == "failed"
    assert "png" not in outcome.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to give programs to")
def test_a_directory_that_is_closed_to_programs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed" / "in"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with pytest.raises(SandboxError, match=r"to whom .*closed.* is closed"), Pool(1, Limits(), "rlimits"):
        pass


@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
def test_the_harness_umask_does_not_matter(isolation: str) -> None:
    before = os.umask(0o077)
    try:
        found = probe(isolation)  # type: ignore[arg-type]
    finally:
        os.umask(before)
    if not found.works and not probe(isolation).works:  # type: ignore[arg-type]
        pytest.skip(found.reason)
    assert found.works, found.reason


PROBE = """
from xftbench.execution.inside import linux
from xftbench.execution.probe import probe
keep = {keep} & linux.effective_capabilities()
linux.drop_bounding_set(keep)
linux.drop_capabilities(keep)
found = probe("rlimits")
print(found.works, found.user, found.reason)
"""


def probe_with(keep: int) -> str:
    """Return what the probe finds where a process has no capabilities but these."""
    code = PROBE.format(keep=keep)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_who_can_not_change_user_is_refused_with_what_to_do() -> None:
    said = probe_with(0)
    assert "root lacks CAP_CHOWN" in said, said
    assert "CAP_SETUID) and must not run as root" in said
    assert "docker run --user 1000" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_of_an_ordinary_container_may_lack_the_right_to_read_everything() -> None:
    said = probe_with(0xFFFFFFFF & ~weak._READ_EVERYTHING)
    # Where the interpreter lies below a closed folder, that right was what let programs in.
    assert said.startswith("True throw-away") or "is closed" in said, said


@pytest.mark.parametrize(
    ("limits_hold", "files_are_kept", "danger"),
    [(True, True, ""), (False, True, "no limit of processes"), (True, False, "only Landlock")],
)
def test_root_of_a_small_user_namespace_runs_programs_only_if_it_is_harmless(
    limits_hold: bool, files_are_kept: bool, danger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(linux, "effective_capabilities", lambda: -1)
    monkeypatch.setattr(linux, "become_user", refuse)
    monkeypatch.setattr(weak, "_exceed_processes", refuse if limits_hold else lambda: None)
    monkeypatch.setattr(landlock, "knows_truncating", lambda: files_are_kept)
    if danger:
        with pytest.raises(OSError, match=f"this user namespace has no user .*{danger}"):
            weak._throw_away_user()
    else:
        assert weak._throw_away_user() is None


IN_USER_NAMESPACE = """
import os, sys
from xftbench.execution.inside import linux
from xftbench.execution.probe import probe
linux.unshare(linux.CLONE_NEWUSER, "a user namespace")
print("here", flush=True)
input()
os.setgroups([])
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
found = probe("rlimits") if os.access(sys.executable, os.X_OK) else None
print(found and (found.works, found.user, found.reason))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a user namespace of other users")
@pytest.mark.parametrize("n_users", [1, 65536])
def test_root_who_is_an_ordinary_user_outside_runs_programs_as_himself(n_users: int) -> None:
    command = [sys.executable, "-c", IN_USER_NAMESPACE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != "here\n":
            pytest.skip("no user namespaces here")
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{name}").write_text(f"0 100000 {n_users}\n")
        said, _ = process.communicate("\n", timeout=60)
    if said == "None\n":
        pytest.skip(f"{sys.executable} is closed to other users")
    assert said.startswith("(True, 'self', "), said
