"""``xftbench score`` as people use it: files of other tools, mistakes, interruptions."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import started

from xftbench.records import Problem

Cli = Callable[[list[str]], Any]
RIGHT, WRONG = "HumanEval/0", "HumanEval/1"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def verdicts(run_dir: Path) -> dict[tuple[str, int], str]:
    rows = [json.loads(line) for line in (run_dir / "verdicts.jsonl").read_text().splitlines()]
    keys = [(row["task_id"], row["sample_index"]) for row in rows]
    assert len(keys) == len(set(keys)), "a sample was judged twice"
    return {key: row["verdict"] for key, row in zip(keys, rows, strict=True)}


@pytest.fixture
def score(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    def call(samples: Path, *more: str, run_dir: Path | None = None) -> Any:
        directory = str(run_dir or tmp_path / "run")
        return cli(
            ["score", "--suite", "humaneval", "--samples", str(samples), "--run-dir", directory, *more]
        )

    return call


def test_all_canonical_solutions_pass_in_every_format(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    ours = write_rows(
        tmp_path / "completions.jsonl",
        [{"task_id": p.task_id, "completion": p.canonical_solution} for p in problems.values()],
    )
    evalplus = write_rows(
        tmp_path / "solutions.jsonl",
        [
            {"task_id": p.task_id, "solution": p.prompt + p.canonical_solution, "_identifier": "x"}
            for p in problems.values()
        ],
    )
    bigcode = tmp_path / "generations.json"
    bigcode.write_text(json.dumps([[p.prompt + p.canonical_solution] for p in problems.values()]))
    packed = tmp_path / "completions.jsonl.gz"
    packed.write_bytes(gzip.compress(ours.read_bytes()))
    for samples in (ours, evalplus, bigcode, packed):
        run_dir = tmp_path / f"run-{samples.name}"
        result = score(samples, "--json", run_dir=run_dir)
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["scores"]["counts"] == {"passed": 164}
        assert report["scores"]["is_complete"]
        assert set(verdicts(run_dir).values()) == {"passed"}


def test_a_part_of_the_problems_is_scored_and_said_so(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    rows = [
        {"task_id": RIGHT, "completion": problems[RIGHT].canonical_solution},
        {"task_id": RIGHT, "completion": "    return None\n"},
        {"task_id": WRONG, "completion": "    return (\n"},
    ]
    result = score(write_rows(tmp_path / "s.jsonl", rows))
    assert result.exit_code == 0
    assert verdicts(tmp_path / "run") == {
        (RIGHT, 0): "passed",
        (RIGHT, 1): "failed",
        (WRONG, 0): "compile_error",
    }
    assert "162 of 164 problems have no sample" in result.stderr
    assert "2 of 164 problems" in result.stdout


def test_a_chat_reply_is_read_with_the_style_it_was_asked_in(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    problem = problems[RIGHT]
    reply = f"Sure!\n```python\n{problem.prompt}{problem.canonical_solution}```\nIt compares all pairs."
    samples = write_rows(tmp_path / "s.jsonl", [{"task_id": RIGHT, "completion": reply}])
    assert score(samples, "--style", "chat").exit_code == 0
    row = json.loads((tmp_path / "run" / "verdicts.jsonl").read_text())
    assert (row["verdict"], row["rule"]) == ("passed", "fence")
    stored = json.loads((tmp_path / "run" / "samples.jsonl").read_text())
    assert stored["completion"] == reply, "the completion is stored unedited"


def test_a_second_run_changes_nothing(score: Callable[..., Any], tmp_path: Path) -> None:
    samples = write_rows(tmp_path / "s.jsonl", [{"task_id": RIGHT, "completion": "    return True\n"}])
    first = score(samples)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    second = score(samples)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_another_samples_file_is_not_mixed_into_a_run(score: Callable[..., Any], tmp_path: Path) -> None:
    score(write_rows(tmp_path / "a.jsonl", [{"task_id": RIGHT, "completion": "    return True\n"}]))
    result = score(write_rows(tmp_path / "b.jsonl", [{"task_id": RIGHT, "completion": "    return 1\n"}]))
    assert result.exit_code == 5
    assert "checkpoint_sha256" in result.stderr
    assert "directory of its own" in result.stderr


@pytest.mark.parametrize(
    ("content", "code", "complaint"),
    [
        (b"", 3, "empty|no sample"),
        (b'{"task_id": "HumanEval/0", "completion": "x"}\n{"task_id": "Hum', 3, "line 2"),
        (b'{"task_id": "HumanEval/999", "completion": "x"}\n', 3, "HumanEval/999"),
        (b'{"prompt": "x", "output": "y"}\n', 3, "line 1"),
        (b'{"task_id": "HumanEval/0"}\n', 3, "completion"),
        (b'{"task_id": "HumanEval/0", "completion": 7}\n', 3, "line 1"),
        (b"\x80\x03}q\x00.", 3, "line 1"),
        (b"[1, 2]\n", 3, "generations for 2 problems"),
    ],
)
def test_a_broken_or_foreign_file_is_named_and_nothing_is_written(
    score: Callable[..., Any], tmp_path: Path, content: bytes, code: int, complaint: str
) -> None:
    import re

    (tmp_path / "s.jsonl").write_bytes(content)
    result = score(tmp_path / "s.jsonl")
    assert result.exit_code == code
    assert result.stderr.startswith("error: ")
    assert re.search(complaint, result.stderr), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--suite", "humanevl"], 2, "did you mean humaneval"),
        (["--suite", "humaneval@7"], 2, "no version '7'"),
        (["--style", "chatty"], 2, "known: base, chat, magicoder"),
        (["--samples", "nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["--data-dir", "nowhere"], 2, "--data-dir: there is no folder 'nowhere'"),
        (["--run-dir", ""], 2, "it is empty"),
        (["--workers", "0"], 2, "workers"),
        (["--timeout-scale", "nan"], 2, "not a finite number"),
        (["--timeout-scale", "inf"], 2, "not in the range"),
        (["--timeout-scale", "1e9"], 2, "not in the range"),
        (["--isolation", "none"], 2, "isolation"),
        (["--ds1000-unseeded"], 2, "humaneval has nothing to do with DS-1000"),
        (["--skip-missing-toolchains"], 2, "humaneval has no languages that could be left out"),
        (["--paralell", "8"], 2, "No such option"),
    ],
)
def test_wrong_options_end_with_the_documented_code(
    score: Callable[..., Any], tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    samples = write_rows(tmp_path / "s.jsonl", [{"task_id": RIGHT, "completion": "    return True\n"}])
    result = score(samples, *arguments)
    assert result.exit_code == code, result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_a_tampered_data_file_is_refused(score: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "HumanEval.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    samples = write_rows(tmp_path / "s.jsonl", [{"task_id": RIGHT, "completion": "    return True\n"}])
    result = score(samples, "--data-dir", str(tmp_path / "data"))
    assert result.exit_code == 3
    assert "expected 1d49078ba3e2" in result.stderr


def test_killed_while_executing_it_goes_on_and_ends_with_the_same_scores(
    problems: dict[str, Problem], tmp_path: Path
) -> None:
    rows = [
        {"task_id": p.task_id, "completion": p.canonical_solution if i % 2 else "    return None\n"}
        for p in problems.values()
        for i in range(6)
    ]
    samples = write_rows(tmp_path / "s.jsonl", rows)

    def command(run_dir: Path) -> list[str]:
        return [sys.executable, "-m", "xftbench", "score", "--suite", "humaneval", "--samples", str(samples),
                "--run-dir", str(run_dir)]  # fmt: skip

    killed = tmp_path / "killed"
    for wanted in (50, 300):
        with started(command(killed), stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                path = killed / "verdicts.jsonl"
                if path.exists() and path.read_bytes().count(b"\n") >= wanted:
                    break
                time.sleep(0.02)
            assert process.poll() is None, "the run ended before it could be killed"
        assert not (killed / "scores.json").exists()
    whole = tmp_path / "whole"
    for run_dir in (killed, whole):
        assert subprocess.run(command(run_dir), capture_output=True).returncode == 0
    assert verdicts(killed) == verdicts(whole)
    assert len(verdicts(killed)) == len(rows)
    scores = [json.loads((run_dir / "scores.json").read_text())["scores"] for run_dir in (killed, whole)]
    assert scores[0] == scores[1]
