"""``xftbench gate`` as a CI job uses it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from factories import a_spec
from planted import passed, plant

Cli = Callable[[list[str]], Any]
GOOD, BAD = "1" * 100 + "0" * 64, "1" * 88 + "0" * 76


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, answers in (("sft", GOOD), ("alike", GOOD), ("broken", BAD)):
        plant(tmp_path / "runs", name, passed(answers))
    return tmp_path / "runs"


@pytest.fixture
def gate(cli: Cli, runs: Path) -> Callable[..., Any]:
    return lambda *words: cli(["gate", *map(str, words), "--runs", str(runs)])


def test_what_is_not_worse_passes_and_what_is_worse_fails(gate: Callable[..., Any]) -> None:
    assert gate("alike", "--against", "sft").exit_code == 0
    result = gate("broken", "--against", "sft")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "broken solves 0 that sft fails and loses 12" in result.stdout


@pytest.mark.parametrize(
    "words",
    [[], ["--fail-if", "lost > 5"], ["--fail-if", "lost > 5", "--save-baseline", "x"], ["--against", ""]],
)
def test_a_gate_that_has_nothing_to_check_does_not_pass(words: list[str], gate: Callable[..., Any]) -> None:
    result = gate("alike", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_committed_baseline_stands_for_its_run(gate: Callable[..., Any], tmp_path: Path) -> None:
    baseline = tmp_path / "baselines" / "sft.json"
    assert gate("sft", "--save-baseline", baseline).exit_code == 0
    assert baseline.stat().st_size < 20_000
    from_run, from_file = (gate("broken", "--against", ref, "--json") for ref in ("sft", baseline))
    assert from_file.exit_code == 1
    assert json.loads(from_file.stdout)["rules"] == json.loads(from_run.stdout)["rules"]
    again = gate("sft", "--against", baseline)
    assert again.exit_code == 0, "the same model against its own baseline"
    baseline.write_text(baseline.read_text().replace('"schema_version":1', '"schema_version":2', 1))
    newer = gate("sft", "--against", baseline)
    assert (newer.exit_code, "schema version 2, expected 1" in newer.stderr) == (5, True)


def test_a_baseline_is_only_moved_by_a_candidate_that_passes(
    gate: Callable[..., Any], tmp_path: Path
) -> None:
    baseline = tmp_path / "sft.json"
    gate("broken", "--against", "sft", "--save-baseline", baseline)
    assert not baseline.exists()
    gate("alike", "--against", "sft", "--save-baseline", baseline)
    assert baseline.exists()


def test_junit_and_markdown_say_what_failed(gate: Callable[..., Any], tmp_path: Path) -> None:
    junit, markdown = tmp_path / "ci" / "junit.xml", tmp_path / "ci" / "summary.md"
    rules = ["--fail-if", "humaneval < -1.5pt at 95%", "--fail-if", "lost > 20"]
    assert gate("broken", "--against", "sft", *rules, "--junit", junit, "--markdown", markdown).exit_code == 1
    root = ElementTree.parse(junit).getroot()
    assert root.get("failures") == "1"
    assert root.get("tests") == "2"
    cases = {case.get("name"): case.find("failure") for case in root.iter("testcase")}
    assert cases["lost > 20"] is None
    failure = cases["humaneval < -1.5pt at 95%"]
    assert failure is not None
    assert "T/88" in str(failure.text), "the problems that broke"
    text = markdown.read_text()
    assert text.startswith("### xftbench gate: broken against sft: failed")
    assert "| `lost > 20` | ok |" in text
    assert "`T/99`" in text


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["broken", "--against", "sft", "--fail-if", "humaneval+ <"], 2, "is no rule"),
        (["broken", "--against", "nobody"], 2, "nobody"),
        ([], 2, "no candidate"),
        (["broken", "--against", "sft", "--fail-if", "mbpp < 0pt"], 3, "no suite 'mbpp'"),
        (["--invariants-only", "."], 2, "no xft_lineage.json"),
    ],
)
def test_mistakes_have_their_codes(
    gate: Callable[..., Any], words: list[str], code: int, complaint: str
) -> None:
    result = gate(*words)
    assert result.exit_code == code
    assert complaint in result.stderr


def test_what_is_not_comparable_is_no_regression_and_no_pass(gate: Callable[..., Any], runs: Path) -> None:
    plant(runs, "other", passed(GOOD), a_spec(checkpoint_sha256="7" * 64, n_problems=164, engine="vllm"))
    result = gate("other", "--against", "sft")
    assert result.exit_code == 3
    assert "engine: hf -> vllm" in result.stderr
    allowed = gate("other", "--against", "sft", "--allow", "engine")
    assert allowed.exit_code == 0
    assert "engine differs" in allowed.stdout


def test_rules_are_about_the_k_that_was_asked_for(cli: Cli, tmp_path: Path) -> None:
    sure = plant(tmp_path, "sure", [[True, True]] * 6 + [[False, False]] * 4)
    wide = plant(tmp_path, "wide", [[True, False]] * 10)
    words = ["gate", str(wide), "--against", str(sure), "--fail-if", "humaneval < 0pt"]
    assert cli(words).exit_code == 1, "60 % -> 50 %"
    assert cli([*words, "--k", "2"]).exit_code == 0, "60 % -> 100 %"


def test_a_suite_that_was_not_run_is_no_pass(gate: Callable[..., Any], runs: Path) -> None:
    plant(runs, "sft", passed(GOOD), suite="mbpp")
    result = gate("alike", "--against", "sft")
    assert result.exit_code == 3
    assert "no run of mbpp" in result.stderr


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_merge_invariants_are_checked_before_anything_else(gate: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="a mixture's routers need torch: pip install 'xftbench[hf]'")
    from xft_pico import WILD, build

    from xft.merge import MergeOptions, merge
    from xft.upcycle import upcycle

    build("llama").save_pretrained(tmp_path / "base")
    upcycle(tmp_path / "base", tmp_path / "moe", WILD)
    merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(rule="uniform"))
    good = gate("--invariants-only", tmp_path / "merged", "--logits")
    assert good.exit_code == 0, good.stdout
    assert "merge is reproducible (merged)" in good.stdout
    assert "logits at step 0 (moe)" in good.stdout

    lineage = tmp_path / "merged" / "xft_lineage.json"
    lineage.write_text(lineage.read_text().replace("0.75", "1.75", 1))
    bad = gate("--invariants-only", tmp_path / "merged", "--junit", tmp_path / "junit.xml")
    assert bad.exit_code == 1
    assert "λ is 1.75" in bad.stdout
    assert "λ is 1.75" in (tmp_path / "junit.xml").read_text(encoding="utf-8")
    with_runs = gate("alike", "--against", "sft", "--checkpoint", tmp_path / "merged")
    assert with_runs.exit_code == 1, "the runs are alike, the checkpoint is broken"

    (tmp_path / "moe").rename(tmp_path / "elsewhere")
    lineage.write_text(lineage.read_text().replace("1.75", "0.75", 1))
    gone = gate("--invariants-only", tmp_path / "merged")
    assert gone.exit_code == 3
    assert "not checked" in gone.stdout
    baseline = tmp_path / "sft.json"
    words = ["--checkpoint", tmp_path / "merged", "--save-baseline", baseline]
    assert gate("alike", "--against", "sft", *words).exit_code == 3
    assert not baseline.exists(), "what was not checked did not pass"


def test_a_baseline_of_translations_is_judged_by_problem(cli: Cli, tmp_path: Path) -> None:
    tasks = [f"{language}/HumanEval_{i}_x" for language in ("js", "php", "cpp") for i in range(40)]
    for name, answers in (("sft", "1" * 40), ("broken", "1" * 36 + "0" * 4)):
        plant(tmp_path, name, passed(answers * 3), suite="multipl-e:js,php,cpp", tasks=tasks)
    gate = ["gate", "--runs", str(tmp_path)]
    assert cli([*gate, "sft", "--save-baseline", str(tmp_path / "sft.json")]).exit_code == 0
    rule = ["--fail-if", "any < -1pt at 95%"]
    result = cli([*gate, "broken", "--against", str(tmp_path / "sft.json"), *rule])
    assert "counted as 40: translations of one problem are not independent" in result.stdout
