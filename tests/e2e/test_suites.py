"""Several suites in one command: planned together, loaded once, resumed apart."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import started

pytest.importorskip("torch", reason="generating needs torch: pip install 'xftbench[hf]'")

from xftbench.records import Problem

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the plus suites' data is not in {DATA}")
SUITES = ["--suite", "humaneval", "humaneval+", "--data-dir", str(DATA)]
SMALL = ["--ids", "HumanEval/0,HumanEval/1", "--max-new-tokens", "8", "--backend", "hf"]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@needs_data
def test_a_model_is_loaded_once_for_all_suites_and_each_has_its_directory_and_table(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    result = run("--models", f"a={pico_checkpoint}", *SUITES, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("loading into hf") == 1
    assert "humaneval 1.0, 2" in result.stdout
    assert "humaneval+ 0.1.10, 2" in result.stdout
    runs = sorted(path.name.split("--")[0] for path in (tmp_path / "runs").iterdir())
    assert runs == ["humaneval", "humaneval+"]
    for path in (tmp_path / "runs").iterdir():
        spec = json.loads((path / "spec.json").read_text())
        assert spec["style"]["family"] == spec["spec"]["scoring"]["suite"]
        assert spec["style"]["template"]
        assert spec["spec"]["scoring"]["n_suite"] == 164
        assert {row["style"] for row in rows(path / "samples.jsonl")} == {"base"}
    first = {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")}
    again = run("--models", f"a={pico_checkpoint}", *SUITES, *SMALL)
    assert again.exit_code == 0
    assert again.stdout == result.stdout
    assert "loading" not in again.stderr
    assert "known-good" not in again.stderr, "nothing is left to judge"
    assert {path: path.read_bytes() for path in (tmp_path / "runs").glob("*/*")} == first


@needs_data
def test_the_style_decides_the_decoding_unless_it_is_given(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["--models", f"a={pico_checkpoint}", "--suite", "multipl-e:lua", "--data-dir", str(DATA)]
    arguments += ["--limit", "1", "--backend", "hf", "--max-new-tokens", "4"]
    for more in ([], ["--temperature", "0"], ["--n", "2"]):
        assert run(*arguments, *more, command="generate").exit_code == 0
    found = {
        (spec["sampling"]["n"], spec["sampling"]["temperature"], spec["sampling"]["top_p"])
        for path in (tmp_path / "runs").glob("*/spec.json")
        for spec in [json.loads(path.read_text())["spec"]["generation"]]
    }
    assert found == {(20, 0.2, 0.95), (1, 0.0, 0.95), (2, 0.2, 0.95)}


def test_what_one_suite_lacks_is_told_before_any_model_is_loaded(
    run: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ["--suite", "humaneval", "mbpp+", "multipl-e:lua", "--data-dir", str(tmp_path)]
    result = run("--models", f"a={pico_checkpoint}", *arguments, *SMALL)
    assert result.exit_code == 3, result.stderr
    assert "2 of 3 suites can't run here, so nothing was started" in result.stderr
    for word in ("mbpp+", "multipl-e:lua", "--data-dir"):
        assert word in result.stderr
    assert "loading" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--suite", "humaneval", "humanevl"], "did you mean humaneval"),
        (["--suite", "xft-papper"], "presets: xft-paper"),
        (["--suite", "humaneval", "humaneval@1.0"], "twice"),
        (["--suite", "humaneval", "--style", "instruct"], "known: base, chat, magicoder"),
        (["--ids", "HumanEval/0,HumanEval/999"], "HumanEval/999"),
        (["--ids", ","], "names no problem"),
        (["--timeout-scale", "0"], "timeout-scale"),
        (["--extraction", "best"], "extraction"),
        (["--suite"], "--suite"),
    ],
)
def test_slips_are_told_at_once(
    run: Callable[..., Any], tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = run("--models", "x=smollm2", *arguments)
    assert result.exit_code == 2, result.stderr
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_ids_may_stand_in_a_file(
    run: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("# two of them\nHumanEval/5\n\nHumanEval/3\n")
    samples = tmp_path / "s.jsonl"
    samples.write_text(
        "".join(
            json.dumps({"task_id": problem.task_id, "completion": problem.canonical_solution}) + "\n"
            for problem in problems.values()
        )
    )
    result = run("--models", f"x={samples}", "--ids", str(tmp_path / "ids.txt"))
    assert result.exit_code == 0, result.stderr
    assert "2/2" in result.stdout
    (path,) = (tmp_path / "runs").glob("*/verdicts.jsonl")
    assert [row["task_id"] for row in rows(path)] == ["HumanEval/3", "HumanEval/5"]


def command(checkpoint: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "xftbench", "run", "--models", f"a={checkpoint}", "--backend", "hf", *SUITES,
        "--ids", "HumanEval/0,HumanEval/1,HumanEval/2,HumanEval/4", "--n", "4", "--temperature", "1",
        "--max-new-tokens", "32", "--out", str(out / "runs"), "--leaderboards", str(out / "leaderboards"),
        "--cache-dir", str(out / "cache"),
    ]  # fmt: skip


@needs_data
@pytest.mark.slow
def test_killed_in_the_second_suite_it_goes_on_there_and_ends_the_same(
    pico_checkpoint: Path, tmp_path: Path
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with started(command(pico_checkpoint, killed), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and process.poll() is None:
            second = list(killed.glob("runs/humaneval+--*/samples.jsonl"))
            if second and second[0].read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.01)
        assert process.poll() is None, "the run ended before it could be killed"
    first = {path: path.read_bytes() for path in killed.glob("runs/humaneval--*/*.json*")}
    assert any(path.name == "scores.json" for path in first)
    assert not list(killed.glob("runs/humaneval+--*/scores.json"))
    for place in (killed, whole):
        subprocess.run(command(pico_checkpoint, place), check=True, capture_output=True)
    assert {path: path.read_bytes() for path in killed.glob("runs/humaneval--*/*.json*")} == first
    for suite in ("humaneval--*", "humaneval+--*"):
        (ours,), (theirs,) = (list(place.glob(f"runs/{suite}/scores.json")) for place in (killed, whole))
        assert json.loads(ours.read_text())["scores"] == json.loads(theirs.read_text())["scores"]
        assert rows(ours.with_name("samples.jsonl")) == rows(theirs.with_name("samples.jsonl"))
