"""``xftbench run`` on a pico model: the whole line, its interruptions, and its mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import started

from xftbench.records import Problem
from xftbench.store.results import read_results

pytest.importorskip("torch", reason="generating needs torch: pip install 'xftbench[hf]'")

Cli = Callable[[list[str]], Any]
SMALL = ["--limit", "3", "--max-new-tokens", "8", "--backend", "hf"]


def samples(run_dir: Path) -> dict[tuple[str, int], dict[str, Any]]:
    rows = [json.loads(line) for line in (run_dir / "samples.jsonl").read_text().splitlines()]
    keys = [(row["task_id"], row["sample_index"]) for row in rows]
    assert len(keys) == len(set(keys)), "a sample was made twice"
    return dict(zip(keys, rows, strict=True))


def only_run(out: Path) -> Path:
    (run_dir,) = [path for path in out.iterdir() if path.is_dir()]
    return run_dir


def test_two_models_give_one_table_with_provenance(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    result = run("--models", f"a={pico_checkpoint}", f"b={pico_checkpoint}", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "| a " in result.stdout
    assert "| b " in result.stdout
    assert "3 of 164 problems" in result.stdout, "the caption says that this is a part of the suite"
    assert "all 3 pass" in result.stderr, "the canonical solutions run first"

    import pandas as pd

    tables = tmp_path / "leaderboards"
    frames = [pd.read_csv(tables / "humaneval.csv"), pd.read_parquet(tables / "humaneval.parquet"),
              pd.DataFrame(json.loads((tables / "humaneval.json").read_text()))]  # fmt: skip
    for frame in frames:
        assert sorted(frame["model"]) == ["a", "b"]
        assert frame["checkpoint_sha256"].nunique() == 1
        for column in ("data_sha256", "prompts_sha256", "style", "engine_version", "run", "finished"):
            assert frame[column].notna().all()
    assert "| a " in (tables / "humaneval.md").read_text()


def test_the_leaderboard_documents_every_column(run: Callable[..., Any], pico_checkpoint: Path) -> None:
    result = run("--models", f"a={pico_checkpoint}", *SMALL, "--json")
    (row,) = json.loads(result.stdout)
    documented = (Path(__file__).parents[2] / "docs" / "leaderboard.md").read_text()
    for column in row:
        assert f"`{column.replace('pass@1', 'pass@k')}`" in documented


def test_the_same_command_again_reads_what_is_there(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["--models", f"a={pico_checkpoint}", *SMALL]
    first = run(*arguments)
    files = {path: path.read_bytes() for path in only_run(tmp_path / "runs").iterdir()}
    second = run(*arguments)
    assert second.exit_code == 0
    assert "already complete" in second.stderr
    assert first.stdout == second.stdout
    assert {path: path.read_bytes() for path in only_run(tmp_path / "runs").iterdir()} == files


def test_a_run_of_another_machine_is_not_gone_on_with_and_the_user_is_told_why(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--models", f"a={pico_checkpoint}", *SMALL]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert "was made otherwise" not in run(*arguments).stderr
    there = only_run(tmp_path / "runs")
    assert "was made otherwise" not in run(*arguments, "--batch-size", "3").stderr, "that was asked for"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    again = run(*arguments)
    assert again.exit_code == 0
    assert f"{there} was made otherwise, so this is another run: processor: " in again.stderr
    assert "2 threads -> " in again.stderr
    assert "1 thread" in again.stderr
    assert "was made otherwise" not in run(*arguments).stderr, "once it is begun, it is gone on with"


def test_other_settings_are_another_run_and_another_table(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    run("--models", f"a={pico_checkpoint}", *SMALL)
    result = run("--models", f"a={pico_checkpoint}", *SMALL, "--style", "magicoder")
    assert "style magicoder" in result.stdout
    assert "style base" not in result.stdout, "only what this command asked for is shown"
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert (tmp_path / "leaderboards" / "humaneval.md").read_text().count("| model") == 2


def test_generate_makes_samples_that_run_then_judges(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["--models", f"a={pico_checkpoint}", *SMALL]
    generated = run(*arguments, command="generate")
    assert generated.exit_code == 0
    assert "3 of 3 replies were cut off at the limit of tokens (" in " ".join(generated.stderr.split())
    run_dir = only_run(tmp_path / "runs")
    made = samples(run_dir)
    assert len(made) == 3
    assert not (run_dir / "scores.json").exists()
    assert run(*arguments).exit_code == 0
    assert samples(run_dir) == made
    assert (run_dir / "scores.json").exists()


def test_a_samples_file_of_the_whole_suite_serves_a_part_of_it(
    run: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    rows = [
        {"task_id": problem.task_id, "solution": problem.prompt + problem.canonical_solution}
        for problem in problems.values()
    ]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run("--models", f"x={path}", "--limit", "3")
    assert result.exit_code == 0, result.stderr
    assert "3/3" in result.stdout


def test_how_many_samples_a_problem_has_is_taken_from_the_file(
    run: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    problem = problems["HumanEval/0"]
    row = {"task_id": problem.task_id, "solution": problem.prompt + problem.canonical_solution}
    for name, n in (("once", 1), ("thrice", 3)):
        (tmp_path / f"{name}.jsonl").write_text((json.dumps(row) + "\n") * n)
    models = [f"{name}={tmp_path}/{name}.jsonl" for name in ("once", "thrice")]
    result = run("--models", *models, "--limit", "1")
    assert result.exit_code == 0, result.stderr
    runs = {
        name: read_results(path)
        for name in ("once", "thrice")
        for path in tmp_path.glob(f"runs/*--{name}--*")
    }
    assert {name: one.spec.generation.sampling.n for name, one in runs.items()} == {"once": 1, "thrice": 3}
    refused = run("--models", *models, "--limit", "1", "--n", "3", "--top-p", "0.5")
    assert refused.exit_code == 2
    assert "--n, --top-p: nothing is drawn" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--models", "x=smolm2"], 2, "smollm2"),
        (["--models"], 2, "--models"),
        (["--models", "a/b=smollm2"], 2, "NAME=REF"),
        (["--models", "a=smollm2", "a=smollm2"], 2, "twice"),
        (["--models", "x=smollm2", "--task-id", "HumanEval/164"], 2, "HumanEval/164"),
        (["--models", "x=smollm2", "--style", "instruct"], 2, "known: base, chat, magicoder"),
        (["--models", "x=smollm2", "--temperature", "-1"], 2, "temperature"),
        (["--models", "x=/nowhere/at/all"], 2, "/nowhere/at/all"),
        (["--models", "x=smollm2", "--tempreture", "1"], 2, "--temperature"),
    ],
)
def test_slips_cost_seconds_and_end_with_2(
    run: Callable[..., Any], tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_directory_that_is_no_checkpoint_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("--models", f"x={tmp_path / 'empty'}")
    assert result.exit_code == 4
    assert "config.json" in result.stderr


def command(checkpoint: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "xftbench", "run", "--models", f"a={checkpoint}", "--backend", "hf",
        # Five batches: a signal that a busy machine sends late still finds the run at work.
        "--limit", "6", "--n", "24", "--temperature", "1", "--max-new-tokens", "48",
        "--out", str(out / "runs"), "--leaderboards", str(out / "leaderboards"),
        "--cache-dir", str(out / "cache"), *more,
    ]  # fmt: skip


def stopped_when(arguments: list[str], out: Path, n_lines: int, how: signal.Signals) -> tuple[int, str]:
    """Exit code and stderr of a command that gets a signal once so many samples are stored."""
    with started(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            files = list(out.glob("runs/*/samples.jsonl"))
            if files and files[0].read_bytes().count(b"\n") >= n_lines:
                process.send_signal(how)
                break
            time.sleep(0.01)
        _, said = process.communicate(timeout=60)
        return process.returncode, said.decode()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_while_generating_it_goes_on_and_ends_the_same(
    pico_checkpoint: Path, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "stopped"
    code, said = stopped_when(command(pico_checkpoint, out), out, 8, how)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130), said
    if how != signal.SIGKILL:
        assert "the same command goes on" in said
        assert "Traceback" not in said
    kept = samples(only_run(out / "runs"))
    assert 8 <= len(kept) < 144
    whole = tmp_path / "whole"
    for place in (out, whole):
        subprocess.run(command(pico_checkpoint, place), check=True, capture_output=True, timeout=120)
    resumed = samples(only_run(out / "runs"))
    assert {key: resumed[key] for key in kept} == kept, "a finished sample is not made again"
    assert resumed == samples(only_run(whole / "runs")), "the rest is what it would have been"
    scores = [
        json.loads((only_run(place / "runs") / "scores.json").read_text())["scores"] for place in (out, whole)
    ]
    assert scores[0] == scores[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only or small disk needs root")
@pytest.mark.parametrize(("options", "complaint"), [("ro", "read-only"), ("size=24k", "free some space")])
def test_a_disk_that_takes_nothing_is_a_store_error(
    cli: Cli, pico_checkpoint: Path, tmp_path: Path, options: str, complaint: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow mounting a tmpfs")
    try:
        places = ["--out", str(disk / "runs"), "--leaderboards", str(tmp_path / "tables")]
        places += ["--cache-dir", str(tmp_path / "cache")]
        result = cli(["run", "--models", f"a={pico_checkpoint}", *SMALL, "--limit", "20", *places])
        assert result.exit_code == 5, result.stderr
        assert complaint in result.stderr
        assert "Traceback" not in result.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)
