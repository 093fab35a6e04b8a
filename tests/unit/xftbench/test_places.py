"""Where caches are, and what happens where there is no home that they could be in."""

import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from xft import embedded
from xft import errors as xft_errors
from xftbench import places
from xftbench.errors import UsageProblem
from xftbench.execution import references
from xftbench.execution.native import toolchains, view

HOMELESS = """
import os, pwd
def nobody(_):
    raise KeyError
pwd.getpwuid = nobody
os.environ.pop("HOME", None)
"""


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --user 12345` in an image that sets no HOME."""

    def nobody(_: int) -> NoReturn:
        raise KeyError

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


def test_caches_are_where_the_user_says_and_else_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/some/home")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert places.caches() == Path("/some/home/.cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert places.caches() == Path("/some/home/.cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/cache")
    assert places.caches() == Path("/some/cache")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.home() is None
    with pytest.raises(UsageProblem, match="no home directory") as caught:
        places.caches()
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")
    with pytest.raises(xft_errors.UsageProblem, match="no home directory"):
        embedded.default_cache()
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/cache")
    assert places.caches() == Path("/some/cache")
    assert embedded.default_cache() == Path("/some/cache/xftbench")


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["env", "list"],
        ["score", "--suite", "mbpp", "--samples", "/dev/null", "--run-dir", "/none"],
    ],
)
def test_a_command_without_a_home_ends_with_one_message(
    arguments: list[str], cli: Callable[..., Any]
) -> None:
    toolchains.find_toolchain.cache_clear()
    result = cli(arguments)
    assert result.exit_code == 2, result.stderr
    assert "no home directory" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("homeless")
def test_what_can_go_on_without_a_home_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert references.path_of("0" * 40, "inputs").is_relative_to(references._temporary())
    assert toolchains._expanded("~/bin/tool") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (str(tmp_path / "xftbench" / "toolchains"), view.CACHE_INSIDE) in view.plan()["directories"]


def test_importing_asks_for_no_home() -> None:
    code = f"{HOMELESS}\nimport xftbench.execution.native.view"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_temporary_place_of_references_goes_with_the_process() -> None:
    asks = "from xftbench.execution import references; print(references._temporary())"
    told = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout
    assert "xftbench-references-" in told
    assert not Path(told.strip()).exists()
