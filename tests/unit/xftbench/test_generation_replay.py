"""Samples made elsewhere: the shapes that are read, and everything else named by file and line."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from xftbench import jsonl
from xftbench.errors import BackendError, DataFileError
from xftbench.generation.backend import Request
from xftbench.generation.replay import ReplayBackend, read_samples, samples_file
from xftbench.records import Prompt, Sample, SamplingParams

IDS = dict.fromkeys(["T/0", "T/1"])


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_our_own_samples_come_back_whole(tmp_path: Path) -> None:
    samples = [
        Sample(
            task_id=task_id, sample_index=index, completion="x", seed=5, n_prompt_tokens=2, n_tokens=3,
            finish_reason="stop", stop_reason="\ndef",
        )
        for task_id in IDS for index in (1, 0)
    ]  # fmt: skip
    jsonl.write(tmp_path / "samples.jsonl", samples)
    assert read_samples(tmp_path / "samples.jsonl", IDS) == samples


def test_evalplus_rows_are_numbered_in_the_order_they_appear(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "s.jsonl",
        {"task_id": "T/1", "solution": "a", "_identifier": "T/1 (1)", "anything": [1]},
        {"task_id": "T/0", "completion": "b"},
        {"task_id": "T/1", "solution": "c"},
    )
    assert [(s.key, s.completion, s.solution) for s in read_samples(path, IDS)] == [
        (("T/1", 0), None, "a"), (("T/0", 0), "b", None), (("T/1", 1), None, "c"),
    ]  # fmt: skip


def test_mbpp_s_own_ids_are_numbers(tmp_path: Path) -> None:
    for number in (11, "11"):
        path = lines(tmp_path / "s.jsonl", {"task_id": number, "solution": "a"})
        assert [s.task_id for s in read_samples(path, {"Mbpp/11": None})] == ["Mbpp/11"]


def test_bigcode_generations_are_solutions_in_the_order_of_the_problems(tmp_path: Path) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["a", "b"], ["c"]]))
    assert [(s.key, s.solution) for s in read_samples(path, IDS)] == [
        (("T/0", 0), "a"), (("T/0", 1), "b"), (("T/1", 0), "c"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["s.jsonl", "s.json", "s.txt", "S.JSON", "s"])
@pytest.mark.parametrize(
    "content",
    [
        '{"task_id": "T/0", "solution": "a"}\n', '[{"task_id": "T/0", "solution": "a"}]', '[["a"], []]',
        '{"eval": {"T/0": [{"solution": "a"}]}}',
    ],
)  # fmt: skip
def test_the_content_tells_the_shape_and_not_the_name(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [(s.key, s.solution) for s in read_samples(tmp_path / name, IDS)] == [(("T/0", 0), "a")]


def test_a_folder_may_hold_nothing_but_results(tmp_path: Path) -> None:
    assert samples_file(tmp_path) == tmp_path
    (tmp_path / "x_eval_results.json").write_text("{}")
    assert samples_file(tmp_path) == tmp_path / "x_eval_results.json"
    (tmp_path / "y_eval_results.json").write_text("{}")
    with pytest.raises(DataFileError, match=r"holds x_eval_results\.json and y_eval"):
        samples_file(tmp_path)


def test_hidden_folders_hold_no_samples(tmp_path: Path) -> None:
    for name in (".git/x.py", "T_0/0.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a")
    assert [s.key for s in read_samples(tmp_path, IDS)] == [("T/0", 0)]


@pytest.mark.parametrize("name", ["s.jsonl.gz", "g.json.gz"])
def test_either_shape_may_be_gzipped(tmp_path: Path, name: str) -> None:
    text = json.dumps({"task_id": "T/0", "solution": "a"}) if "jsonl" in name else json.dumps([["a"], []])
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert [s.solution for s in read_samples(tmp_path / name, IDS)] == ["a"]


def test_line_separators_inside_a_string_do_not_end_the_line(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"task_id": "T/0", "completion": "a\u2028b"}\n', encoding="utf-8")
    assert read_samples(tmp_path / "s.jsonl", IDS)[0].completion == "a\u2028b"


GOOD = '{"task_id": "T/0", "completion": "x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "not json\n", "line 2: not JSON"),
        (GOOD + '{"task_id": "T/1", "compl', "line 2: not JSON: .*the file ends in the middle"),
        (GOOD + "[1]\n", "line 2: expected an object .*found a list"),
        (GOOD + '{"completion": "x"}\n', "line 2: no task_id"),
        (GOOD + '{"task_id": "T/1"}\n', "line 2: neither completion nor solution"),
        (GOOD + '{"task_id": "T/1", "completion": null}\n', "line 2: neither completion nor solution"),
        (GOOD + '{"task_id": "T/1", "completion": 7}\n', "line 2: completion is a number, not a string"),
        (GOOD + '{"task_id": 1, "completion": "x"}\n', "line 2: task_id is a number, not a string"),
        (GOOD + '{"task_id": "T/9", "completion": "x"}\n', "line 2: .*no problem 'T/9'"),
        (GOOD + '{"task_id": "T/1", "completion": "x", "sample_index": -1}\n', "line 2: sample_index is -1"),
        (GOOD + '{"task_id": "T/0", "completion": "x", "sample_index": 0}\n', "line 2: sample 0 .*line 1"),
        ('{\n "java": {\n  "T/0": "x"}}\n', "neither a list of rows nor a shape .*fields: java"),
        ("", "is empty"),
        ("\n \n", "is empty"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "s.jsonl").write_text(content)
    with pytest.raises(DataFileError, match=message):
        read_samples(tmp_path / "s.jsonl", IDS)


def test_binary_junk_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(GOOD.encode() + b"\x89PNG\xff\xfe")
    with pytest.raises(DataFileError, match="line 2: not UTF-8"):
        read_samples(tmp_path / "s.jsonl", IDS)


def test_a_zip_archive_is_called_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.jsonl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("s.jsonl", GOOD * 100)
    with pytest.raises(DataFileError) as caught:
        read_samples(tmp_path / "s.jsonl", IDS)
    assert "unpack it first" in str(caught.value)


def test_a_gzipped_file_needs_no_name_of_one(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(gzip.compress(GOOD.encode()))
    (tmp_path / "t.jsonl.gz").write_text(GOOD)
    assert read_samples(tmp_path / "s.jsonl", IDS) == read_samples(tmp_path / "t.jsonl.gz", IDS)


def test_a_cut_off_gzip_stream_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(GOOD.encode())[:-6])
    with pytest.raises(DataFileError, match=r"can't read .*s\.jsonl\.gz"):
        read_samples(tmp_path / "s.jsonl.gz", IDS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[["a"]]', "generations for 1 problems, the suite has 2"),
        ('[["a"], "b"]', "entry 1: expected a list of programs, found a string"),
        ('[["a"], [1]]', "entry 1: program 0 is a number"),
        ('[["a"], ["b"', "not JSON"),
        ("[[], []]", "no samples"),
    ],
)
def test_bad_generations_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "generations.json").write_text(content)
    with pytest.raises(DataFileError, match=message):
        read_samples(tmp_path / "generations.json", IDS)


def test_rows_may_stand_in_one_list(tmp_path: Path) -> None:
    path = tmp_path / "samples.json"
    path.write_text(json.dumps([{"task_id": "T/1", "completion": "a"}, {"task_id": "T/1", "solution": "b"}]))
    assert [s.key for s in read_samples(path, IDS)] == [("T/1", 0), ("T/1", 1)]
    path.write_text(json.dumps([{"task_id": "T/1", "completion": "a"}, {"task_id": "T/1"}]))
    with pytest.raises(DataFileError, match="entry 1: neither completion nor solution"):
        read_samples(path, IDS)


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.gz", "generations.json"])
def test_a_directory_stands_for_the_samples_file_in_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "verdicts.jsonl").touch()
    assert samples_file(tmp_path) == tmp_path / name


def test_a_directory_with_two_samples_files_is_refused(tmp_path: Path) -> None:
    for name in ("samples.jsonl", "generations.json"):
        (tmp_path / name).touch()
    with pytest.raises(DataFileError, match="holds samples"):
        samples_file(tmp_path)


@pytest.mark.parametrize("task_id", [1, "1"])
def test_a_problem_that_is_named_by_its_number_is_suggested(tmp_path: Path, task_id: object) -> None:
    with pytest.raises(DataFileError, match="did you mean 'T/1'"):
        read_samples(lines(tmp_path / "s.jsonl", {"task_id": task_id, "solution": "a"}), IDS)


def test_half_of_an_emoji_is_replaced_before_anything_sees_it(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "s.jsonl",
        {"task_id": "T/0", "completion": "# \ud83d\n"},
        {"task_id": "T/1", "solution": "# \ud83d\ude00\n"},
    )
    first, second = read_samples(path, IDS)
    assert (first.completion, first.solution) == ("# \ufffd\n", None)
    assert (second.completion, second.solution) == (None, "# \N{GRINNING FACE}\n")


def program(directory: Path, name: str, code: bytes = b"a") -> None:
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_bytes(code)


def test_an_evalplus_program_may_begin_with_a_bom(tmp_path: Path) -> None:
    program(tmp_path, "T_0/0.py", b"\xef\xbb\xbfx = 1\n")
    assert [s.solution for s in read_samples(tmp_path, IDS)] == ["x = 1\n"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("T_0/00.py", "are both sample 0 of T/0"),
        ("T_0/sample_0.py", "expected a name like HumanEval_0/0.py"),
        ("T_2/0.py", "the suite has no problem 'T_2'"),
    ],
)
def test_evalplus_programs_of_other_names_are_named(tmp_path: Path, name: str, message: str) -> None:
    program(tmp_path, "T_0/0.py")
    program(tmp_path, name)
    with pytest.raises(DataFileError, match=message):
        read_samples(tmp_path, IDS)


def test_evalplus_results_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "eval_results.json").write_text('{"eval": {"T/0": null}}')
    with pytest.raises(DataFileError, match="expected a list of the results of T/0"):
        read_samples(tmp_path / "eval_results.json", IDS)


def test_a_missing_file_is_a_data_file_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="can't read"):
        read_samples(tmp_path / "nothing.jsonl", IDS)


def request_for(task_id: str, index: int = 0) -> Request:
    return Request.draw(Prompt(task_id=task_id, text="", is_chat=False, stop=()), index, 0)


def test_the_backend_gives_each_request_its_sample(tmp_path: Path) -> None:
    path = lines(tmp_path / "s.jsonl", *({"task_id": id_, "completion": id_} for id_ in IDS))
    backend = ReplayBackend(path)
    found = backend.generate([request_for("T/1"), request_for("T/0")], SamplingParams())
    assert [sample.completion for sample in found] == ["T/1", "T/0"]


def test_the_backend_names_a_sample_that_is_not_there(tmp_path: Path) -> None:
    path = lines(tmp_path / "s.jsonl", {"task_id": "T/0", "completion": "x"})
    with pytest.raises(BackendError, match="no sample 1 of T/0"):
        list(ReplayBackend(path).generate([request_for("T/0"), request_for("T/0", 1)], SamplingParams()))
