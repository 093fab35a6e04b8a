"""``xftbench compare`` and ``explain`` as people use them, on planted runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import a_spec
from planted import passed, plant

from xftbench.records import SamplingParams

Cli = Callable[[list[str]], Any]
SFT = "1" * 60 + "0" * 9 + "1" * 4 + "0" * 91
XFT = "1" * 60 + "1" * 9 + "0" * 4 + "0" * 91


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    plant(tmp_path / "runs", "sft", passed(SFT))
    plant(tmp_path / "runs", "xft", passed(XFT))
    return tmp_path / "runs"


def test_a_small_difference_is_told_in_words_and_not_called_real(cli: Cli, runs: Path) -> None:
    result = cli(["compare", "sft", "xft", "--runs", str(runs)])
    assert result.exit_code == 0, result.stderr
    assert (
        "xft solves 9 that sft fails and loses 4 of 164; p = 0.27: this run can't tell them apart; "
        "8 net problems would have been needed" in result.stdout
    )
    assert "Noise floor: not measured" in result.stdout
    assert "better" not in result.stdout
    assert "T/60" in result.stdout
    assert "What to do:" in result.stdout


def test_the_json_holds_what_was_computed(cli: Cli, runs: Path) -> None:
    result = cli(["compare", "sft", "xft", "--runs", str(runs), "--json"])
    (pair,) = json.loads(result.stdout)["pairs"]
    assert pair["finding"] == "can't tell"
    assert len(pair["test"]["gained"]) == 9
    assert pair["test"]["p_value"] == pytest.approx(0.266846, abs=1e-6)


def test_a_large_difference_is_real_in_both_directions(cli: Cli, tmp_path: Path) -> None:
    good = plant(tmp_path, "good", passed("1" * 100))
    bad = plant(tmp_path, "bad", passed("1" * 70 + "0" * 30))
    assert "good is really better" in cli(["compare", str(bad), str(good)]).stdout
    assert "bad is really worse" in cli(["compare", str(good), str(bad)]).stdout
    turned = cli(["compare", str(good), str(bad), "--baseline", "bad"])
    assert "good is really better" in turned.stdout


def test_mid_p_says_where_it_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    pairs = {}
    for suite, tasks in (
        ("humaneval", ()),
        ("multipl-e:cpp,java", [f"{part}/HumanEval_{i}_f" for part in ("cpp", "java") for i in range(20)]),
    ):
        for name, answers in (("a", "0" * 9 + "1" * 31), ("b", "1" * 9 + "0" * 2 + "1" * 29)):
            pairs[name] = tmp_path / name
            plant(tmp_path / name, name, passed(answers), suite=suite, tasks=tasks)
    words = ["compare", str(pairs["a"]), str(pairs["b"])]
    assert "--mid-p" not in cli(words).stdout
    assert "--mid-p changes nothing for multipl-e:cpp,java: " in cli([*words, "--mid-p"]).stdout


@pytest.mark.parametrize(
    ("answers", "told"), [("1" * 5, "; no result on 5 problems could."), ("1" * 6, "; 6 net problems would")]
)
def test_too_few_problems_are_never_told_to_win_more_than_there_are(
    cli: Cli, tmp_path: Path, answers: str, told: str
) -> None:
    a, b = (plant(tmp_path, name, passed(answers)) for name in "ab")
    assert f"can't tell them apart{told}" in cli(["compare", str(a), str(b)]).stdout


def test_two_runs_alike_are_equivalent_within_a_margin_and_can_not_be_within_a_smaller_one(
    cli: Cli, tmp_path: Path
) -> None:
    a = plant(tmp_path, "a", passed("10" * 100))
    b = plant(tmp_path, "b", passed("10" * 100))
    assert "EQUIVALENT" in cli(["compare", str(a), str(b)]).stdout
    assert "CAN'T TELL" in cli(["compare", str(a), str(b), "--margin", "0.5"]).stdout


def test_a_margin_that_is_kept_beside_a_wider_range_is_no_contradiction(cli: Cli, tmp_path: Path) -> None:
    a = plant(tmp_path, "a", passed("01" * 4 + "1" * 292))
    b = plant(tmp_path, "b", passed("10" * 4 + "1" * 292))
    told = cli(["compare", str(a), str(b)]).stdout
    assert "less than 2 points (two one-sided tests at 5 %, a 90 % interval)" in told
    assert "the truth lies between -2.2 and +2.2 (95 % sure)" in told
    assert "reaches beyond the margin of 2 points because it is wider" in told
    assert "surely" not in told


def test_several_suites_are_paired_by_suite_and_counted_as_several_questions(cli: Cli, runs: Path) -> None:
    for name, answers in (("sft", "0" * 6 + "1" * 94), ("xft", "1" * 100)):
        plant(runs, name, passed(answers), suite="mbpp")
    result = cli(["compare", "sft", "xft", "--runs", str(runs), "--json"])
    pairs = {pair["suite"]: pair for pair in json.loads(result.stdout)["pairs"]}
    assert set(pairs) == {"humaneval", "mbpp"}
    assert pairs["mbpp"]["test"]["p_value"] == pytest.approx(2 / 64)
    assert pairs["mbpp"]["p_adjusted"] == pytest.approx(4 / 64)
    assert pairs["mbpp"]["finding"] == "can't tell", "alone it would have been called real"


def test_equivalence_counts_all_questions_that_were_asked(cli: Cli, tmp_path: Path) -> None:
    a, b = (plant(tmp_path, name, passed("1" * 164)) for name in "ab")
    assert "EQUIVALENT" in cli(["compare", str(a), str(b)]).stdout
    for name in "ab":
        plant(tmp_path, name, passed("1" * 164), suite="mbpp")
    told = cli(["compare", "a", "b", "--runs", str(tmp_path)]).stdout
    assert told.count("CAN'T TELL") == 2, "p = 0.034 alone, 0.067 of two"


def test_two_runs_of_one_checkpoint_are_never_called_different(cli: Cli, tmp_path: Path) -> None:
    runs = [
        plant(tmp_path, name, passed(answers), a_spec(sampling=SamplingParams(seed=seed), n_problems=40))
        for seed, (name, answers) in enumerate({"a": "1" * 40, "b": "1" * 20 + "0" * 20}.items())
    ]
    told = cli(["compare", *map(str, runs)]).stdout
    assert "WITHIN NOISE" in told
    assert "both runs are of the same checkpoint, so all of this is noise" in told


def test_runs_that_differ_in_more_than_the_model_are_refused(cli: Cli, runs: Path) -> None:
    chat = a_spec(checkpoint_sha256="c" * 64, n_problems=164, style="chat", prompts_sha256="0" * 64)
    other = plant(runs, "chat", passed(XFT), chat)
    result = cli(["compare", "sft", str(other), "--runs", str(runs)])
    assert result.exit_code == 3
    assert "style: base -> chat (the problems were worded differently)" in result.stderr
    explained = cli(["explain", "sft", str(other), "--runs", str(runs)])
    assert explained.exit_code == 0
    assert "not comparable" in explained.stdout
    assert "worded differently" in explained.stdout
    allowed = ["--allow", "style", "--allow", "prompts_sha256"]
    result = cli(["compare", "sft", str(other), "--runs", str(runs), *allowed])
    assert result.exit_code == 0, result.stderr
    assert "humaneval*" in result.stdout
    assert "not a comparison of the models alone" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["sft"], 2, "needs two models"),
        (["sft", "nobody"], 2, "models there: sft, xft"),
        (["sft", "xft", "--baseline", "base"], 2, "named: sft, xft"),
        (["sft", "xft", "--allow", "stile"], 2, "no field"),
        (["sft", "xft", "--k", "10"], 2, "k=10"),
        (["sft", "xft", "--check", "plus"], 2, "no rule 'plus'"),
        (
            ["sft", "xft", "--diff", "--tag", "language=klingon"],
            2,
            "language=klingon.*known: language=python",
        ),
        (["sft", "sft"], 2, "needs two models|twice"),
    ],
)
def test_mistakes_are_told(cli: Cli, runs: Path, words: list[str], code: int, complaint: str) -> None:
    import re

    result = cli(["compare", *words, "--runs", str(runs)])
    assert result.exit_code == code
    assert re.search(complaint, " ".join(result.stderr.split())), result.stderr


def test_a_name_with_two_runs_of_a_suite_is_ambiguous(cli: Cli, runs: Path) -> None:
    plant(runs, "xft", passed(SFT), a_spec(checkpoint_sha256="9" * 64, n_problems=164, style="chat"))
    result = cli(["compare", "sft", "xft", "--runs", str(runs)])
    assert result.exit_code == 2
    assert "more than one run of humaneval" in result.stderr


def test_unfinished_and_changed_runs_are_refused(cli: Cli, runs: Path) -> None:
    path = next(runs.glob("*xft*"))
    verdicts = path / "verdicts.jsonl"
    verdicts.write_text(verdicts.read_text().replace('"failed"', '"passed"'))
    result = cli(["compare", "sft", "xft", "--runs", str(runs)])
    assert result.exit_code == 5
    assert "changed" in result.stderr
    (path / "scores.json").unlink()
    result = cli(["compare", "sft", "xft", "--runs", str(runs)])
    assert result.exit_code == 5
    assert "the command that made it again" in result.stderr, "it may have been score"
    assert "not finished" in result.stderr


@pytest.fixture
def judged(cli: Cli, tmp_path: Path, problems: dict[str, Any]) -> Path:
    """Two models' answers to two real problems, judged by the real sandbox."""
    ids = ["HumanEval/0", "HumanEval/2"]
    wrong = "    return None\n"
    right = {task: problems[task].canonical_solution for task in ids}
    answers = {"a": [right[ids[0]], wrong], "b": [wrong, right[ids[1]]]}
    for name, completions in answers.items():
        rows = [{"task_id": t, "completion": c} for t, c in zip(ids, completions, strict=True)]
        samples = tmp_path / f"{name}.jsonl"
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
        directory = str(tmp_path / "runs" / name)
        result = cli(["score", "--samples", str(samples), "--run-dir", directory, "--no-cache"])
        assert result.exit_code == 0, result.stderr
    return tmp_path / "runs"


def test_the_diff_shows_both_programs_and_why_one_fails(cli: Cli, judged: Path) -> None:
    words = ["compare", str(judged / "a"), str(judged / "b"), "--allow", "incomplete", "--diff"]
    result = cli(words)
    assert result.exit_code == 0, result.stderr
    assert "HumanEval/0: LOST by b" in result.stdout
    assert "HumanEval/2: GAINED by b" in result.stdout
    assert "a: passed (1/1 passed)" in result.stdout
    assert "b: failed (0/1 passed)" in result.stdout
    assert "return None" in result.stdout
    assert "rule append" in result.stdout
    only = cli([*words, "--task", "HumanEval/2"])
    assert "HumanEval/0" not in only.stdout
    assert cli([*words, "--task", "2"]).stdout == only.stdout
    assert "LOST" not in cli([*words, "--change", "gained"]).stdout
    assert "no problem differs" in cli([*words, "--verdict", "timed_out"]).stdout
    for slip, near in (("--task", "HumanEvl/2"), "HumanEval/2"), (("--suite", "humanevl"), "humaneval"):
        result = cli([*words, *slip])
        assert (result.exit_code, f"did you mean {near}?" in result.stderr) == (2, True)
    assert "HumanEval/0" in cli([*words, "--tag", "language=python"]).stdout
    foreign = cli([*words, "--tag", "language=rs"])
    assert (foreign.exit_code, "known: language=python" in foreign.stderr) == (2, True)
    (first, *_) = json.loads(cli([*words, "--json"]).stdout)
    assert first["task_id"] == "HumanEval/0"
    assert first["candidate"]["verdict"] == "failed"
    assert "def has_close_elements" in first["baseline"]["program"]
    assert cli([*words[:-1], "--task", "HumanEval/2"]).exit_code == 2


def test_the_diff_gives_a_terminal_no_commands(cli: Cli, tmp_path: Path) -> None:
    plant(tmp_path, "a", passed("1"))
    b = plant(tmp_path, "b", passed("0"), program="\x1b]0;title\x07\tx\u202e")
    told = cli(["compare", "a", str(b), "--runs", str(tmp_path), "--diff"]).stdout
    assert r"| \x1b]0;title\x07" in told
    assert not {"\x1b", "\x07", "\u202e"} & set(told)


def test_the_diff_by_another_rule_shows_what_that_rule_says(cli: Cli, tmp_path: Path) -> None:
    a = plant(tmp_path, "a", passed("11"))
    b = plant(tmp_path, "b", passed("11"), objection="equal to everything")
    words = ["compare", str(a), str(b), "--diff"]
    assert "no problem differs" in cli(words).stdout
    told = cli([*words, "--check", "strict", "--verdict", "failed"]).stdout
    assert "b: failed (0/1 passed)" in told
    assert "equal to everything" in told


def test_a_range_without_0_beside_no_finding_is_explained(cli: Cli, tmp_path: Path) -> None:
    # 9 to 2: p = 0.065, and Tango's interval begins just above 0.
    a = plant(tmp_path, "a", passed("0" * 9 + "1" * 2 + "1" * 100))
    b = plant(tmp_path, "b", passed("1" * 9 + "0" * 2 + "1" * 100))
    text = cli(["compare", str(a), str(b)]).stdout
    assert "CAN'T TELL" in text
    assert "leaves out 0, but only just" in text


def test_translations_of_a_problem_are_one_in_text_and_json(cli: Cli, tmp_path: Path) -> None:
    tasks = [f"{language}/HumanEval_{i}_x" for language in ("js", "php") for i in range(40)]
    for name, answers in (("sft", "0" * 6 + "1" * 34), ("xft", "1" * 38 + "00")):
        plant(tmp_path, name, passed(answers * 2), suite="multipl-e:js,php", tasks=tasks)
    words = ["compare", "sft", "xft", "--runs", str(tmp_path)]
    assert "of 80 (counted as 40: translations of one problem are not independent)" in cli(words).stdout
    (pair,) = json.loads(cli([*words, "--json"]).stdout)["pairs"]
    assert (pair["test"]["n_problems"], pair["test"]["n_clusters"]) == (80, 40)
    assert "by cluster (40 of 80 problems)" in pair["test"]["test"]
    assert pair["test"]["p_value"] > 0.2
