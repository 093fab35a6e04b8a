"""The command line itself: help, exit codes, what it loads."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    result = cli(["evaluate"])
    assert result.exit_code == 2
    assert "evaluate" in result.stderr


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
