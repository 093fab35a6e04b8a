"""``xftbench score`` and ``show``: other tools' files, our own runs again, parts, policies, what is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import passed, plant

from xftbench.execution.native.toolchains import missing_toolchains
from xftbench.records import Problem

DATA = Path(__file__).parents[3] / "shared" / "data"
Cli = Callable[[list[str]], Any]
ASKED = ("HumanEval/0", "HumanEval/1", "HumanEval/2")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def spec(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "spec.json").read_text())["spec"]  # type: ignore[no-any-return]


@pytest.fixture
def score(cli: Cli, tmp_path: Path) -> Callable[..., Any]:
    def call(samples: Path, run_dir: str, *more: str) -> Any:
        places = ["--run-dir", str(tmp_path / run_dir), "--cache-dir", str(tmp_path / "cache")]
        return cli(["score", "--samples", str(samples), *places, *more])

    return call


@pytest.fixture
def three(problems: dict[str, Problem], tmp_path: Path) -> Path:
    """A right completion, a wrong one, and a right one with prose behind it."""
    endings = {ASKED[0]: "", ASKED[1]: "    return None\n", ASKED[2]: "\nThat's it, as asked.\n"}
    return write_rows(
        tmp_path / "s.jsonl",
        [
            {
                "task_id": id_,
                "completion": (problems[id_].canonical_solution if id_ != ASKED[1] else "") + end,
            }  # type: ignore[attr-defined]
            for id_, end in endings.items()
        ],
    )


def test_replies_that_the_token_limit_cut_off_are_counted(
    score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    told = "replies were cut off at the limit of tokens"
    assert told not in score(three, "unknown", "--limit", "3").stderr
    cut = write_rows(three, [row | {"finish_reason": "length"} for row in rows(three)])
    result = score(cut, "cut", "--limit", "3")
    assert f"s.jsonl: 3 of 3 {told}, and 2 of these did not pass" in " ".join(result.stderr.split())


def test_evalplus_folders_and_results_are_samples(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    solutions = {id_: problems[id_].prompt + problems[id_].canonical_solution for id_ in ASKED}  # type: ignore[attr-defined]
    for id_, code in solutions.items():
        folder = tmp_path / "evalplus" / id_.replace("/", "_")
        folder.mkdir(parents=True)
        (folder / "0.py").write_text(code)
        (folder / "1.py").write_text(code.replace("return", "return not"))
    document = {"date": "x", "hash": "y", "eval": {id_: [{"task_id": id_, "solution": code}] for id_, code in solutions.items()}}  # fmt: skip  # noqa: E501
    (tmp_path / "eval_results.json").write_text(json.dumps(document))
    assert score(tmp_path / "evalplus", "a").exit_code == 0
    assert [row["verdict"] for row in rows(tmp_path / "a" / "verdicts.jsonl")] == ["passed", "failed"] * 3
    assert score(tmp_path / "eval_results.json", "b").exit_code == 0
    assert [row["verdict"] for row in rows(tmp_path / "b" / "verdicts.jsonl")] == ["passed"] * 3


def test_a_folder_of_another_suite_is_named(score: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "evalplus" / "Mbpp_2").mkdir(parents=True)
    (tmp_path / "evalplus" / "Mbpp_2" / "0.py").write_text("x = 1\n")
    result = score(tmp_path / "evalplus", "a")
    assert result.exit_code == 3
    assert "Mbpp_2" in result.stderr
    (tmp_path / "nothing").mkdir()
    assert score(tmp_path / "nothing", "a").exit_code == 3


def test_lenient_finds_what_strict_does_not_and_the_run_says_which(
    score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    found = {}
    for policy in ("strict", "lenient"):
        assert score(three, policy, "--extraction", policy).exit_code == 0
        assert spec(tmp_path / policy)["scoring"]["policy"] == policy
        found[policy] = {row["task_id"]: (row["rule"], row["verdict"]) for row in rows(tmp_path / policy / "verdicts.jsonl")}  # fmt: skip  # noqa: E501
    assert found["strict"][ASKED[0]] == found["lenient"][ASKED[0]] == ("append", "passed")
    assert found["strict"][ASKED[2]] == ("append", "compile_error")
    assert found["lenient"][ASKED[2]] == ("cut", "passed")


def test_replies_that_are_read_as_programs_are_pointed_out(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    replies = [
        {"task_id": id_, "completion": f"Sure:\n```python\n{problems[id_].prompt}    return 1\n```\n"}
        for id_ in ASKED
    ]
    samples = write_rows(tmp_path / "replies.jsonl", [*replies, replies[0]])
    result = score(samples, "strict", "--suite", "humaneval")
    assert "4 of 4 samples have a fence" in result.stderr
    assert "--style chat" in result.stderr
    assert "problems have 1 to 2 samples" in result.stderr
    assert "fence" not in score(samples, "chat", "--suite", "humaneval", "--style", "chat").stderr


@pytest.mark.parametrize("name", ["verdicts", "samples"])
def test_what_was_edited_is_not_shown_with_the_scores(
    name: str, score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    assert score(three, "run", "--suite", "humaneval").exit_code == 0
    path = tmp_path / "run" / f"{name}.jsonl"
    path.write_text(path.read_text().replace("{", "{ ", 1))
    result = score(three, "run", "--suite", "humaneval")
    assert result.exit_code == 5
    assert "was changed after scores.json" in result.stderr


def test_a_run_of_ours_is_judged_again_without_a_word_about_it(
    cli: Cli, score: Callable[..., Any], pico_checkpoint: Path, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "tables")]
    arguments = [
        "run",
        "--models",
        f"a={pico_checkpoint}",
        "--style",
        "chat",
        "--limit",
        "2",
        "--backend",
        "hf",
    ]
    result = cli([*arguments, "--max-new-tokens", "8", "--cache-dir", str(tmp_path / "cache"), *out])
    assert result.exit_code == 0, result.stderr
    (run_dir,) = (tmp_path / "runs").iterdir()
    for samples in (run_dir, run_dir / "samples.jsonl"):
        again = score(samples, f"again-{samples.name}", "--extraction", "strict")
        assert again.exit_code == 0, again.stderr
        ours, theirs = spec(tmp_path / f"again-{samples.name}"), spec(run_dir)
        assert ours["generation"] == theirs["generation"]
        assert (ours["scoring"]["extraction"], ours["scoring"]["policy"]) == ("chat", "strict")
        assert ours["scoring"]["n_problems"] == 2
        assert "2 of 2 problems selected of 164" in again.stdout
    copy = tmp_path / "elsewhere.jsonl"
    copy.write_bytes((run_dir / "samples.jsonl").read_bytes())
    assert score(copy, "copied").exit_code == 0
    assert spec(tmp_path / "copied")["scoring"]["extraction"] == "chat", "the rows name their style"


def test_a_part_is_scored_as_a_part(score: Callable[..., Any], three: Path, tmp_path: Path) -> None:
    result = score(three, "part", "--ids", "HumanEval/0,HumanEval/1", "--timeout-scale", "2")
    assert result.exit_code == 0
    assert len(rows(tmp_path / "part" / "verdicts.jsonl")) == 2
    assert "2 of 2 problems selected of 164" in result.stdout
    assert "this is not the suite's score" in result.stderr
    scoring = spec(tmp_path / "part")["scoring"]
    assert (scoring["n_problems"], scoring["n_suite"]) == (2, 164)
    printed = json.loads(score(three, "part", "--limit", "2", "--timeout-scale", "2", "--json").stdout)
    assert (printed["suite"], printed["suite_version"]) == ("humaneval", scoring["suite_version"])
    assert (printed["scores"]["n_problems"], printed["n_suite"]) == (2, 164)
    assert (scoring["limits"]["scale"], scoring["limits"]["cpu_s"], scoring["limits"]["wall_s"]) == (2, 6, 30)


def test_what_is_known_is_not_executed_again_unless_it_is_asked_for(
    score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    def timings(run_dir: str, *more: str) -> dict[str, Any]:
        assert score(three, run_dir, *more).exit_code == 0
        return json.loads((tmp_path / run_dir / "scores.json").read_text())["timings"]  # type: ignore[no-any-return]

    first, second, third = timings("a"), timings("b"), timings("c", "--no-cache")
    # The canonical solution of HumanEval/0 was run before anything was scored.
    assert (first["n_executed"], first["n_cached"]) == (2, 1)
    assert (second["n_executed"], second["n_cached"]) == (0, 3)
    assert (third["n_executed"], third["n_cached"]) == (3, 0)
    judged = [rows(tmp_path / name / "verdicts.jsonl") for name in ("a", "b", "c")]
    for row in [row for found in judged for row in found]:
        del row["cpu_s"], row["wall_s"]
    assert judged[0] == judged[1] == judged[2]


def test_show_explains_a_failure(cli: Cli, score: Callable[..., Any], three: Path, tmp_path: Path) -> None:
    score(three, "run")
    result = cli(["show", str(tmp_path / "run"), "HumanEval/1"])
    assert result.exit_code == 0
    for word in (
        "HumanEval/1, sample 0: failed",
        "detail",
        "input     '(()()) ((())) () ((())()())'",
        "expected  ['(()())', '((()))', '()', '((())()())']",
        "actual    None",
        "--- problem",
        "--- completion",
        "return None",
        "--- solution (rule append)",
        "--- program: test",
        "def check(candidate)",
    ):
        assert word in result.stdout
    assert "it is not the one that was judged" not in result.stdout
    shown = json.loads(cli(["show", str(tmp_path / "run"), "HumanEval/1", "--json"]).stdout)
    assert shown["program_is_the_one_judged"] is True
    assert shown["verdict"]["verdict"] == "failed"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"MultiPL-E's data is not in {DATA}")
def test_show_has_the_program_of_another_language_as_it_was_run_and_the_check_that_failed(
    cli: Cli, score: Callable[..., Any], tmp_path: Path
) -> None:
    if missing := missing_toolchains(["lua"]):
        pytest.skip(f"lua: {missing[0].install}")
    task_id = "HumanEval_0_has_close_elements"
    solution = "function has_close_elements(a, b)\n" + 60 * "-- of course\n" + "    return true\nend\n"
    wrong = {"task_id": task_id, "solution": solution}
    samples = write_rows(tmp_path / "s.jsonl", [wrong])
    assert score(samples, "run", "--suite", "multipl-e:lua", "--data-dir", str(DATA)).exit_code == 0
    show = ["show", str(tmp_path / "run"), task_id, "--data-dir", str(DATA)]
    shown = json.loads(cli([*show, "--json"]).stdout)
    lines = shown["program_text"].split("\n")
    line, text = shown["check"]["line"], shown["check"]["text"]
    assert lines[line - 1].strip() == text
    assert text.startswith("lu.assertEquals(candidate(")
    assert text.endswith(", false)"), "the first check that expects false"
    assert shown["program_text"] == f"{shown['program']['solution']}\n{shown['program']['test']}"
    printed = cli(show).stdout.splitlines()
    assert f"check     line {line}: {text}" in printed
    program = printed[printed.index("--- program (the test behind the solution) ---") :]
    assert f">{line:>4}      {text}" in program
    assert any("lines before" in row for row in program)
    assert "--- program: test ---" not in printed


def test_documents_that_were_drawn_in_two_ways_are_not_comparable(
    cli: Cli, score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    for name, drawn in (("a", {"temperature": 0.2}), ("b", {"temperature": 0.8}), ("c", {}), ("d", {})):
        document = {
            "name": "HumanEval_23_strlen", "language": "lua", "completions": ["    return #string\nend"],
        }  # fmt: skip
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document | drawn))
        assert score(path, name, "--suite", "multipl-e:lua", "--data-dir", str(DATA)).exit_code == 0
    a, b, c, d = (str(tmp_path / name) for name in "abcd")
    assert spec(tmp_path / "a")["generation"]["stated"] == ["temperature"]
    refused = cli(["compare", a, b])
    assert refused.exit_code == 3
    assert "sampling.temperature: 0.2 -> 0.8" in refused.stderr
    assert "decoding unknown" not in cli(["explain", a, b]).stdout
    assert "decoding unknown" in cli(["explain", c, d]).stdout
    told = cli(["compare", c, d, "--allow", "incomplete"])
    assert (told.exit_code, "decoding unknown" in told.stdout) == (0, True), told.output


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["run", "Eval/1"], 2, "did you mean HumanEval/1"),
        (["run", "9"], 2, "it has 3 problems: HumanEval/0 to HumanEval/2"),
        (["run", "HumanEval/9"], 2, "did you mean HumanEval/"),
        (["run", "HumanEval/1", "--sample", "3"], 2, "it has 0 to 0"),
        (["nowhere", "HumanEval/1"], 2, "nowhere is no run directory"),
    ],
)
def test_show_names_what_there_is(
    cli: Cli, score: Callable[..., Any], three: Path, tmp_path: Path,
    arguments: list[str], code: int, complaint: str,
) -> None:  # fmt: skip
    score(three, "run")
    result = cli(["show", str(tmp_path / arguments[0]), *arguments[1:]])
    assert result.exit_code == code, result.stderr
    assert complaint in result.stderr


def test_show_takes_a_problems_number_and_the_suites_name_before_it(
    cli: Cli, score: Callable[..., Any], three: Path, tmp_path: Path
) -> None:
    score(three, "run")
    assert cli(["show", str(tmp_path / "run"), "1"]).stdout.startswith("HumanEval/1, sample 0")


def test_show_names_a_models_runs_and_its_problems_in_their_order(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = plant(tmp_path / "runs", "a", passed("1" * 12), tasks=[f"HumanEval/{i}" for i in range(12)])
    assert "it has 12 problems: HumanEval/0 to HumanEval/11" in cli(["show", str(run), "99"]).stderr
    for word in ("a", "runs"):
        assert f"name one of its runs: {run.relative_to(tmp_path)}" in cli(["show", word, "1"]).stderr


def test_rows_of_an_unknown_style_or_of_several_are_named(
    score: Callable[..., Any], problems: dict[str, Problem], tmp_path: Path
) -> None:
    answers = [{"task_id": id_, "completion": "    pass\n", "style": "base"} for id_ in ASKED[:2]]
    unknown = write_rows(tmp_path / "u.jsonl", [row | {"style": "chatty"} for row in answers])
    several = write_rows(tmp_path / "m.jsonl", [answers[0], answers[1] | {"style": "chat"}])
    for path, place in ((unknown, "line 1: style is 'chatty'"), (several, "line 2: style is chat")):
        result = score(path, "never", "--suite", "humaneval")
        assert result.exit_code == 3, result.stderr
        assert f"{path}, {place}" in result.stderr
        assert not (tmp_path / "never").exists()
    assert score(several, "told", "--suite", "humaneval", "--style", "base").exit_code == 0
    assert score(several, "never", "--suite", "humaneval", "--style", "chatty").exit_code == 2


def test_a_benchmarks_own_file_is_no_file_of_answers(score: Callable[..., Any], tmp_path: Path) -> None:
    row = {"task_id": 1, "text": "Write it.", "code": "x = 1", "test_list": ["assert x"]}
    result = score(
        write_rows(tmp_path / "mbpp.jsonl", [row]), "r", "--suite", "mbpp", "--data-dir", str(DATA)
    )
    assert result.exit_code == 3
    assert "line 1: it is a problem and not an answer to one: it has test_list" in result.stderr
    other = write_rows(tmp_path / "other.jsonl", [{"task_id": 1, "completion": "x = 1"}])
    assert (
        "the suite has no problem Mbpp/1"
        in score(other, "r", "--suite", "mbpp", "--data-dir", str(DATA)).stderr
    )


def test_data_fetch_verifies_what_is_here(cli: Cli) -> None:
    result = cli(["data", "fetch", "humaneval"])
    assert result.exit_code == 0
    assert "humaneval@1.0  164 problems, verified" in result.stdout
    assert cli(["data", "fetch", "humanevl"]).exit_code == 2
