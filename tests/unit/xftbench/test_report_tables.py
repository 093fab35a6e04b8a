"""What goes into a leaderboard besides the scores: averages, costs, other formats, published numbers."""

import json
import re
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from factories import a_sample, a_spec, a_verdict, an_environment, some_problems
from many_runs import write_run
from planted import passed, plant

from xftbench.cli import run as xftbench
from xftbench.commands import tables
from xftbench.errors import DataFileError
from xftbench.records import Problem
from xftbench.report import differences, formats, leaderboard, published
from xftbench.report.cost import cost_points
from xftbench.report.plots import pareto_front
from xftbench.report.runs import into_tables, names_of, read_runs
from xftbench.scoring.aggregate import aggregate
from xftbench.store.model_facts import ModelFacts, StageCost
from xftbench.store.run_dir import RunDir, Timings

REPOSITORY = Path(__file__).parents[3]


def make_run(path: Path, name: str, passed: str, tags: dict[str, str] | None = None, **facts: object) -> Path:
    """One problem per letter: p passes, f fails; `tags` gives the language of each letter's index."""
    problems = [
        Problem(task_id=f"T/{index}", prompt="", tags={"language": (tags or {}).get(str(index), "py")})
        for index in range(len(passed))
    ]
    environment = msgspec.structs.replace(
        an_environment(name),
        model=ModelFacts(**facts) if facts else None,  # type: ignore[arg-type]
    )
    spec = a_spec(checkpoint_sha256=(name.encode().hex() * 64)[:64], n_problems=len(passed))
    with RunDir(path / name, spec, environment) as run:
        for problem, letter in zip(problems, passed, strict=True):
            run.add_sample(a_sample(problem.task_id))
            verdict = "passed" if letter == "p" else "failed"
            run.add_verdict(a_verdict(problem.task_id, verdict=verdict))  # type: ignore[arg-type]
        timings = Timings(n_tokens=3 * len(passed), generation_s=6.0, total_s=9.0, peak_memory_bytes=2 << 30)
        scores = aggregate(problems, run.verdicts.values(), n=1)
        run.finish(scores, timings, [problem.task_id for problem in problems], "2026-01-01")
    return path / name


def test_macro_counts_parts_and_weighted_counts_problems(tmp_path: Path) -> None:
    languages = {"0": "js"} | {str(index): "cpp" for index in range(1, 5)}
    path = make_run(tmp_path, "m", "pfffp", languages)
    frame = leaderboard.averages(read_runs([path]))
    (line,) = frame[frame["over"].str.endswith("language")].to_dict("records")
    assert line["macro"] == pytest.approx((1.0 + 0.25) / 2)
    assert line["weighted"] == pytest.approx(2 / 5)
    assert (line["parts"], line["n_problems"]) == ("cpp, js", 5)


def test_a_plus_suites_added_inputs_are_not_taken_for_its_score(tmp_path: Path) -> None:
    rows = [
        msgspec.structs.replace(a_verdict("a"), base="passed", plus="passed", strict="passed"),
        msgspec.structs.replace(a_verdict("b", 0, "failed"), base="failed", plus="passed", strict="failed"),
    ]
    scores = aggregate(some_problems("a", "b"), rows, n=1)
    heads, values = list(tables._checks(scores, rows))[1:3]
    assert re.split(r"  +", heads) == ["by rule", "published", "base", "added inputs alone", "strict"]
    assert values.split()[1::2] == ["50.0", "50.0", "100.0", "50.0"]
    write_run(tmp_path, "m", "one", n_problems=2, n=1, rate=0.5)
    frame = leaderboard.build(leaderboard.find_runs(tmp_path)).assign(**{"plus@1": 1.0})
    assert "plus@1 (added inputs alone)" in formats.for_people(frame)


def test_a_model_that_lacks_a_part_has_no_average(tmp_path: Path) -> None:
    for suite in ("one", "two"):
        write_run(tmp_path, "whole", suite, n_problems=4, n=1, rate=0.5)
    write_run(tmp_path, "half", "one", n_problems=4, n=1, rate=0.5)
    frame = leaderboard.averages(read_runs(sorted(tmp_path.iterdir())))
    assert list(frame["model"]) == ["whole"]


def test_a_suite_that_was_run_in_two_ways_has_no_average(tmp_path: Path) -> None:
    for n, suite in ((1, "one"), (1, "two"), (2, "two")):
        write_run(tmp_path / str(n), "m", suite, n_problems=4, n=n, rate=0.5)
    runs = read_runs([*(tmp_path / "1").iterdir(), *(tmp_path / "2").iterdir()])
    assert leaderboard.averages(runs).empty


def test_averages_of_a_suite_that_was_run_in_two_ways_say_which(tmp_path: Path) -> None:
    for n in (1, 2):
        write_run(tmp_path / str(n), "sft", "one", n_problems=4, n=n, rate=0.2)
        write_run(tmp_path / str(n), "xft", "one", n_problems=4, n=n, rate=0.8)
    tables = into_tables(read_runs(path for n in "12" for path in sorted((tmp_path / n).iterdir())))
    assert [name.rpartition(", ")[2] for name in names_of(tables)] in (["n=1", "n=2"], ["n=2", "n=1"])
    said = differences.sentences(tables, differences.against(tables, "sft", {}))
    assert sorted(sentence.text.partition(": ")[0] for sentence in said) == sorted(names_of(tables))


def test_costs_per_solved_problem(tmp_path: Path) -> None:
    step = StageCost(stage="sft", tokens=10, flops=6e12, device_s=7200.0, device="cpu", data="d.jsonl")
    make_run(tmp_path, "m", "ppff", n_parameters=1000, n_active_parameters=1000, stage="sft", line=(step,))
    row = leaderboard.build([tmp_path / "m"], money_per_hour=36.0).iloc[0]
    assert row["tokens_per_solved"] == 4 * 3 / 2
    assert row["seconds_per_solved"] == 6.0 / 2
    assert row["money_per_solved"] == pytest.approx(36.0 / 3600 * 3)
    assert row["train_flops"] == 6e12
    assert row["train_device_hours"] == 2.0
    assert row["peak_memory_bytes"] == 2 << 30


def test_costs_of_a_resumed_run_are_of_all_its_tokens(tmp_path: Path) -> None:
    scores = make_run(tmp_path, "m", "ppff") / "scores.json"
    whole = leaderboard.build([tmp_path / "m"]).iloc[0]
    told = json.loads(scores.read_text())
    told["timings"] |= {"n_tokens": 3, "generation_s": 1.5}  # the last session made one sample of four
    scores.write_text(json.dumps(told))
    resumed = leaderboard.build([tmp_path / "m"]).iloc[0]
    costs = ["n_tokens", "tokens_per_s", "generation_s", "tokens_per_solved", "seconds_per_solved"]
    assert resumed[costs].to_list() == whole[costs].to_list()


def test_what_is_unknown_is_blank_and_not_zero(tmp_path: Path) -> None:
    make_run(tmp_path, "m", "ff")
    row = leaderboard.build([tmp_path / "m"]).iloc[0]
    for column in ("train_flops", "n_parameters", "tokens_per_solved", "money_per_solved"):
        assert pd.isna(row[column]), column


def test_the_difference_to_the_baseline_is_that_of_the_pairs(tmp_path: Path) -> None:
    make_run(tmp_path, "sft", "pffffffffp")
    make_run(tmp_path, "xft", "fppppppppp")
    frame = leaderboard.build(sorted(tmp_path.iterdir()), baseline="sft").set_index("model")
    assert frame.loc["xft", "difference"] == pytest.approx(0.7)
    assert (frame.loc["xft", "gained"], frame.loc["xft", "lost"]) == (8, 1)
    assert frame.loc["xft", "p_value"] == pytest.approx(2 * (1 + 9) / 2**9), "9 coins, one tail of 8 or more"
    assert pd.isna(frame.loc["sft", "difference"])


def test_a_finding_counts_the_questions_of_all_tables(tmp_path: Path) -> None:
    for suite in ("humaneval", "mbpp"):
        plant(tmp_path, "sft", passed("0" * 6 + "1" * 94), suite=suite)
        plant(tmp_path, "xft", passed("1" * 100), suite=suite)
        frame = leaderboard.build(sorted(tmp_path.iterdir()), baseline="sft")
        found = frame[frame["model"] == "xft"][["p_adjusted", "finding"]].to_records(index=False).tolist()
        n = len(found)
        assert found == [(pytest.approx(n * 2 / 64), "better" if n == 1 else "can't tell")] * n


def test_latex_is_booktabs_and_escapes_names(tmp_path: Path) -> None:
    make_run(tmp_path, "a_b", "pf")
    text = formats.latex(leaderboard.build([tmp_path / "a_b"]))
    assert r"\toprule" in text
    assert r"a\_b" in text
    assert r"50.0 \%" in text


def test_model_cards_hold_the_scores_and_where_they_are_from(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    make_run(tmp_path, "m", "pppf")
    (card,) = yaml.safe_load_all(formats.model_index(leaderboard.build([tmp_path / "m"])))
    (entry,) = card["model-index"]
    (result,) = entry["results"]
    assert entry["name"] == "m"
    assert result["task"] == {"type": "text-generation"}
    assert result["dataset"]["type"] == "openai_humaneval"
    assert result["metrics"][0]["type"] == "pass@1"
    assert result["metrics"][0]["value"] == 0.75
    assert "4 problems, style" in result["dataset"]["config"], "a part of a suite is not the suite"


def test_the_hub_reads_the_model_cards(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the hub's client is not installed")
    make_run(tmp_path / "a", "m", "pppf")
    make_run(tmp_path / "b", "m", "pp")
    runs = [run for folder in ("a", "b") for run in sorted((tmp_path / folder).iterdir())]
    (card,) = formats.model_index(leaderboard.build(runs)).split("---\n")
    results = hub.ModelCard(f"---\n{card}---\n").data.eval_results
    assert [result.metric_value for result in results] == [0.75, 1.0]
    assert len({result.unique_identifier for result in results}) == 2


def test_nobody_on_the_front_is_beaten() -> None:
    points = [("a", 1.0, 10.0), ("b", 2.0, 30.0), ("c", 3.0, 20.0), ("d", 2.0, 25.0), ("e", 4.0, 31.0)]
    assert [name for name, _, _ in pareto_front(points)] == ["a", "b", "e"]


def test_the_cost_is_one_that_every_model_has(tmp_path: Path) -> None:
    sizes = {"n_parameters": 2000, "n_active_parameters": 500}
    make_run(tmp_path / "x", "a", "pf", **sizes)
    make_run(tmp_path / "x", "b", "pp", **sizes)
    found = cost_points(leaderboard.build(sorted((tmp_path / "x").iterdir())))
    assert found is not None
    assert found.name == "inference FLOPs per sample"
    assert {name: cost for name, cost, _ in found.points} == {"a": 2 * 500 * 3, "b": 2 * 500 * 3}
    make_run(tmp_path / "x", "c", "pf")
    found = cost_points(leaderboard.build(sorted((tmp_path / "x").iterdir())))
    assert found is not None
    assert found.name == "tokens per sample"


def test_published_rows_are_marked_and_have_sources() -> None:
    frame = published.read(REPOSITORY / "leaderboards" / "published")
    assert set(frame["kind"]) == {"published"}
    assert frame["source"].str.len().min() > 5
    xft = frame[(frame["model"].str.startswith("XFT_DS")) & (frame["check"] == "plus")]
    assert list(xft["score"]) == [0.646], "arXiv 2404.15247, abstract"


def test_a_published_row_without_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",".join(published.COLUMNS) + "\nm,humaneval,1.0,pass,,1,50,greedy,\n")
    with pytest.raises(DataFileError, match="no source"):
        published.read(tmp_path)


def test_published_numbers_stand_apart_from_measured_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", "ours", "humaneval", n_problems=4, n=1, rate=0.5)
    folder = str(REPOSITORY / "leaderboards" / "published")
    arguments = ["leaderboard", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "out")]
    assert xftbench(["-q", *arguments, "--published", folder]) == 0
    measured, separator, others = capsys.readouterr().out.partition("Published numbers")
    assert separator
    assert "ours" in measured
    assert "XFT_DS" not in measured
    assert "XFT_DS" in others
    written = json.loads((tmp_path / "out" / "humaneval.json").read_text())
    assert [row["model"] for row in written] == ["ours"]


def test_a_baseline_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "ours", "humaneval", n_problems=4, n=1, rate=0.5)
    arguments = ["leaderboard", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "out")]
    assert xftbench([*arguments, "--baseline", "theirs"]) == 2
    assert not (tmp_path / "out").exists()


def test_two_seeds_of_one_model_are_told_apart(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", "m", "pf")
    second = make_run(tmp_path / "b", "m", "pp")
    names = [run.name for run in read_runs([first, second])]
    assert len(set(names)) == 2


def test_runs_that_differ_share_a_table_only_if_allowed_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, n in (("one", 1), ("two", 2)):
        write_run(tmp_path / "runs", name, "humaneval", n_problems=30, n=n, rate=0.5)
    arguments = ["-q", "leaderboard", str(tmp_path / "runs"), "--leaderboards", str(tmp_path / "out")]
    assert xftbench([*arguments, "--baseline", "one"]) == 0
    apart = capsys.readouterr().out
    assert apart.count("| model") == 2
    assert "allowed" not in apart
    assert xftbench([*arguments, "--baseline", "one", "--allow", "sampling"]) == 0
    together = capsys.readouterr().out
    assert together.count("| model") == 1
    assert "* runs differ in sampling.n, sampling.temperature, which was allowed" in together
    assert xftbench([*arguments, "--allow", "nonsense"]) == 2


def test_a_run_whose_verdicts_were_edited_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, edited = (make_run(tmp_path, name, "pf") for name in ("kept", "edited"))
    verdicts = edited / "verdicts.jsonl"
    verdicts.write_text(verdicts.read_text().replace('"failed"', '"passed"'))
    assert [run.path for run in read_runs([kept, edited])] == [kept]
    assert "was changed after scores.json" in caplog.text
