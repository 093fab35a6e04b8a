"""MultiPL-E's parts, data and probes. Its data is not in the repository: tests that need it skip without."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from xftbench.benchmarks import multipl_e_data as data
from xftbench.benchmarks.multipl_e import MultiplE, probes
from xftbench.benchmarks.multipl_e_parts import LANGUAGES, SOURCES, UNPINNED, Part, parse_parts
from xftbench.errors import DataFileError, UsageProblem
from xftbench.records import NativeProblem, NativeProgram

SHARED = Path(__file__).parents[4] / "shared" / "data" / "multipl-e"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no MultiPL-E in {SHARED}")


def parse_suite(text: str) -> tuple[MultiplE, str]:
    family, colon, words = text.partition(":")
    assert family == "multipl-e"
    return (MultiplE.of(words.split(",")) if colon else MultiplE()), MultiplE.versions[-1]


def named(suite: str) -> str:
    return parse_suite(suite)[0].name


def test_languages_are_named_by_upstreams_abbreviation_or_as_people_write_them() -> None:
    assert named("multipl-e:java,js") == "multipl-e:java,js"
    assert named("multipl-e:JavaScript,c++,rust,C#,TypeScript") == "multipl-e:cpp,cs,js,rs,ts"


def test_the_order_and_number_of_the_words_do_not_matter() -> None:
    assert named("multipl-e:js,java,js") == named("multipl-e:java,js")


def test_mbpps_problems_are_named_by_upstreams_configuration() -> None:
    assert parse_parts(["mbpp-java", "humaneval-java"]) == (Part("humaneval", "java"), Part("mbpp", "java"))


def test_the_paper_has_six_languages() -> None:
    assert {part.language for part in parse_parts(["paper"])} == {"cpp", "java", "js", "php", "rs", "swift"}
    assert named("multipl-e:cpp,java,js,php,rs,swift") == "multipl-e:paper"


def test_without_words_all_of_humanevals_translations_are_meant() -> None:
    assert named("multipl-e:all") == MultiplE().name == "multipl-e"


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("jaba", "java"),
        ("typscript", "typescript"),
        ("mbpp-pyp", "mbpp-php"),
        ("mbpp", "mbpp-paper"),
        ("", "cpp"),
    ],
)
def test_an_unknown_word_is_refused_with_near_ones(word: str, advice: str) -> None:
    with pytest.raises(UsageProblem, match="no part") as caught:
        parse_suite(f"multipl-e:java,{word}")
    assert advice in str(caught.value.hint)


def test_every_part_is_pinned_and_the_versions_are_those_of_the_benchmark() -> None:
    pins = data.pins()
    assert tuple(pins) == MultiplE.versions
    configs = {
        f"{source}-{language}" for source in SOURCES for language in LANGUAGES if language not in UNPINNED
    }
    assert all(set(files) == configs for files in pins.values())


def test_every_language_has_a_probe_and_a_twin_that_differs_in_the_test_alone() -> None:
    assert set(probes()) == set(LANGUAGES)
    for language, probe in probes().items():
        right, wrong = probe.program(language), probe.program(language, is_right=False)
        assert right.solution == wrong.solution
        assert right.test != wrong.test


def row(name: str, **changes: object) -> dict[str, object]:
    fields = {
        "name": name,
        "prompt": f"int {name}(int a) {{\n",
        "tests": "}\nint main() {}\n",
        "stop_tokens": ["\n}"],
    }
    return fields | changes


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Three problems, pinned as the content of humaneval-cpp by a hash computed here."""
    rows = [row("one"), row("two"), row("thrée")]
    listed = [[r["name"], r["prompt"], r["tests"], r["stop_tokens"]] for r in rows]
    encoded = json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()
    pin = data.Pin(problems=3, sha256=hashlib.sha256(encoded).hexdigest())
    monkeypatch.setattr(data, "pins", lambda: {"3": {"humaneval-cpp": pin}})
    return rows


def lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in rows)


def write_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_the_same_problems_are_found_in_every_published_layout(
    tmp_path: Path, pinned: list[dict[str, object]]
) -> None:
    extended = [r | {"gpt_solution": "x", "language": "cpp"} for r in pinned]
    layouts = {
        "humaneval-cpp.jsonl": lines(pinned),
        "multipl-e/humaneval-cpp.jsonl.gz": gzip.compress(lines(extended)),
        "prompts/humaneval-cpp-reworded.jsonl": lines(pinned),
    }
    for number, (name, content) in enumerate(layouts.items()):
        path = tmp_path / str(number) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    write_parquet(tmp_path / "hub/humaneval-cpp/test-00000-of-00001.parquet", extended)
    for folder in tmp_path.iterdir():
        problems = MultiplE([Part("humaneval", "cpp")]).load("3", folder).problems
        assert [problem.task_id for problem in problems] == ["one", "two", "thrée"]


def test_what_is_cut_off_or_changed_is_refused_with_expected_and_found(
    tmp_path: Path, pinned: list[dict[str, object]]
) -> None:
    path = tmp_path / "humaneval-cpp.jsonl"
    for rows in (pinned[:2], [*pinned[:2], row("thrée", tests="}\n")], list(reversed(pinned))):
        path.write_bytes(lines(rows))
        with pytest.raises(DataFileError, match=rf"holds {len(rows)} problems .* expected 3 with") as caught:
            data.load(Part("humaneval", "cpp"), "3", tmp_path)
        assert str(path) in str(caught.value)


def test_a_damaged_file_or_one_of_another_kind_is_named(
    tmp_path: Path, pinned: list[dict[str, object]]
) -> None:
    part = Part("humaneval", "cpp")
    packed = tmp_path / "humaneval-cpp.jsonl.gz"
    packed.write_bytes(gzip.compress(lines(pinned))[:-9])
    with pytest.raises(DataFileError, match="can't read"):
        data.load(part, "3", tmp_path)
    packed.write_bytes(gzip.compress(b'{"task_id": "x"}\n'))
    with pytest.raises(DataFileError, match=r"line 1: .*`name`"):
        data.load(part, "3", tmp_path)
    packed.unlink()
    write_parquet(tmp_path / "humaneval-cpp/test-00000-of-00001.parquet", [{"name": "one"}])
    with pytest.raises(DataFileError, match=r"00001.parquet"):
        data.load(part, "3", tmp_path)


def test_without_files_and_without_the_hub_it_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(DataFileError, match=rf"humaneval-java can't be had .* not in {tmp_path}") as caught:
        MultiplE([Part("humaneval", "java"), Part("mbpp", "js")]).load("3", tmp_path)
    assert "humaneval-java.jsonl.gz" in str(caught.value.hint)
    assert "mbpp-js" in str(caught.value.hint)
    assert "XFTBENCH_DATA_DIR" in str(caught.value.hint)


def test_rows_from_the_hub_are_verified_like_a_file(
    monkeypatch: pytest.MonkeyPatch, pinned: list[dict[str, object]]
) -> None:
    asked = []
    rows = [dict(r, original="/elsewhere") for r in pinned]

    def hub(*arguments: object, revision: str) -> list[dict[str, object]]:
        asked.append((*arguments, revision))
        return rows

    monkeypatch.setattr(data, "hub_rows", hub)
    part = Part("humaneval", "cpp")
    assert len(data.load(part, "3", None).rows) == 3
    assert asked == [("nuprl/MultiPL-E", "humaneval-cpp", ["test"], data.REVISION)]
    rows.pop()
    with pytest.raises(DataFileError, match="holds 2 problems"):
        data.load(part, "3", None)


@needs_data
@pytest.mark.parametrize("suite", ["multipl-e", "multipl-e:mbpp-all"])
def test_the_published_data_is_the_pinned_one(suite: str) -> None:
    benchmark, version = parse_suite(suite)
    dataset = benchmark.load(version, SHARED.parent)
    assert len(dataset.problems) == (2864 if suite == "multipl-e" else 6987)
    assert len(set(dataset.task_ids)) == len(dataset.problems)


@needs_data
def test_the_function_to_be_written_is_found_in_every_prompt() -> None:
    for suite in ("multipl-e", "multipl-e:mbpp-all"):
        benchmark, version = parse_suite(suite)
        for problem in benchmark.load(version, SHARED).problems:
            # Upstream's name ends with the function's; C++ renames strlen, Java and others drop underscores.
            words = problem.task_id.split("_", 2)[2].replace("_", "").lower()
            found = problem.entry_point.replace("_", "").lower()
            assert found == words or problem.task_id == "cpp/HumanEval_23_strlen", problem.task_id


@needs_data
def test_a_program_is_prompt_completion_newline_tests_to_the_byte(tmp_path: Path) -> None:
    shutil.copy(SHARED / "humaneval-java.jsonl.gz", tmp_path)
    with gzip.open(tmp_path / "humaneval-java.jsonl.gz") as file:
        dataset_row = json.loads(next(file))
    benchmark = MultiplE([Part("humaneval", "java")])
    problem = benchmark.load("3", tmp_path).problems[0]
    assert isinstance(problem, NativeProblem)
    assert (problem.task_id, problem.stop) == ("HumanEval_0_has_close_elements", ("\n    }\n",))
    assert problem.tags == {"language": "java", "source": "humaneval"}
    program = benchmark.program(problem, problem.prompt + "  return false;")
    assert isinstance(program, NativeProgram)
    source = f"{program.solution}\n{program.test}"
    assert source == dataset_row["prompt"] + "  return false;" + "\n" + dataset_row["tests"]


@needs_data
def test_task_ids_name_the_language_where_several_are_asked() -> None:
    benchmark, version = parse_suite("multipl-e:js,mbpp-rs")
    task_ids = benchmark.load(version, SHARED).task_ids
    assert task_ids[0] == "js/HumanEval_0_has_close_elements"
    assert task_ids[-1].startswith("rs/mbpp_")
