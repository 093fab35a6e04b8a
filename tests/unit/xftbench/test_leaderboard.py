"""Which rows may stand in one table, and that every format holds the same."""

import json
import re
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from factories import a_sample, a_spec, a_verdict, an_environment, some_problems

from xftbench.records import Limits, SamplingParams
from xftbench.report import formats, page
from xftbench.report.leaderboard import build, find_runs, from_runs, markdown, write
from xftbench.report.runs import into_tables, read_runs
from xftbench.scoring.aggregate import aggregate
from xftbench.store.comparable import comparable_key
from xftbench.store.run_dir import RunDir, Timings
from xftbench.store.spec import RunSpec


def make_run(runs: Path, name: str, passed: int, spec: RunSpec, *, broken: bool = False) -> None:
    with RunDir(runs / name, spec, an_environment(name)) as run:
        for index in range(2):
            run.add_sample(a_sample(f"T/{index}"))
            verdict = "passed" if index < passed else "infrastructure_error" if broken else "failed"
            run.add_verdict(a_verdict(f"T/{index}", verdict=verdict))  # type: ignore[arg-type]
        scores = aggregate(some_problems("T/0", "T/1"), run.verdicts.values(), n=1)
        run.finish(scores, Timings(n_tokens=6, generation_s=2.0, total_s=3.0), ["T/0", "T/1"], "2026-01-01")


@pytest.mark.parametrize(
    "change",
    [
        {"style": "chat"},
        {"prompts_sha256": "0" * 64},
        {"sampling": SamplingParams(temperature=0.2)},
        {"sampling": SamplingParams(max_new_tokens=256)},
        {"engine": "vllm"},
        {"data_sha256": "0" * 64},
        {"problems_sha256": "0" * 64},
        {"extraction": "chat"},
        {"isolation": "rlimits"},
        {"python": "3.12.1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_a_score_separates_tables(change: dict[str, object]) -> None:
    assert comparable_key(a_spec(**change)) != comparable_key(a_spec())


@pytest.mark.parametrize(
    "change",
    [
        {"checkpoint_sha256": "0" * 64},
        {"sampling": SamplingParams(seed=7)},
        {"dtype": "bfloat16"},
        {"python": "3.11.9"},
    ],
)
def test_what_may_differ_within_a_table(change: dict[str, object]) -> None:
    assert comparable_key(a_spec(**change)) == comparable_key(a_spec())


def test_the_best_model_stands_first_and_groups_are_apart(tmp_path: Path) -> None:
    make_run(tmp_path, "worse", 0, a_spec(checkpoint_sha256="1" * 64))
    make_run(tmp_path, "better", 2, a_spec(checkpoint_sha256="2" * 64))
    make_run(tmp_path, "other", 1, a_spec(style="chat"))
    frame = build(find_runs(tmp_path))
    groups = sorted(list(rows["model"]) for _, rows in frame.groupby("group"))
    assert groups == [["better", "worse"], ["other"]]
    text = markdown(frame)
    assert text.count("| model") == 2
    assert "style chat" in text
    assert text.index("| better") < text.index("| worse")
    assert "100.0 %" in text


def test_what_samples_made_elsewhere_do_not_say_is_blank_and_not_zero(tmp_path: Path) -> None:
    silent = a_spec(engine="replay")
    stated = msgspec.structs.replace(
        a_spec(engine="replay", sampling=SamplingParams(temperature=0.2, top_p=0.95)).generation,
        stated=("temperature", "top_p"),
    )
    make_run(tmp_path, "silent", 1, silent)
    make_run(tmp_path, "stated", 1, msgspec.structs.replace(silent, generation=stated))
    make_run(tmp_path, "ours", 1, a_spec())
    frame = build(find_runs(tmp_path))
    rows = {row["model"]: row for row in json.loads(formats.as_json(frame))}
    asked = ("temperature", "top_p", "max_new_tokens", "seed")
    assert [rows["silent"][name] for name in asked] == [None] * 4
    assert [rows["stated"][name] for name in asked] == [0.2, 0.95, None, None]
    assert [rows["ours"][name] for name in asked] == [0.0, 1.0, 512, 0]
    told = markdown(frame)
    assert "completions made elsewhere, decoding unknown" in told
    assert "completions made elsewhere, T=0.2, top-p 0.95" in told
    assert ",512,0," in formats.FORMATS["csv"](frame).decode(), "and not 512.0"
    provenance = {run.name: page._decoding(run.spec.generation) for run in read_runs(find_runs(tmp_path))}
    assert provenance["silent"] == "n 1, otherwise unknown: completions made elsewhere"
    assert provenance["stated"] == "n 1, temperature 0.2, top_p 0.95, max_new_tokens unknown, seed unknown"


def test_numbers_of_samples_that_differ_are_all_told(tmp_path: Path) -> None:
    make_run(tmp_path, "m", 1, a_spec(engine="replay", sampling=SamplingParams(n=12)))
    frame = build(find_runs(tmp_path))
    assert (frame["n"][0], frame["n_max"][0]) == (1, 12)
    assert ", n=1 to 12, " in formats.caption(frame)
    assert "pass@1 (n=1 to 12)" in formats.for_people(frame)
    (table,) = into_tables(read_runs(find_runs(tmp_path)))
    assert table.label.endswith("n=1 to 12")


def test_a_part_of_a_suite_is_never_captioned_as_the_suite(tmp_path: Path) -> None:
    captions = {}
    for name, n_suite, left_out in (
        ("old", None, ()),
        ("whole", 2, ()),
        ("part", 164, ()),
        ("lacking", 164, ("rs",)),
    ):
        spec = a_spec()
        scoring = msgspec.structs.replace(spec.scoring, n_suite=n_suite, left_out=left_out)
        make_run(tmp_path / name, "m", 1, msgspec.structs.replace(spec, scoring=scoring))
        captions[name] = formats.caption(build(find_runs(tmp_path / name)))
    assert captions["old"] == captions["whole"]
    assert captions["whole"].startswith("humaneval 1.0, 2 problems, ")
    assert captions["part"].startswith("humaneval 1.0, 2 of 164 problems, ")
    assert captions["lacking"].startswith("humaneval 1.0, 2 of 164 problems, LEFT OUT: rs, ")


def test_json_holds_every_digit_and_null_for_what_is_blank() -> None:
    shares = [1 / 3, 2 / 7, 58.6 / 164, 0.1 + 0.2]
    frame = pd.DataFrame(
        {"share": shares, "blank": [None, float("nan"), float("inf"), 1.5], "n": [1, 2, 3, 4]}
    )
    rows = json.loads(formats.as_json(frame))
    assert [row["share"] for row in rows] == shares
    assert [row["blank"] for row in rows] == [None, None, None, 1.5]
    assert [row["n"] for row in rows] == [1, 2, 3, 4]
    assert json.loads(formats.as_json(pd.DataFrame())) == []


def test_tables_of_one_caption_say_what_keeps_them_apart(tmp_path: Path) -> None:
    make_run(tmp_path, "m", 1, a_spec())
    make_run(tmp_path, "m-lenient", 2, a_spec(isolation="rlimits"))
    make_run(tmp_path, "m-slow", 2, a_spec(limits=Limits(cpu_s=99)))
    make_run(tmp_path, "m-chat", 2, a_spec(style="chat"))
    frame = build(find_runs(tmp_path)).set_index("model", drop=False)
    assert frame["apart"].to_dict() == {
        "m": f"isolation: namespaces, limits.cpu_s: {Limits().cpu_s}",
        "m-lenient": "isolation: rlimits",
        "m-slow": "limits.cpu_s: 99",
        "m-chat": "",
    }
    for text in (markdown(frame), markdown(frame, brief=True), formats.latex(frame).replace("\\_", "_")):
        for apart in filter(None, frame["apart"]):
            assert re.search(rf", hf, {re.escape(apart)}\W*\n", text), apart
    labels = {table.runs[0].name: table.label for table in into_tables(read_runs(find_runs(tmp_path)))}
    assert labels["m-chat"] == "humaneval 1.0 · chat, greedy, n=1"
    assert labels["m-slow"] == "humaneval 1.0 · base, greedy, n=1 · limits.cpu_s: 99"
    assert len(set(labels.values())) == 4


def test_what_was_allowed_keeps_no_tables_apart(tmp_path: Path) -> None:
    make_run(tmp_path, "m", 1, a_spec())
    make_run(tmp_path, "n", 1, a_spec(isolation="rlimits", limits=Limits(cpu_s=99)))
    apart = from_runs(read_runs(find_runs(tmp_path), ["isolation"]))["apart"]
    assert sorted(apart) == [f"limits.cpu_s: {Limits().cpu_s}", "limits.cpu_s: 99"]
    assert list(from_runs(read_runs(find_runs(tmp_path), ["isolation", "limits"]))["apart"]) == ["", ""]


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "a\nb", "a\r\nb\n"])
def test_no_name_breaks_a_row_in_markdown(tmp_path: Path, name: str) -> None:
    make_run(tmp_path, "run", 1, a_spec())
    frame = build(find_runs(tmp_path)).assign(model=name)
    heading, _, row = markdown(frame).splitlines()[2:]
    # As GitHub reads it: a backslash escapes the character behind it, and any other bar ends a cell.
    cells = [len(re.findall(r"\|", re.sub(r"\\.", "", line))) for line in (heading, row)]
    assert cells[0] == cells[1]
    assert re.sub(r"\\(.)", r"\1", row).startswith(f"| {' '.join(name.split())} ")


def test_a_brief_table_fits_a_terminal_and_holds_the_score(tmp_path: Path) -> None:
    make_run(tmp_path, "m", 1, a_spec())
    frame = build(find_runs(tmp_path)).assign(train_flops=1e15, peak_memory_bytes=2**30, stage="merge")
    brief, whole = markdown(frame, brief=True), markdown(frame)
    assert "training FLOPs" in whole
    assert "training FLOPs" not in brief
    assert "pass@1 95 %" in brief
    assert max(map(len, brief.splitlines())) <= 130


def test_incomplete_runs_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_run(tmp_path, "whole", 1, a_spec(checkpoint_sha256="1" * 64))
    make_run(tmp_path, "broken", 1, a_spec(checkpoint_sha256="2" * 64), broken=True)
    RunDir(tmp_path / "started", a_spec(checkpoint_sha256="3" * 64), an_environment("started")).close()
    assert list(build(find_runs(tmp_path))["model"]) == ["whole"]
    assert "broken" in caplog.text
    assert "started" in caplog.text


def test_all_formats_hold_the_same_rows(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "m", 1, a_spec())
    frame = build(find_runs(tmp_path / "runs"))
    paths = write(frame, tmp_path / "tables")
    assert {path.name for path in paths} == {
        f"humaneval.{suffix}" for suffix in ("csv", "parquet", "md", "json", "tex", "yaml")
    }
    read = [
        pd.read_csv(tmp_path / "tables" / "humaneval.csv"),
        pd.read_parquet(tmp_path / "tables" / "humaneval.parquet"),
        pd.DataFrame(json.loads((tmp_path / "tables" / "humaneval.json").read_text())),
    ]
    for other in read:
        for column in ("model", "pass@1", "pass@1_low", "pass@1_high", "tokens_per_s", "run"):
            assert other[column].tolist() == pytest.approx(frame[column].tolist()), column
