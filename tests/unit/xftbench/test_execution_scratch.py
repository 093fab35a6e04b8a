"""A worker's directory goes with the worker, even if that is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xftbench.execution.scratch import Scratch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_it_is_removed_with_what_is_in_it(folder: Path) -> None:
    scratch = Scratch()
    (Path(scratch.path) / "file").write_text("x")
    scratch.remove()
    assert not list(folder.iterdir())


def test_that_of_a_killed_owner_is_removed_by_the_next_one(folder: Path) -> None:
    program = "import os, xftbench.execution.scratch as s; print(s.Scratch().path, flush=True); os.abort()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    (abandoned,) = folder.iterdir()
    assert abandoned == Path(done.stdout.strip())
    living = Scratch()
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    another = Scratch()
    assert {path.name for path in folder.iterdir()} == {Path(one.path).name for one in (living, another)}
    living.remove()
    another.remove()
