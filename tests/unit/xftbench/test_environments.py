import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xftbench.errors import ToolchainError, UsageProblem
from xftbench.execution import environments
from xftbench.execution.environments import specs

SPEC = specs()["ds1000"]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a finished environment looks like from outside, without 3 GB of packages."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "xftbench" / "envs" / SPEC.folder
    site = path / "lib" / "python3.11" / "site-packages"
    for name, version in SPEC.pins.items():
        (site / f"{name.replace('-', '_')}-{version}.dist-info").mkdir(parents=True)
    about = {"version": "3.11.9", "executable": sys.executable, "base_prefix": sys.base_prefix, "stdlib": []}
    (path / "environment.json").write_text(json.dumps(about))
    return path


def test_torch_is_pinned_to_a_cpu_build_and_nothing_of_cuda_is_there() -> None:
    assert SPEC.pins["torch"].endswith("+cpu")
    assert not [name for name in SPEC.pins if "nvidia" in name or name == "triton"]
    assert (SPEC.pins["numpy"], SPEC.pins["pandas"], SPEC.python) == ("1.26.4", "1.5.3", "3.11")


def test_an_environment_that_holds_its_pins_is_found(made: Path) -> None:
    assert environments.find("ds1000").path == made
    assert SPEC.identity in environments.toolchain("ds1000")


def test_one_that_is_there_is_kept_if_it_is_what_was_asked_for(made: Path) -> None:
    said: list[str] = []
    for python, directory in ((None, None), (sys.executable, made)):
        kept = environments.create("ds1000", python=python, directory=directory, say=said.append)
        assert kept.path == made
    with pytest.raises(UsageProblem, match=f"is there already, in {made}"):
        environments.create("ds1000", directory=made.parent / "elsewhere", say=said.append)
    about = made / "environment.json"
    about.write_text(about.read_text().replace(f'"{sys.base_prefix}"', '"/opt/another"'))
    with pytest.raises(UsageProblem, match="is there already, of"):
        environments.create("ds1000", python=sys.executable, say=said.append)


def test_another_version_is_noticed(made: Path) -> None:
    (site,) = (made / "lib" / "python3.11").iterdir()
    (site / "numpy-1.26.4.dist-info").rename(site / "numpy-2.0.0.dist-info")
    with pytest.raises(ToolchainError, match=r"numpy: expected 1.26.4, found 2.0.0"):
        environments.find("ds1000")


def test_a_superfluous_package_is_noticed(made: Path) -> None:
    (site,) = (made / "lib" / "python3.11").iterdir()
    (site / "triton-3.0.dist-info").mkdir()
    with pytest.raises(ToolchainError, match="triton: expected not to be there"):
        environments.find("ds1000")


def test_without_it_the_command_is_named(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = cli(["env", "check", "ds1000"])
    assert result.exit_code == 3
    assert "xftbench env create ds1000" in result.stderr
    assert "not usable" in cli(["env", "list"]).stdout


def test_an_unknown_environment_is_a_usage_problem(cli: Callable[..., Any]) -> None:
    result = cli(["env", "show", "ds2000"])
    assert result.exit_code == 2
    assert "known: ds1000" in result.stderr


def test_a_python_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = tmp_path / "python3.9"
    other.write_text('#!/bin/sh\necho \'{"version": "3.9.1"}\'\n')
    other.chmod(0o755)
    result = cli(["env", "create", "ds1000", "--python", str(other)])
    assert result.exit_code == 3
    assert "is Python 3.9.1, and the pinned packages need 3.11" in result.stderr


@pytest.mark.slow
def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """The real pip, which finds no package anywhere."""
    empty = tmp_path / "empty"
    empty.mkdir()
    variables = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(empty),
        "PIP_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    variables["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    command = [sys.executable, "-m", "xftbench", "env", "create", "ds1000"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "pip can't install the packages" in done.stderr
    assert [path.name for path in (tmp_path / "xftbench" / "envs").iterdir()] == [f".{SPEC.folder}.lock"]
