"""Recorded samples of a public model, imported and judged here, give the table that its authors published."""

import gzip
import json
from pathlib import Path

import pytest

from xftbench.cli import run
from xftbench.report import leaderboard

SHARED = Path(__file__).parents[3] / "shared"
RECORDED = SHARED / "data" / "known_results" / "qwen2.5-coder-1.5b-base"
"""QwenLM/Qwen2.5-Coder@d5ead97f, qwencoder-eval/base/outptus/qwen2.5-coder/1.5b-base."""


@pytest.mark.slow
@pytest.mark.skipif(
    not RECORDED.is_dir(), reason=f"no {RECORDED}: recorded samples are not in the repository"
)
def test_humaneval_of_qwen_is_the_published_number(tmp_path: Path) -> None:
    rows = gzip.decompress((RECORDED / "evalplus-humaneval-generated.jsonl.gz").read_bytes()).splitlines()
    samples = tmp_path / "qwen.jsonl"
    with samples.open("w") as file:
        for row in map(json.loads, rows):  # what they call a completion stands alone
            file.write(json.dumps({"task_id": row["task_id"], "solution": row["completion"]}) + "\n")
    run_dir = tmp_path / "runs" / "qwen"
    assert run(["-q", "score", "--samples", str(samples), "--run-dir", str(run_dir)]) == 0
    published = json.loads((RECORDED / "evalplus-humaneval-result.json").read_text())
    row = leaderboard.build([run_dir]).iloc[0]
    assert round(100 * row["pass@1"], 1) == published["humaneval"]["pass@1"]
    assert (row["n_problems"], row["kind"]) == (164, "samples")
