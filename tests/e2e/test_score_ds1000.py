"""`xftbench score --suite ds1000` on the real data, where it is at hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contexts
import pytest

from xftbench.execution import environments

DATA = Path(__file__).parents[3] / "shared" / "data"
ANSWERS = DATA / "known_results" / "ds1000" / "codex002-answers.jsonl.gz"

pytestmark = pytest.mark.skipif(not ANSWERS.is_file(), reason=f"no data at {DATA}")


@pytest.fixture(scope="module")
def environment() -> environments.Environment:
    return contexts.environment()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "verdicts.jsonl").read_text().splitlines()]


def test_an_answer_file_of_all_problems_scores_a_part(
    cli: Callable[..., Any], tmp_path: Path, environment: environments.Environment
) -> None:
    arguments = ["score", "--suite", "ds1000:pandas", "--data-dir", str(DATA), "--samples", str(ANSWERS)]
    result = cli([*arguments, "--run-dir", str(tmp_path / "run"), "--ids", "0,1,112", "--no-cache"])
    assert result.exit_code == 0, result.stderr
    lines = lines_of(tmp_path / "run")
    assert [line["task_id"] for line in lines] == ["0", "1", "112"]
    assert all(line["verdict"] == line["strict"] and line["rule"] == "insert" for line in lines)
    scoring = json.loads((tmp_path / "run" / "spec.json").read_text())["spec"]["scoring"]
    assert "numpy 1.26.4, pandas 1.5.3" in scoring["toolchains"]["ds1000"]


def test_problems_that_lack_a_data_set_are_left_out_and_never_failed(
    cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: environments.Environment,
) -> None:
    without_data = tmp_path / "xftbench" / "envs" / environment.spec.folder
    without_data.mkdir(parents=True)
    for name in ("lib", "bin", "environment.json"):
        (without_data / name).symlink_to(environment.path / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = ["score", "--suite", "ds1000", "--data-dir", str(DATA), "--samples", str(ANSWERS)]
    result = cli([*arguments, "--run-dir", str(tmp_path / "run"), "--ids", "518,519,819", "--no-cache"])
    assert result.exit_code == 0, result.stderr
    assert [line["task_id"] for line in lines_of(tmp_path / "run")] == ["518"]
    assert "519 (needs seaborn-data), 819 (needs california-housing)" in result.stdout
    scoring = json.loads((tmp_path / "run" / "spec.json").read_text())["spec"]["scoring"]
    assert scoring["left_out"] == ["519 (needs seaborn-data)", "819 (needs california-housing)"]
    assert scoring["n_problems"] == 1


def test_unseeded_stands_in_the_record(
    cli: Callable[..., Any], tmp_path: Path, environment: environments.Environment
) -> None:
    arguments = ["score", "--suite", "ds1000", "--data-dir", str(DATA), "--samples", str(ANSWERS)]
    result = cli([*arguments, "--run-dir", str(tmp_path / "run"), "--ids", "0", "--ds1000-unseeded"])
    assert result.exit_code == 0, result.stderr
    scoring = json.loads((tmp_path / "run" / "spec.json").read_text())["spec"]["scoring"]
    assert scoring["options"] == {"seeded": "no"}
