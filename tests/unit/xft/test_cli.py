"""The command line as a user meets it: results, errors with hints, exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from xft_pico import build, fails, run

from xft.cli import COMMANDS, cli


def test_help_needs_no_torch() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from xft.cli import cli\n"
        "runner = CliRunner()\n"
        "assert runner.invoke(cli, ['--help']).exit_code == 0\n"
        "for name in cli.list_commands(None):\n"
        "    assert runner.invoke(cli, [name, '--help']).exit_code == 0, name\n"
        "print(sorted({'torch', 'transformers', 'xftbench'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_upcycle_merge_and_inspect_need_no_torch(save: Callable[..., Path], tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from xft.cli import cli\n"
        "for line in sys.argv[1:]:\n"
        "    result = CliRunner().invoke(cli, line.split())\n"
        "    assert result.exit_code == 0, result\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))\n"
    )
    save()
    lines = ["upcycle dense -o moe", "inspect moe --experts", "merge moe -o merged --rule uniform"]
    done = subprocess.run(
        [sys.executable, "-c", script, *lines],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_whole_way_round(save: Callable[..., Path], tmp_path: Path) -> None:
    out = run("upcycle", save(), "-o", tmp_path / "moe", "--experts", "4", "--top-k", "2", "--verify")
    assert "2 layers, 4 experts, top-2, xft" in out
    assert "largest logit difference to the dense model" in out
    out = run("merge", tmp_path / "moe", "-o", tmp_path / "merged", "--rule", "uniform", "--verify")
    assert "largest logit difference to the mixing model: 0.00e+00" in out
    found = json.loads(run("inspect", tmp_path / "merged", "--json"))
    assert (found["kind"], found["stage"]) == ("dense", "merge")
    assert str(tmp_path / "moe") in found["parents"][0]
    assert "layer 1: 0.00e+00" in run("inspect", tmp_path / "moe", "--experts")


@pytest.mark.parametrize(
    "line", [["upcycle", "moe", "-o", ""], ["upcycle", "", "-o", "moe"], ["inspect", ""]]
)
def test_a_path_that_is_an_empty_word_is_not_the_current_folder(line: list[str]) -> None:
    result = CliRunner().invoke(cli, line)
    assert (result.exit_code, "it is empty" in result.output) == (2, True)


def test_the_options_of_a_merge_of_dense_checkpoints(save: Callable[..., Path], tmp_path: Path) -> None:
    a, b = save(name="a"), save(name="b")
    run(
        "merge",
        a,
        b,
        "-o",
        tmp_path / "out",
        "--rule",
        "ties",
        "--base",
        a,
        "--weights",
        "1,0.5",
        "--density",
        "0.5",
    )
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("line", "exit_code", "words", "hint"),
    [
        ("upcycle nowhere -o new", 3, "no directory nowhere", "config.json"),
        ("upcycle dense -o moe", 5, "moe exists already", "--overwrite"),
        ("upcycle dense -o dense --overwrite", 5, "overlaps the source", "--out"),
        ("upcycle dense -o dense/moe", 5, "overlaps the source", "--out"),
        ("upcycle dense -o new --top-k 9", 2, "top-k is 9, expected 2 to 8", "--top-k 8"),
        ("upcycle dense -o new --experts 1", 2, "at least 2 experts", None),
        ("upcycle moe -o new", 3, "moe is an upcycled MoE", "xft merge"),
        ("merge dense -o new --rule uniform", 3, "dense is a dense checkpoint", "xft upcycle"),
        ("merge moe -o new --rule uniform --shared-weight 1.2", 2, "λ is 1.2, expected 0 to 1", "0.75"),
        ("merge moe -o new --rule uniform --shared-weight -0.1", 2, "λ is -0.1", "0.75"),
        ("merge moe -o new --rule uniform --shared-weight nan", 2, "λ is nan", "0.75"),
        ("merge moe -o new", 3, "xft_mixing.json", "learn-mixing"),
        ("merge moe dense -o new --rule uniform", 2, "takes one MoE, got 2", None),
        ("merge dense moe -o new --rule soup", 3, "moe is an upcycled MoE", "xft merge"),
        ("merge dense dense -o new --rule ties", 2, "needs --base", None),
        ("merge dense dense -o new --rule soup --weights 1,x", 2, "--weights is '1,x'", None),
        ("merge moe -o new --shared-weight 1.5", 2, "λ is 1.5, expected 0 to 1", "0.75"),
        (
            "merge moe -o new --shared-weight 0.5",
            2,
            "--shared-weight doesn't apply to the rule learned",
            None,
        ),
        ("merge dense dense -o new --rule soup --weights 0.5,nan", 2, "must be finite", None),
        ("merge dense dense -o new --rule slerp --base dense", 2, "--base doesn't apply", None),
        ("merge dense dense -o new --rule soup --verify", 2, "--verify doesn't apply", None),
        ("merge moe -o new --rule frequency", 2, "needs routing counts", "--frequencies"),
        ("merge moe -o new --rule frequency --frequencies dense/config.json", 3, "no table of numbers", None),
        ("selfcheck --golden dense", 3, "holds no gate-", None),
        ("inspect dense/config.json", 3, "no directory", "config.json"),
    ],
)
def test_slips_get_an_error_a_hint_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, exit_code: int, words: str, hint: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    build("llama").save_pretrained("dense")
    run("upcycle", "dense", "-o", "moe")
    error = fails(*line.split())
    assert error.exit_code == exit_code
    assert words in error.message
    assert (hint is None) == (error.hint is None)
    assert hint is None or hint in str(error.hint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "moe"], "nothing half-written"


@pytest.mark.parametrize(
    "arguments", [[], ["upcycle"], ["upcyle"], ["merge", "x", "-o", "y", "--rule", "no"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("word", "told"),
    [("upcyle", "No such command 'upcyle'. Did you mean upcycle?\n"), ("xyz", "No such command 'xyz'.\n")],
)
def test_a_misspelt_command_is_told_what_was_meant(word: str, told: str) -> None:
    assert CliRunner().invoke(cli, [word]).stderr.endswith(told)


@pytest.mark.parametrize(
    "line",
    [
        f"{command} {option} {value}"
        for command, options in {
            "sft dense -o new --data rows": ["--lr", "--epochs", "--clip", "--warmup", "--shard-gb"],
            "upcycle dense -o new": ["--balance", "--noise-eps", "--router-std", "--shard-gb"],
            "learn-mixing moe --data rows": ["--lr", "--epochs", "--held-out"],
            "merge moe -o new": ["--scale", "--density", "--t"],
            "recipe smollm2": ["--shard-gb"],
        }.items()
        for option in options
        for value in ("nan", "inf")
    ],
)
def test_numbers_that_are_none_are_wrong_usage(line: str) -> None:
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 2
    assert "is not a finite number" in result.output


def test_a_seed_that_no_generator_takes_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["upcycle", "dense", "-o", "new", "--seed", "-1"]).exit_code == 2


def test_an_expected_failure_shows_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xft", "inspect", str(tmp_path / "nowhere")], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: no directory")
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_overview_lists_every_command() -> None:
    out = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"  {name} " in out for name in COMMANDS)
