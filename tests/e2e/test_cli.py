"""The command line itself: help, exit codes, what it loads."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from many_runs import write_run

REPOSITORY = Path(__file__).parents[2]
_WITHOUT_PRIVILEGE = (
    ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
"""Root may read everything, unless it gives that up."""

Cli = Callable[[list[str]], Any]
COMMANDS = ["run", "generate", "score", "show", "leaderboard", "doctor", "data"]


def test_help_lists_every_command_and_exit_code(cli: Cli) -> None:
    result = cli(["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
    for code in ("0", "1", "2", "3", "4", "5", "6", "130"):
        assert f"\n    {code:<5}" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Cli, command: str) -> None:
    result = cli([command, "--help"])
    assert result.exit_code == 0
    assert "Options:" in result.stdout


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("xyz", "No such command 'xyz'.\n"),
        ("compar", "No such command 'compar'. Did you mean compare"),
        ("--compar", "No such option"),
    ],
)
def test_an_unknown_command_is_a_usage_error(cli: Cli, word: str, told: str) -> None:
    result = cli([word])
    assert result.exit_code == 2
    assert told in result.stderr


def test_the_version_is_printed_by_the_module_too() -> None:
    result = subprocess.run([sys.executable, "-m", "xftbench", "--version"], capture_output=True, text=True)
    assert result.stdout.startswith("xftbench, version ")


@pytest.mark.parametrize("arguments", [["--help"], ["data", "--json"]])
def test_output_that_can_not_be_written_is_told_in_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "xftbench", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.stderr == "error: can't write the output: No space left on device\n"
    assert result.returncode == 5


@pytest.mark.parametrize("arguments", [["--help"], ["data", "--json"], ["compare", "--help"]])
def test_output_that_nobody_reads_ends_quietly(arguments: list[str]) -> None:
    assert _unread([sys.executable, "-m", "xftbench", *arguments]) == (5, "")


def test_a_buffer_that_nobody_reads_ends_quietly_too() -> None:
    """What a library prints is written when the buffer is, at the end."""
    code = (
        "import sys; from xft import interrupt; from xftbench import cli; from xftbench.commands import data;"
        "data.command.callback = lambda **options: print('a line');"
        "interrupt.run(lambda: cli.run(['data']))"
    )
    assert _unread([sys.executable, "-c", code], PYTHONUNBUFFERED="") == (5, "")


def test_a_pipe_that_is_not_the_output_keeps_its_traceback() -> None:
    code = (
        "from xftbench import cli; from xftbench.commands import data\n"
        "def fail(**options): raise BrokenPipeError(32, 'of a worker')\n"
        "data.command.callback = fail; cli.run(['data'])"
    )
    code, told = _unread([sys.executable, "-c", code])
    assert code == 1
    assert told.endswith("BrokenPipeError: [Errno 32] of a worker\n")


def _unread(command: list[str], **variables: str) -> tuple[int, str]:
    """Run a command whose output has no reader; return its exit code and stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, env=os.environ | variables
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments", [["leaderboard", "runs", "--leaderboards", "tables"], ["compare", "runs", "runs/open"]]
)
def test_a_run_that_is_not_ours_to_read_is_named(arguments: list[str], tmp_path: Path) -> None:
    for name in ("open", "closed"):
        write_run(tmp_path / "runs", name, "x", n_problems=3, n=1, rate=0.5).rename(tmp_path / "runs" / name)
    (tmp_path / "runs" / "closed").chmod(0)
    done = subprocess.run(
        [*_WITHOUT_PRIVILEGE, sys.executable, "-m", "xftbench", *arguments],
        cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    (tmp_path / "runs" / "closed").chmod(0o700)
    assert "warning: left out: " in done.stderr
    assert "runs/closed" in done.stderr


@pytest.mark.parametrize("suites", [["xft-paper"], ["humaneval", "multipl-e:swift"]])
def test_score_refuses_several_suites_before_it_looks_for_what_they_need(
    cli: Cli, suites: list[str], tmp_path: Path
) -> None:
    (tmp_path / "s.jsonl").touch()
    words = [word for suite in suites for word in ("--suite", suite)]
    result = cli(["score", "--samples", str(tmp_path / "s.jsonl"), "--run-dir", str(tmp_path / "r"), *words])
    assert result.exit_code == 2
    assert "one suite at a time" in result.stderr
    assert "preset" not in cli(["score", "--help"]).stdout


def test_an_id_that_is_only_a_number_is_told_its_problem(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").touch()
    arguments = ["--samples", str(tmp_path / "s.jsonl"), "--run-dir", str(tmp_path / "r"), "--ids", "0,1"]
    result = cli(["score", *arguments])
    assert result.exit_code == 2
    assert "did you mean HumanEval/0?" in result.stderr


def test_data_finds_and_verifies_humaneval(cli: Cli) -> None:
    result = cli(["data"])
    assert result.exit_code == 0
    assert "humaneval@1.0" in result.stdout
    assert "verified" in result.stdout


def test_leaderboard_without_runs_says_what_to_do(cli: Cli, tmp_path: Any) -> None:
    result = cli(["leaderboard", "--runs", str(tmp_path)])
    assert result.exit_code == 2
    assert "xftbench run" in result.stderr


def test_doctor_tells_what_works(cli: Cli) -> None:
    result = cli(["doctor"])
    assert result.exit_code == 0
    for word in ("namespaces", "vllm", "hf", "humaneval", "python"):
        assert word in result.stdout
