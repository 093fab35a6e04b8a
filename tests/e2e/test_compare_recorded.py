"""Recorded answers of a public model, judged here, compared with themselves and with planted changes."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xftbench.records import Problem

Cli = Callable[[list[str]], Any]
RECORDED = Path(__file__).parents[3] / "shared/data/known_results/qwen2.5-coder-1.5b-base"


@pytest.mark.slow
@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded results lie in ../shared")
def test_the_published_score_comes_out_and_planted_changes_are_found(
    cli: Cli, tmp_path: Path, problems: dict[str, Problem]
) -> None:
    # Qwen's own record of Qwen2.5-Coder-1.5B (base): HumanEval 43.9, which is 72 of 164.
    with gzip.open(RECORDED / "evalplus-humaneval-eval_results.json.gz") as file:
        recorded = {task: rows[0]["base_status"] for task, rows in json.load(file)["eval"].items()}
    with gzip.open(RECORDED / "evalplus-humaneval-generated.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    assert list(recorded.values()).count("pass") == 72
    solved = [task for task, status in recorded.items() if status == "pass"]
    failed = [task for task, status in recorded.items() if status != "pass"]
    broken, repaired = solved[::9][:4], failed[::9][:9]
    changed = dict.fromkeys(broken, "    raise NotImplementedError\n")
    changed |= {task: problems[task].canonical_solution for task in repaired}  # type: ignore[attr-defined]
    for name, completions in (("qwen", {}), ("tuned", changed)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(
            "".join(
                json.dumps(
                    {
                        "task_id": row["task_id"],
                        "completion": completions.get(row["task_id"], row["completion"]),
                    }
                )
                + "\n"
                for row in rows
            )
        )
        scored = cli(
            ["score", "--samples", str(path), "--run-dir", str(tmp_path / "runs" / name), "--no-cache"]
        )
        assert scored.exit_code == 0, scored.stderr
    result = cli(["compare", "qwen", "tuned", "--runs", str(tmp_path / "runs"), "--json"])
    assert result.exit_code == 0, result.stderr
    (pair,) = json.loads(result.stdout)["pairs"]
    assert pair["test"]["baseline"] == pytest.approx(0.439, abs=5e-4), "as published"
    assert set(pair["test"]["gained"]) == set(repaired)
    assert set(pair["test"]["lost"]) == set(broken)
    assert pair["finding"] == "can't tell"
    text = cli(["compare", "qwen", "tuned", "--runs", str(tmp_path / "runs")]).stdout
    assert "tuned solves 9 that qwen fails and loses 4 of 164; p = 0.27" in text
    assert "8 net problems would have been needed" in text
    gate = cli(
        ["gate", "tuned", "--against", "qwen", "--runs", str(tmp_path / "runs"), "--fail-if", "lost > 3"]
    )
    assert gate.exit_code == 1
    assert all(task in gate.stdout for task in broken)
