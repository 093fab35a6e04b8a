"""Samples from the documents that MultiPL-E's own tools write."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from xftbench.errors import DataFileError
from xftbench.generation.multipl_e_files import decoding, from_document, from_folder, known_id
from xftbench.records import NativeProblem, Sample

ADD = "HumanEval_53_add"
STRLEN = "HumanEval_23_strlen"
PROMPT = "function add(x, y){\n"


def problem(task_id: str, language: str = "js", prompt: str = PROMPT) -> NativeProblem:
    return NativeProblem(task_id=task_id, language=language, prompt=prompt, test="test();")


SUITE = {ADD: problem(ADD), STRLEN: problem(STRLEN)}


def document(name: str = ADD, **fields: Any) -> dict[str, Any]:
    return {"name": name, "language": "js", "prompt": PROMPT, "tests": "test();", **fields}


def write(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(content: object) -> list[Sample] | None:
    return from_document(Path("x.json"), json.dumps(content), SUITE)


def test_completions_go_on_from_the_prompt() -> None:
    samples = read(document(completions=["  return x + y;\n}", "}"]))
    assert samples is not None
    assert [(s.task_id, s.sample_index, s.completion, s.solution) for s in samples] == [
        (ADD, 0, "  return x + y;\n}", None),
        (ADD, 1, "}", None),
    ]


def test_a_completion_of_the_chat_script_repeats_the_prompt_and_stands_alone() -> None:
    samples = read(document(prompt="", completions=["function add(x, y) { }"]))
    assert samples is not None
    assert (samples[0].completion, samples[0].solution) == (None, "function add(x, y) { }")


def test_a_completion_of_another_prompt_is_judged_with_that(caplog: pytest.LogCaptureFixture) -> None:
    samples = read(document(prompt="function add(a, b){\n", completions=["  return a + b;\n}"]))
    assert samples is not None
    assert (samples[0].completion, samples[0].solution) == (
        None,
        "function add(a, b){\n  return a + b;\n}",
    )
    assert "another prompt than the pinned one" in caplog.text


def test_a_result_is_its_program_without_the_tests() -> None:
    program = "function add(x, y){\n  return x + y;\n}\ntest();"
    samples = read(document(results=[{"program": program, "status": "OK"}]))
    assert samples is not None
    assert samples[0].solution == "function add(x, y){\n  return x + y;\n}"


def test_a_program_with_other_tests_than_its_documents_is_refused() -> None:
    with pytest.raises(DataFileError, match="program 0 does not end with"):
        read(document(results=[{"program": "return;\nother();"}]))


@pytest.mark.parametrize(
    "content",
    [[], {"eval": {}}, {"name": ADD}, {"name": ADD, "completions": "x"}, "text", {"completions": []}],
)
def test_other_documents_are_left_to_other_readers(content: object) -> None:
    assert read(content) is None


@pytest.mark.parametrize(
    ("name", "language", "known", "expected"),
    [
        (ADD, "js", {ADD}, ADD),
        (ADD, None, {ADD}, ADD),
        (ADD, "php", {ADD}, None),
        (f"php/{ADD}", None, {ADD}, None),
        (ADD, "JavaScript", {f"js/{ADD}", f"java/{ADD}"}, f"js/{ADD}"),
        (f"js/{ADD}", None, {ADD}, ADD),
        (f"rust/{ADD}", None, {f"rs/{ADD}"}, f"rs/{ADD}"),
        (ADD, "go_test.go", {f"go/{ADD}"}, f"go/{ADD}"),
        (ADD, None, {f"js/{ADD}"}, None),
        (ADD, "php", {f"js/{ADD}"}, None),
    ],
)
def test_a_problem_is_known_with_and_without_its_language(
    name: str, language: str | None, known: set[str], expected: str | None
) -> None:
    answerable = {one: problem(one, one.rpartition("/")[0] or "js") for one in known}
    assert known_id(name, language, answerable) == expected


def test_a_folder_is_read_with_what_is_below_it_and_completions_go_before_results(tmp_path: Path) -> None:
    write(tmp_path / "js" / f"{ADD}.json.gz", document(completions=["}"]))
    write(tmp_path / "js" / f"{ADD}.results.json.gz", document(results=[]))
    write(tmp_path / "js" / f"{STRLEN}.results.json", document(STRLEN, results=[{"program": "a\ntest();"}]))
    samples = from_folder(tmp_path, SUITE)
    assert samples is not None
    assert [(s.task_id, s.completion, s.solution) for s in samples] == [(STRLEN, None, "a"), (ADD, "}", None)]


def test_a_folder_of_something_else_is_left_to_other_readers(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {})
    assert from_folder(tmp_path, SUITE) is None


def test_two_answers_to_one_problem_are_two_experiments(tmp_path: Path) -> None:
    for folder in ("a-0.2", "a-0.8"):
        write(tmp_path / folder / f"{ADD}.json", document(completions=["}"]))
    with pytest.raises(DataFileError, match="both answer"):
        from_folder(tmp_path, SUITE)


def test_what_is_damaged_or_unknown_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / f"{ADD}.json", document(completions=["}"]))
    with pytest.raises(DataFileError, match="no problem 'HumanEval_53_add' in 'js'"):
        from_folder(tmp_path, {STRLEN: SUITE[STRLEN]})
    path.write_text('{"name": ')
    with pytest.raises(DataFileError, match=rf"{path}: not JSON"):
        from_folder(tmp_path, SUITE)
    path.write_text('{"name": "x"}')
    with pytest.raises(DataFileError, match="completions or results"):
        from_folder(tmp_path, SUITE)


def test_what_documents_say_of_their_decoding_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = {"temperature": 0.2, "top_p": 0.95, "max_tokens": 1024, "completions": ["}"]}
    write(tmp_path / "a" / f"{ADD}.json.gz", document(**drawn))
    write(tmp_path / "a" / f"{STRLEN}.json.gz", document(STRLEN, **drawn | {"top_p": 1}))
    assert decoding(tmp_path / "a") == {"temperature": 0.2, "max_new_tokens": 1024}
    assert "different values of top_p" in caplog.text
    one = write(tmp_path / "x.json", document(**drawn))
    assert decoding(one) == {"temperature": 0.2, "top_p": 0.95, "max_new_tokens": 1024}
    silent = write(tmp_path / "y.json", document(completions=["}"], temperature="hot", max_tokens=True))
    assert decoding(silent) == {}
    rows = tmp_path / "s.jsonl"
    rows.write_text('{"task_id": "a", "completion": "x", "temperature": 1}\n' * 2)
    assert decoding(rows) == {}
